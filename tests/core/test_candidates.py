"""Address candidates: their texts, their order, and their bound."""

import pytest

from coopfs.core.candidates import Candidate, check_candidate, direct_hosts, in_order, own_candidates
from coopfs.errors import UsageError
from coopfs.limits import MAX_ADDRESSES


@pytest.mark.parametrize("text", ["a.example:1", "[2001:db8::1]:7530", "relay/a.example:1", "relay/[2001:db8::1]:7531"])
def test_a_candidate_is_what_its_text_says(text: str) -> None:
    candidate = check_candidate(text)
    assert str(candidate) == text
    assert candidate.relayed == text.startswith("relay/")
    assert "relay" not in candidate.address


@pytest.mark.parametrize(
    "text",
    ["", "a", "ä.example:1", "a" * 254 + ":1", "relay/", "relay/a", "relay/relay/a:1", "a/b:1", "relay:a:1", "a:65536"],
)
def test_what_is_none_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        check_candidate(text)


def test_relays_come_last_else_the_order_is_the_given_one() -> None:
    texts = ("relay/r:1", "b:1", "a:1", "relay/q:1", "b:1")
    assert [str(candidate) for candidate in in_order(texts)] == ["b:1", "a:1", "relay/r:1", "relay/q:1"]
    assert in_order(["a:1"]) == (Candidate("a:1", relayed=False),)


def test_a_long_list_is_cut() -> None:
    assert len(in_order(f"a:{port}" for port in range(1, 100))) == MAX_ADDRESSES


def test_relays_are_never_crowded_out() -> None:
    own = own_candidates([f"a:{port}" for port in range(1, 10)], ["r:1"])
    assert own == (*(f"a:{port}" for port in range(1, MAX_ADDRESSES)), "relay/r:1")
    assert own_candidates(["a:1", "a:1", "ä:1"], []) == ("a:1",)


def test_the_hosts_of_relays_are_not_the_nodes() -> None:
    assert direct_hosts(["192.0.2.1:1", "relay/192.0.2.2:1", "[2001:db8::1]:1"]) == ["192.0.2.1", "2001:db8::1"]
