"""The bond of an agreement: the same for both sides, of another agreement another one, and known to nobody else."""

from dataclasses import replace

import pytest

from coopfs.core import agreement
from coopfs.core.agreement import Agreement
from coopfs.core.bond import announced, bond_of, is_of_level
from coopfs.core.identity import Identity
from coopfs.levels import Share
from coopfs.types import Renewal

ONE, TWO = bytes(range(32)), bytes(range(1, 33))
MADE = Agreement(Identity.from_seed(ONE).key, Identity.from_seed(TWO).key, 1 << 20, 1 << 20, 1_800_000_000, "95%")


def shown(made: Agreement, mine: bytes, yours: bytes) -> Renewal:
    return Renewal(made.encode(), agreement.sign(mine, made), agreement.sign(yours, made), "", ())


def test_golden_bond_is_the_same_for_both() -> None:
    assert bond_of(shown(MADE, ONE, TWO), MADE.inviter) == bond_of(shown(MADE, TWO, ONE), MADE.acceptor)
    assert bond_of(shown(MADE, ONE, TWO), MADE.inviter).hex() == "7b3fa713e1f61696"


def test_of_another_agreement_it_is_another() -> None:
    later = replace(MADE, start=MADE.start + 1)
    assert bond_of(shown(later, ONE, TWO), MADE.inviter) != bond_of(shown(MADE, ONE, TWO), MADE.inviter)


def test_who_has_not_seen_the_signatures_cannot_tell_it() -> None:
    guessed = Renewal(MADE.encode(), agreement.sign(ONE, MADE), bytes(64), "", ())
    assert bond_of(guessed, MADE.inviter) != bond_of(shown(MADE, ONE, TWO), MADE.inviter)


@pytest.mark.parametrize(
    "changes", [{"inviter_gives": 1 << 21}, {"acceptor_gives": 1 << 21}, {"uptime": ""}, {"uptime": "99%"}]
)
def test_only_agreements_of_the_level_are_told_of(changes: dict[str, object]) -> None:
    assert is_of_level(MADE.encode(), 1 << 20, Share(95))
    assert not is_of_level(replace(MADE, **changes).encode(), 1 << 20, Share(95))  # type: ignore[arg-type]


def test_the_lowest_are_told() -> None:
    assert announced([b"%08d" % number for number in (9, 3, 7, 3, 1, 8)]) == tuple(b"%08d" % n for n in (1, 3, 7, 8))
