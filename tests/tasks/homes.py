"""An owner and its partners in one process, for tests that steer them by hand (see tests/sim)."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random

import trio

from coopfs.types import Kind
from tests.sim import schedule
from tests.sim.history import History
from tests.sim.network import Weather
from tests.sim.owner import Owner
from tests.sim.platter import Platter
from tests.sim.takeover import Found, take_over
from tests.sim.world import Geometry, World

SETTLED = 30.0  # seconds in which everything that can happen has happened

Main = Callable[[Owner], Awaitable[None]]


def play(directory: Path, geometry: Geometry, main: Main, cache: int | None = None, scrub: float = 0.0) -> None:
    """Run `main` with a disk that is open, under a fixed seed. cache: stripes that the local disk has room for; scrub:
    seconds in which it looks at every block once, 0 for never."""

    async def begin() -> None:
        async with trio.open_nursery() as late:
            world = World(geometry, Random(1), directory, late)
            world.network.weather = Weather(delay=0.01)
            world.cache, world.scrub = cache, scrub
            owner = Owner(world, Platter(await world.format()), History(), {})
            with owner.platter.watching():
                async with running(owner):
                    await main(owner)
            late.cancel_scope.cancel()

    schedule.run(Random(1), begin)


@asynccontextmanager
async def running(owner: Owner) -> AsyncIterator[None]:
    """The owner's process, until the block ends or somebody kills it."""
    async with trio.open_nursery() as nursery:
        await nursery.start(owner.run)
        yield
        nursery.cancel_scope.cancel()


async def heir_of(owner: Owner, directory: Path) -> Owner:
    """Whoever takes the disk over after its machine burned."""
    owner.world.kit = owner.own.places.nodes
    await owner.burn()
    found = await take_over(owner.world, directory)
    assert isinstance(found, Found)
    history = owner.history.up_to(found.taken.state.group)
    heir = Owner(owner.world, Platter(found.taken.directory), history, owner.content())
    heir.may_be_fenced = True
    return heir


async def written_twice(owner: Owner, directory: Path) -> tuple[int, int]:
    """The last of four partners has a newer END of a copy of this home, which was never held, and all others have what
    the original was told to be held: its group, and the version of its END. Both homes have burned."""
    world = owner.world
    older = await group_of(owner, b"a")
    await trio.sleep(SETTLED)
    copy = owner.copied(directory)
    world.sites[3].go(up=False)
    held = await group_of(owner, b"b")
    await trio.sleep(SETTLED)
    assert owner.own.ledger.progress.barrier == held == older + 1
    query = "SELECT version FROM stripes WHERE grp = ? AND kind = ?"
    ((end,),) = owner.own.local.database.read(query, (held, Kind.END))
    await owner.burn()
    for number, site in enumerate(world.sites):
        site.go(up=number == 3)
    async with running(copy):
        await group_of(copy, b"c", 0)  # nothing but an END, which waits for no content
        await trio.sleep(SETTLED)
        assert copy.own.ledger.progress.barrier == older
        await copy.burn()
    assert max(block.version for block in world.sites[3].host.only_store.blocks.values()) > end
    for site in world.sites:
        site.go(up=True)
    return held, end


def sleep_through(owner: Owner, seconds: float) -> None:
    """So long this machine sleeps; it looks around when it wakes up."""
    owner.world.skipped += seconds
    owner.own.ledger.changed.notify()


async def write(owner: Owner, name: bytes, size: int) -> None:
    """A file with new content."""
    data = Random(f"{name!r} {trio.current_time()}").randbytes(size)
    for operation in (
        ("create", ((name,), 0o644)),
        ("open", (0, (name,), True)),
        ("write", (0, 0, data)),
        ("close", (0,)),
    ):
        await owner.apply(operation)


async def group_of(owner: Owner, name: bytes, size: int = 1000) -> int:
    """A group that holds a new version of one file; its number."""
    await write(owner, name, size)
    group = await owner.own.committer.close_group()
    assert group is not None
    return group


def blocks(owner: Owner, column: int) -> dict[int, int]:
    """Row -> version of what a partner stores."""
    (store,) = owner.world.sites[column].host.stores.values()
    return {row: block.version for row, block in store.blocks.items()}
