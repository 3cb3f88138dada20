"""Partners that claim what they have let go, others that never had it, and some that lost all (R11, R16)."""

from collections.abc import Callable
from pathlib import Path

import trio

from coopfs.limits import AWAY_AFTER
from coopfs.types import Kind, StoredBlock
from tests.sim.network import Weather
from tests.sim.owner import Owner
from tests.sim.restore import Refused, restore
from tests.sim.restores import brief
from tests.sim.trace import Violation
from tests.sim.world import Geometry, World
from tests.tasks.homes import SETTLED, group_of, play, sleep_through


def claim(geometry: Geometry, directory: Path) -> Violation | None:
    """Too few have the content of the newest group, and f partners more claim it: a restore finds the one before. The
    promise that was broken."""
    return _newest(geometry, directory, geometry.quorum.f)


def lack(geometry: Geometry, directory: Path) -> Violation | None:
    """Too few have the content of the newest group, and nobody claims more. The promise that was broken."""
    return _newest(geometry, directory, 0)


def come_back_without(geometry: Geometry, directory: Path) -> Violation | None:
    """A partner is away for a moment, and has lost all blocks when it is back; then f others are lost. The promise that
    was broken."""
    broken: list[Violation] = []

    async def main(owner: Owner) -> None:
        sites = owner.world.sites
        await group_of(owner, b"a")
        await trio.sleep(SETTLED)
        sites[0].go(up=False)
        sites[0].host.only_store.blocks.clear()
        sites[0].go(up=True)
        await trio.sleep(SETTLED)
        newest = owner.history.newest_held
        await owner.burn()
        for site in sites[1 : 1 + geometry.quorum.f]:
            site.go(up=False)
        found = await restore(owner.world, owner.world.way(Weather()), directory / "view")
        if isinstance(found, Refused) or found.group < newest:
            broken.append(Violation(f"P2: group {newest} was held, and there is {brief(found)}"))

    play(directory, geometry, main)
    return broken[0] if broken else None


def garble(geometry: Geometry, directory: Path) -> Violation | None:
    """Of two that hold the newest group one cannot be reached, and the other one claims it and has garbage: a restore
    may not believe that there was nothing. The promise that was broken. geometry: 1+2."""

    def damage(world: World) -> None:
        blocks = world.sites[1].host.only_store.blocks
        for row, block in list(blocks.items()):
            blocks[row] = StoredBlock(block.version, b"gone")

    return _without_the_newest(geometry, directory, damage)


def forget(geometry: Geometry, directory: Path) -> Violation | None:
    """Of two that hold the newest group one is lost, and the other one's disk: a restore may not believe that there was
    nothing. The promise that was broken. geometry: 1+2."""
    return _without_the_newest(geometry, directory, lambda world: world.sites[1].host.forget())


def _without_the_newest(geometry: Geometry, directory: Path, damage: Callable[[World], None]) -> Violation | None:
    """The newest group is on the first two; the first is away, the second damaged, and the third knows of nothing."""
    broken: list[Violation] = []

    async def main(owner: Owner) -> None:
        sites = owner.world.sites
        await group_of(owner, b"a")
        await trio.sleep(SETTLED)
        sites[2].go(up=False)
        await trio.sleep(SETTLED)
        sleep_through(owner, AWAY_AFTER)  # less than FLOOR_INTERVAL: the floor tells nothing of it
        await trio.sleep(SETTLED)
        group = await group_of(owner, b"b")
        await trio.sleep(SETTLED)
        assert owner.history.newest_held == group
        await owner.burn()
        sites[0].go(up=False)
        damage(owner.world)
        sites[2].go(up=True)
        found = await restore(owner.world, owner.world.way(Weather()), directory / "view")
        if not isinstance(found, Refused) and found.doubt is None:
            broken.append(Violation(f"R11: group {group} was held, and a restore silently gives group {found.group}"))

    play(directory, geometry, main)
    return broken[0] if broken else None


def _newest(geometry: Geometry, directory: Path, liars: int) -> Violation | None:
    broken: list[Violation] = []

    async def main(owner: Owner) -> None:
        group = await group_of(owner, b"a")
        await trio.sleep(SETTLED)
        await group_of(owner, b"b")
        await trio.sleep(SETTLED)
        newest = max((version, row) for id_, row, version, _ in owner.own.log.places() if _is_content(owner, id_))
        await owner.burn()
        _let_go(owner.world, newest[1], geometry.k - 1, liars)
        try:
            found = await restore(owner.world, owner.world.way(Weather()), directory / "view")
            if isinstance(found, Refused) or found.group < group:
                broken.append(Violation(f"P2: group {group} was held, and there is {brief(found)}"))
        except* Violation as told:
            broken.append(Violation(str(told.exceptions[0])))

    play(directory, geometry, main)
    return broken[0] if broken else None


def _is_content(owner: Owner, stripe: int) -> bool:
    query = "SELECT kind FROM stripes WHERE id = ?"
    return bool(owner.own.local.database.read(query, (stripe,)).fetchone() == (Kind.DATA,))


def _let_go(world: World, row: int, keep: int, liars: int) -> None:
    """The first `keep` columns have the block of this row still, and so many more say so."""
    for column, site in enumerate(world.sites):
        blocks = site.host.only_store.blocks
        if keep <= column < keep + liars:
            blocks[row] = StoredBlock(blocks[row].version, b"gone")
        elif column >= keep:
            del blocks[row]
