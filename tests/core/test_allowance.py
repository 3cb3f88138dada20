"""The list of nodes that a relay serves."""

import pytest

from coopfs.core import allowance
from coopfs.core.allowance import Allowance, Share, parse_list
from coopfs.errors import ConfigError
from coopfs.limits import MIB
from coopfs.types import NodeKey

USUAL = Share(2 * MIB, 20 * MIB)
ANNA, BEN, CHRIS = (NodeKey(bytes([number]) * 32) for number in (1, 2, 3))


def test_a_list_says_who_and_how_much() -> None:
    text = f"# ours\n\n{ANNA.hex()}\n  {BEN.hex().upper()} 10M  # Ben\n{CHRIS.hex()}\t0 200G"
    listed = parse_list(text, USUAL, "L")
    assert listed == {ANNA: USUAL, BEN: Share(10 * MIB, USUAL.daily), CHRIS: Share(0, 200 << 30)}


def test_without_a_list_everybody_may_wait() -> None:
    assert Allowance(0, USUAL).may_wait(ANNA)
    assert Allowance(0, USUAL).of(ANNA) == USUAL


def test_who_is_not_listed_may_call_only() -> None:
    given = Allowance(0, USUAL, {ANNA: Share(1, 2)})
    assert (given.may_wait(ANNA), given.may_wait(BEN)) == (True, False)
    assert (given.of(ANNA), given.of(BEN)) == (Share(1, 2), USUAL)
    assert not Allowance(0, USUAL, {}).may_wait(ANNA), "an empty list is a list"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("anna", "a node key has 64 hexadecimal digits"),
        ("zz" * 32, "a node key has 64 hexadecimal digits"),
        ("00" * 33, "a node key has 64 hexadecimal digits"),
        (f"{ANNA.hex()} fast", "'fast' is not a size"),
        (f"{ANNA.hex()} 1M 1G 1T", "and nothing else"),
        (f"{BEN.hex()} 1M", "this node is listed before"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(line: str, words: str) -> None:
    with pytest.raises(ConfigError, match=f"L, line 2: .*{words}"):
        parse_list(f"{BEN.hex()}\n{line}", USUAL, "L")


def test_a_list_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(allowance, "RELAY_NODES", 2)
    with pytest.raises(ConfigError, match="line 3: more than 2 nodes"):
        parse_list("\n".join(key.hex() for key in (ANNA, BEN, CHRIS)), USUAL, "L")
