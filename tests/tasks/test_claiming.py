"""A claim before a takeover: its epoch goes above all that were granted, and liars cannot drive it (R12, R13)."""

from collections.abc import Sequence
from pathlib import Path
from random import Random

import pytest
import trio

from coopfs.core.claims import CLAIMER, sign_claim
from coopfs.core.master import LayoutPlaces, StorePlace
from coopfs.errors import NotRestorable, StateError
from coopfs.limits import CLAIM_LEAP, CLAIM_TRIES, MIN_BLOCK_SIZE
from coopfs.local import claimfile
from coopfs.tasks.recovery.claiming import Claiming
from coopfs.types import Claim, Layout, Opening, StoreId, StoreSpec
from tests.sim.network import Site
from tests.sim.schedule import JumpingClock
from tests.sim.world import ROWS, START, Geometry, World

MINE = bytes([1]) * CLAIMER
OTHER = bytes([2]) * CLAIMER


class Case:
    """A disk on three partners, and what was saved when partners were asked."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.layouts: tuple[LayoutPlaces, ...] = (world.places,)
        self.saved: list[int] = []

    async def add_layout(self, columns: Sequence[Site], k: int) -> None:
        """Another layout is in force, with stores at these."""
        world, layout = self.world, Layout(len(self.layouts) + 1, k, len(columns) - k, MIN_BLOCK_SIZE)
        assert world.keys.signing_seed is not None
        first = sign_claim(world.keys.signing_seed, 1, OTHER, int(START))
        stores = []
        for site in columns:
            store = StorePlace(StoreId(world.random.randbytes(16)), site.host.key, site.host.key, f"q{site.life}", ())
            opening = Opening(world.keys.disk, store.store, first, StoreSpec(ROWS, layout.block_size))
            site.host.disk(world.node, world.keys.disk).claim = first
            await (await site.host.partner(world.node).open(opening)).close()
            stores.append((store,))
        self.layouts = (*self.layouts, LayoutPlaces(layout, ROWS, tuple(stores)))

    def grant(self, column: int, epoch: int) -> None:
        """A partner has granted this epoch to somebody else."""
        world = self.world
        assert world.keys.signing_seed is not None
        disk = world.sites[column].host.disk(world.node, world.keys.disk)
        disk.claim = sign_claim(world.keys.signing_seed, epoch, OTHER, int(START))

    async def claim(self, epoch: int = 2) -> tuple[Claim, str | None]:
        def save(epoch: int, claimer: bytes) -> None:
            self.saved.append(epoch)

        claiming = Claiming(self.world.keys, self.layouts, self.world.network, save, self.world.wall, lambda *_: None)
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


async def test_every_layout_must_grant_it(case: Case, clock: JumpingClock) -> None:
    """The old machine may write in the one or in the other; a partner counts in both."""
    world = case.world
    new = [world.join(number) for number in (3, 4)]
    await case.add_layout([world.sites[2], *new], k=1)
    assert (await case.claim())[1] is None
    for site in new:
        site.go(up=False)
    _, lacking = await case.claim(3)
    assert lacking is not None
    assert lacking.startswith("only 1 of 3")
    assert "q3 (not reached), q4 (not reached)" in lacking
    new[0].go(up=True)
    assert (await case.claim(4))[1] is None
    world.sites[1].go(up=False)
    world.sites[2].go(up=False)
    _, lacking = await case.claim(5)
    assert lacking is not None
    assert "p1 (not reached), p2 (not reached); only 1 of 3" in lacking


async def test_an_epoch_that_somebody_was_granted_in_an_older_layout_is_passed(case: Case, clock: JumpingClock) -> None:
    case.grant(0, 4)
    new = [case.world.join(number) for number in (3, 4)]
    await case.add_layout(new, k=1)
    claim, _ = await case.claim()
    assert claim.epoch == 5


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
