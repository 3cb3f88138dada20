"""What a takeover means to others: how many must grant it, and which ENDs it makes void (design R11, R13)."""

from dataclasses import replace

import pytest

from coopfs.core.meta import MetaHead
from coopfs.core.newest import Voids
from coopfs.core.quorum import Quorum
from coopfs.types import Place, make_version


@pytest.mark.parametrize(
    ("k", "m", "needed"), [(1, 0, 1), (1, 1, 2), (1, 2, 2), (1, 3, 3), (2, 2, 3), (6, 2, 5), (6, 6, 7)]
)
def test_two_machines_with_one_kit_cannot_both_have_enough(k: int, m: int, needed: int) -> None:
    quorum = Quorum(k, m)
    assert quorum.claims_needed == needed
    assert 2 * quorum.claims_needed > quorum.n
    assert quorum.told_needed + quorum.claims_needed == quorum.n + 1
    assert quorum.claims_needed >= quorum.answers_needed


def _place(epoch: int, sequence: int) -> Place:
    return Place(make_version(epoch, sequence), sequence)


HEAD = MetaHead(_place(1, 5), 5, 0, _place(1, 1), (_place(1, 3),), (), bytes(32), 0, 4, 0, 2, 1)


def test_what_lower_epochs_wrote_after_t_is_void() -> None:
    voids = Voids()
    voids.learn(HEAD)
    assert not voids.cover(make_version(1, 9)), "an epoch does not make itself void"
    voids.learn(replace(HEAD, place=_place(3, 1), previous=(_place(2, 7), _place(1, 8))))
    assert voids.cover(make_version(2, 8))
    assert not voids.cover(make_version(2, 7)), "T itself stands"
    assert not voids.cover(make_version(1, 9)), "it is older than T"
    assert not voids.cover(make_version(3, 2))
