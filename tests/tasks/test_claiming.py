"""A claim before a takeover: its epoch goes above all that were granted, and liars cannot drive it (R12, R13)."""

from pathlib import Path
from random import Random

import pytest
import trio

from coopfs.core.claims import CLAIMER, sign_claim
from coopfs.errors import NotRestorable, StateError
from coopfs.limits import CLAIM_LEAP, CLAIM_TRIES
from coopfs.local import claimfile
from coopfs.tasks.claiming import Claiming
from coopfs.types import Claim
from tests.sim.schedule import JumpingClock
from tests.sim.world import START, Geometry, World

MINE = bytes([1]) * CLAIMER
OTHER = bytes([2]) * CLAIMER


class Case:
    """A disk on three partners, and what was saved when partners were asked."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.saved: list[int] = []

    def grant(self, column: int, epoch: int) -> None:
        """A partner has granted this epoch to somebody else."""
        world = self.world
        assert world.keys.signing_seed is not None
        disk = world.sites[column].host.disk(world.node, world.keys.disk)
        disk.claim = sign_claim(world.keys.signing_seed, epoch, OTHER, int(START))

    async def claim(self, epoch: int = 2) -> tuple[Claim, str | None]:
        def save(epoch: int, claimer: bytes) -> None:
            self.saved.append(epoch)

        claiming = Claiming(
            self.world.keys, self.world.places, self.world.network, save, self.world.wall, lambda *_: None
        )
        return await claiming.run(epoch, MINE)


@pytest.fixture
def clock() -> JumpingClock:
    return JumpingClock()


@pytest.fixture
async def case(tmp_path: Path, nursery: trio.Nursery) -> Case:
    world = World(Geometry(1, 2), Random(1), tmp_path, nursery)
    await world.format()
    return Case(world)


async def test_an_epoch_above_all_that_were_granted_is_saved_before_it_is_spoken(
    case: Case, clock: JumpingClock
) -> None:
    case.grant(1, 4)
    claim, lacking = await case.claim()
    assert claim.epoch == 5
    assert lacking is None
    assert case.saved == [2, 5]


async def test_a_liar_cannot_use_up_the_epochs(case: Case, clock: JumpingClock) -> None:
    case.grant(0, 2 + CLAIM_LEAP + 1)
    claim, lacking = await case.claim()
    assert claim.epoch == 2
    assert lacking is None, "two of three are enough"


async def test_who_is_missing_is_named(case: Case, clock: JumpingClock) -> None:
    case.world.sites[0].go(up=False)
    case.world.sites[2].go(up=False)
    _, lacking = await case.claim()
    assert lacking is not None
    assert "only 1 of 3" in lacking
    assert "p0" in lacking
    assert "p2" in lacking


async def test_who_has_lost_its_store_does_not_count(case: Case, clock: JumpingClock) -> None:
    """It has forgotten whom it granted what."""
    case.world.sites[0].host.forget()
    case.world.sites[1].host.forget()
    _, lacking = await case.claim()
    assert lacking is not None
    assert "only 1 of 3" in lacking
    assert "p0 (this store does not exist here), p1" in lacking


async def test_two_takeovers_at_once_end(case: Case, clock: JumpingClock) -> None:
    class Rival(list[int]):
        def append(self, epoch: int) -> None:
            super().append(epoch)
            case.grant(0, epoch)

    case.saved = Rival()
    with pytest.raises(NotRestorable, match="at the same time"):
        await case.claim()
    assert len(case.saved) == CLAIM_TRIES


def test_a_claim_file_is_whole_or_refused(tmp_path: Path) -> None:
    assert claimfile.read(tmp_path) is None
    claimfile.write(tmp_path, 7, MINE)
    assert claimfile.read(tmp_path) == (7, MINE)
    (tmp_path / claimfile.NAME).write_text("7\n")
    with pytest.raises(StateError, match="damaged"):
        claimfile.read(tmp_path)
    claimfile.remove(tmp_path)
    assert claimfile.read(tmp_path) is None
