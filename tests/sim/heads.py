"""A log that begins in the midst of a group: its oldest meta stripes were retired, the others are needed (R4)."""

from pathlib import Path
from unittest.mock import patch

import trio

from coopfs.core import cleaning
from coopfs.types import Kind
from tests.sim.network import Weather
from tests.sim.owner import Owner
from tests.sim.picture import difference
from tests.sim.restore import Refused, restore
from tests.sim.restores import brief
from tests.sim.trace import Violation
from tests.sim.world import Geometry
from tests.tasks.homes import SETTLED, group_of, play

FILES, ATTRIBUTE = 20, 40_000  # bytes: more meta stripes than are retired at once
GROUPS = 40  # by which the first group has been retired


def begin_within(geometry: Geometry, directory: Path) -> Violation | None:
    """A restore from there brings what the rest of that group tells. The promise that was broken."""
    broken: list[Violation] = []

    async def main(owner: Owner) -> None:
        first = await _long_group(owner)
        metas = _metas(owner, first)
        assert metas > 1
        for number in range(GROUPS):
            await group_of(owner, b"%d" % number)
            with trio.move_on_after(SETTLED):
                await owner.own.ledger.changed.wait_until(lambda: 0 < _metas(owner, first) < metas)
                break
        else:
            raise AssertionError("the log never begins within the first group")
        newest = owner.history.newest_held
        await owner.burn()
        found = await restore(owner.world, owner.world.way(Weather()), directory / "view")
        if isinstance(found, Refused) or found.group < newest:
            broken.append(Violation(f"P2: group {newest} was held, and there is {brief(found)}"))
        elif (there := owner.history.end_of(newest)) != found.picture:
            broken.append(Violation(f"P1: group {newest} as restored: {difference(found.picture, there)}"))

    with patch.object(cleaning, "LOG_SLACK", 0):
        play(directory, geometry, main)
    return broken[0] if broken else None


async def _long_group(owner: Owner) -> int:
    """Returns its id."""
    for number in range(FILES):
        path = (b"long %d" % number,)
        await owner.apply(("create", (path, 0o644)))
        await owner.apply(("setxattr", (path, b"user.a", owner.world.random.randbytes(ATTRIBUTE), 0)))
    group = owner.own.local.metadata.group
    await owner.close_group()
    await trio.sleep(SETTLED)
    return group


def _metas(owner: Owner, group: int) -> int:
    """Its meta stripes that what is held needs."""
    query = f"SELECT count(*) FROM stripes WHERE kind != {Kind.DATA:d} AND born = ? AND (died IS NULL OR died > ?)"
    ((count,),) = owner.own.local.database.read(query, (group, owner.own.ledger.progress.barrier))
    return int(count)
