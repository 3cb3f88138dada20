"""What `coopfs log` answers while a disk lives: from dirty to complete, and since when."""

from pathlib import Path
from typing import Any

import pytest
import trio

from coopfs.app.disk.inspecting import inspect
from coopfs.errors import UsageError
from tests.sim.owner import Owner
from tests.sim.world import Geometry
from tests.tasks.homes import SETTLED, group_of, play, running, write

MOUNT = Path("/mnt")
BIG = 200_000  # bytes: several extents and blocks


async def log(owner: Owner, name: str = "") -> dict[str, Any]:
    owner.own.mountpoint = MOUNT
    return await inspect(owner.own, MOUNT / name, lambda step, done, total: None)


def test_a_file_goes_from_dirty_to_complete(tmp_path: Path) -> None:
    async def main(owner: Owner) -> None:
        sites = owner.world.sites
        await trio.sleep(SETTLED)
        for site in sites:
            site.go(False)
        await write(owner, b"a", BIG)
        told = await log(owner, "a")
        assert (told["state"], told["share"], told["held_since"]) == ("dirty", 0, None)
        assert (told["kind"], told["size"], told["stored"]) == ("file", BIG, BIG)

        for site in sites[:3]:
            site.go(True)
        await trio.sleep(SETTLED)
        await owner.own.committer.close_group()
        await trio.sleep(SETTLED)
        told = await log(owner, "a")
        assert (told["state"], told["share"]) == ("held", 75)
        assert told["held_since"] is not None
        assert told["changed_at"] is not None
        assert {(extent["state"], extent["blocks"]) for extent in told["extents"]} == {("held", 3)}
        assert sum(extent["length"] for extent in told["extents"]) == BIG
        assert (told["blocks_each"], told["more_extents"]) == (4, 0)

        sites[3].go(True)
        await trio.sleep(2 * SETTLED)
        complete = await log(owner, "a")
        assert (complete["state"], complete["share"]) == ("complete", 100)
        assert complete["held_since"] == told["held_since"], "it has been held all the time"

    play(tmp_path, Geometry(2, 2), main)


def test_a_directory_is_the_sum_of_what_is_below_it(tmp_path: Path) -> None:
    async def main(owner: Owner) -> None:
        await write(owner, b"old", 1000)
        await owner.apply(("mkdir", ((b"sub",), 0o755)))
        await owner.apply(("link", ((b"old",), (b"sub", b"again"))))
        await owner.own.committer.close_group()
        await trio.sleep(SETTLED)
        for site in owner.world.sites:
            site.go(False)
        await write(owner, b"new", 2000)
        told = await log(owner)
        assert told["kind"] == "directory"
        assert told["entries"] == {"dirty": 2, "sent": 0, "written": 0, "held": 0, "complete": 2}
        assert told["bytes"]["dirty"] == 2000
        assert told["bytes"]["complete"] == 1000
        assert (told["state"], told["held_since"]) == ("dirty", None)
        below = await log(owner, "sub")
        assert (below["state"], below["held_since"] is not None) == ("complete", True)

    play(tmp_path, Geometry(2, 1), main)


def test_what_is_known_outlives_a_restart(tmp_path: Path) -> None:
    async def main(owner: Owner) -> None:
        await group_of(owner, b"a")
        await trio.sleep(SETTLED)
        before = await log(owner, "a")
        assert before["held_since"] is not None
        await owner.own.committer.commit()
        await owner.die(power=False)
        await trio.sleep(1000.0)
        async with running(owner):
            await trio.sleep(SETTLED)
            assert await log(owner, "a") == before

    play(tmp_path, Geometry(1, 1), main)


def test_other_paths_are_refused(tmp_path: Path) -> None:
    async def main(owner: Owner) -> None:
        with pytest.raises(UsageError, match="/mnt/b does not exist"):
            await log(owner, "b")
        owner.own.mountpoint = None
        with pytest.raises(UsageError, match="/mnt/b is not in the mounted disk"):
            await inspect(owner.own, MOUNT / "b", lambda step, done, total: None)

    play(tmp_path, Geometry(1, 1), main)
