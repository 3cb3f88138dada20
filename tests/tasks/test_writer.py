"""What goes out when: content before what names it, one group after the other, and nobody waits for a slow partner."""

from pathlib import Path

import pytest
import trio

from coopfs.local.groups import State
from coopfs.tasks.writing import writer
from tests.sim.owner import Owner
from tests.sim.world import Geometry
from tests.tasks.homes import SETTLED, blocks, group_of, play, running, write


def test_a_disk_that_nobody_has_written_to_sends_its_root(tmp_path: Path) -> None:
    async def main(owner: Owner) -> None:
        await owner.own.committer.close_group()
        await trio.sleep(SETTLED)
        assert owner.own.ledger.progress.complete() == 1

    play(tmp_path, Geometry(1, 1), main)


def test_groups_that_close_while_one_is_on_its_way_follow_by_themselves(tmp_path: Path) -> None:
    async def main(owner: Owner) -> None:
        await trio.sleep(SETTLED)
        for name in (b"a", b"b", b"c"):
            last = await group_of(owner, name)
        await trio.sleep(SETTLED)
        assert owner.own.ledger.progress.complete() == last

    play(tmp_path, Geometry(1, 0), main)


def test_metadata_goes_out_when_the_content_that_it_names_is_written(tmp_path: Path) -> None:
    """1+1 with a partner away: its content is not written, so the other one does not get the group's END."""

    async def main(owner: Owner) -> None:
        await trio.sleep(SETTLED)
        owner.world.sites[1].go(up=False)
        group = await group_of(owner, b"a")
        await trio.sleep(SETTLED)
        assert len(blocks(owner, 0)) == 1
        assert owner.own.log.groups(State.CLOSED) == [group]
        owner.world.sites[1].go(up=True)
        await trio.sleep(SETTLED)
        assert len(blocks(owner, 0)) == len(blocks(owner, 1)) == 2
        assert owner.own.log.groups(State.WRITTEN) == [group]

    play(tmp_path, Geometry(1, 1), main)


def test_what_is_sent_and_not_held_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """2+2 with two partners away: written, not held."""
    monkeypatch.setattr(writer, "MAX_GROUPS_UNHELD", 3)

    async def main(owner: Owner) -> None:
        progress = owner.own.ledger.progress
        await trio.sleep(SETTLED)
        for number in (2, 3):
            owner.world.sites[number].go(up=False)
        for size in range(1000, 1008):
            last = await group_of(owner, b"a", size)
        await trio.sleep(SETTLED)
        assert (progress.barrier, progress.sealed) == (0, 3)
        owner.world.sites[2].go(up=True)
        await trio.sleep(SETTLED)
        assert progress.barrier == last

    play(tmp_path, Geometry(2, 2), main)


def test_a_partner_that_stands_still_does_not_stop_the_others(tmp_path: Path) -> None:
    async def main(owner: Owner) -> None:
        await trio.sleep(SETTLED)
        owner.world.sites[0].slowness = 1e9
        for number in range(20):  # more than its queue takes
            await write(owner, b"%d" % number, 80_000)
        last = await owner.own.committer.close_group()
        await trio.sleep(SETTLED)
        assert owner.own.ledger.progress.barrier == last
        assert not blocks(owner, 0)

    play(tmp_path, Geometry(1, 2), main)


def test_a_restart_goes_on_where_the_process_was_killed(tmp_path: Path) -> None:
    """At every step of a group: after its end, its sealing, its first blocks."""

    async def main(owner: Owner) -> None:
        await trio.sleep(SETTLED)
        group = await group_of(owner, b"a", 200_000)
        await owner.die(power=True)
        for pause in (0.05, 0.1, 0.15, 0.2, 0.3, 0.4):
            async with running(owner):
                await trio.sleep(pause)
                await owner.die(power=True)
        async with running(owner):
            await trio.sleep(SETTLED)
            assert owner.own.ledger.progress.complete() >= group

    play(tmp_path, Geometry(2, 1), main)
