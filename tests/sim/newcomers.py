"""Partners that get a column: one that is named by no master block that a restore finds (R14), and one that has
not got its blocks yet (R7)."""

from pathlib import Path

import trio

from coopfs.app.disk import changing
from coopfs.core.columnstate import Event
from coopfs.local.kitrecord import MadeKit
from coopfs.local.partners import PartnerEntry
from tests.sim.network import Weather
from tests.sim.owner import Owner
from tests.sim.restore import Refused, restore
from tests.sim.restores import brief
from tests.sim.trace import Violation
from tests.sim.world import Geometry
from tests.tasks.homes import SETTLED, group_of, play


def replace_unseen(geometry: Geometry, directory: Path) -> Violation | None:
    """The last column gets a new partner while all the others whom the kit names are given up: what the new one has
    counts for nothing, as only they could tell a restore of it. The promise that was broken."""
    broken: list[Violation] = []

    async def main(owner: Owner) -> None:
        world = owner.world
        await group_of(owner, b"a")
        await trio.sleep(SETTLED)
        others = list(world.sites[:-1])
        old, new = world.sites[-1], world.join(len(others))
        for site in others:
            site.go(up=False)
            owner.own.columns.happen(owner.own.columns.columns[site.number], Event.LOST)  # sooner than AWAY_AFTER
        entries = [PartnerEntry(f"p{site.life}", site.host.key, (), 0, 1 << 40) for site in (old, new)]
        await changing.give(owner.own, *entries)
        await trio.sleep(SETTLED)
        await group_of(owner, b"b")
        await trio.sleep(SETTLED)
        newest = owner.history.newest_held
        await owner.burn()
        for site in others:
            site.go(up=True)
        old.go(up=False)
        found = await restore(world, world.way(Weather()), directory / "view")
        if isinstance(found, Refused) or found.group < newest:
            broken.append(Violation(f"R14: group {newest} was held, and a restore finds {brief(found)}"))

    play(directory, geometry, main)
    return broken[0] if broken else None


def replace_slowly(geometry: Geometry, directory: Path) -> Violation | None:
    """The last column is given to a partner with a slow line; when nobody else has that any more, the first partner is
    lost. The promise that was broken."""
    broken: list[Violation] = []

    async def main(owner: Owner) -> None:
        world = owner.world
        held = await group_of(owner, b"a", 3_000_000)
        await trio.sleep(2 * SETTLED)
        assert owner.own.ledger.progress.complete() == held
        old, new = world.sites[-1], world.join(len(world.sites) - 1)
        new.slowness = 300.0
        entries = [PartnerEntry(f"p{site.life}", site.host.key, (), 0, 1 << 40) for site in (old, new)]
        await changing.give(owner.own, *entries)
        owner.own.hand_out(MadeKit(0, owner.own.places.nodes))
        while old.host.stores:
            await trio.sleep(0.1)
        await owner.burn()
        world.sites[0].go(up=False)
        found = await restore(world, world.way(Weather()), directory / "view")
        if isinstance(found, Refused) or found.group < held:
            broken.append(Violation(f"P2: group {held} was held, and a restore finds {brief(found)}"))

    play(directory, geometry, main)
    return broken[0] if broken else None
