"""Which columns count: who is away, who is lost, and what a restart remembers of it."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import trio

from coopfs.app.disk.changing import lose
from coopfs.app.disk.status import describe_disk
from coopfs.core.columnstate import ColumnState, Event
from coopfs.core.master import INCOMING
from coopfs.errors import UsageError
from coopfs.limits import AWAY_AFTER, CHALLENGE_AGAIN, GRACE_PERIOD, LOST_CHECK, ONLINE_AFTER, RECONNECT_MAX
from coopfs.local.partners import PartnerEntry
from coopfs.tasks.writing import columns as columns_of
from coopfs.tasks.writing import committer, comparing
from coopfs.types import StoreId
from tests.sim.owner import Owner
from tests.sim.world import Geometry
from tests.tasks.homes import SETTLED, blocks, group_of, play, running, sleep_through

S = ColumnState


def states(owner: Owner) -> list[ColumnState]:
    return [column.state for column in owner.own.columns.columns]


def test_a_comparison_waits_for_commits_where_much_is_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of it in one transaction does not fit into the room that the database has on a full disk."""
    changed: list[int] = []

    async def main(owner: Owner) -> None:
        for number in range(20):
            await group_of(owner, b"%d" % number)
        await trio.sleep(SETTLED)
        site = owner.world.sites[1]
        (store,) = site.host.stores.values()
        store.blocks.clear()
        owner.world.damaged.add(site.number)
        monkeypatch.setattr(comparing, "LOST_AT_ONCE", 4)
        monkeypatch.setattr(committer, "CHANGES_SOON", 4)
        monkeypatch.setattr(committer, "CHANGES_MOST", 8)
        note_lost = owner.own.ledger._note_lost

        def noted(ids: Sequence[int], column: int) -> None:
            note_lost(ids, column)
            changed.append(owner.own.local.database.rows_changed)

        monkeypatch.setattr(owner.own.ledger, "_note_lost", noted)
        site.cut()
        await trio.sleep(SETTLED)
        assert len(changed) >= 6
        assert max(changed) < 8 + 4 * 4
        assert len(blocks(owner, 1)) > 20, "it has all again"

    play(tmp_path, Geometry(1, 2), main)


def test_who_is_lost_counts_no_more_even_if_it_comes_back(tmp_path: Path) -> None:
    async def main(owner: Owner) -> None:
        site, progress = owner.world.sites[1], owner.own.ledger.progress
        await group_of(owner, b"a")
        await trio.sleep(SETTLED)
        assert progress.margin() == 2
        site.go(up=False)
        await trio.sleep(SETTLED)
        owner.own.columns.happen(owner.own.columns.columns[1], Event.LOST)
        assert (states(owner), progress.away, progress.margin()) == ([S.COUNTED, S.LOST, S.COUNTED], 0b010, 1)
        held = blocks(owner, 1)
        site.go(up=True)
        group = await group_of(owner, b"b")
        await trio.sleep(SETTLED)
        assert progress.barrier == group
        assert blocks(owner, 1) == held, "it is not written to any more"
        assert owner.own.columns.columns[1].session is None
        await owner.die(power=True)
        async with running(owner):
            await trio.sleep(SETTLED)
            assert (states(owner)[1], owner.own.columns.reached) == (S.LOST, 2)

    play(tmp_path, Geometry(1, 2), main)


def test_an_open_column_that_is_lost_closes(tmp_path: Path) -> None:
    async def main(owner: Owner) -> None:
        await trio.sleep(SETTLED)
        column = owner.own.columns.columns[0]
        assert column.session is not None
        owner.own.columns.happen(column, Event.LOST)
        await trio.sleep(SETTLED)
        assert (column.session, column.trouble) == (None, "it was declared lost")

    play(tmp_path, Geometry(1, 1), main)


@pytest.mark.parametrize(("m", "unreachable", "lost"), [(2, 1, True), (2, 2, False), (1, 1, True)])
def test_who_is_unreachable_for_weeks_is_lost_unless_most_are(
    tmp_path: Path, m: int, unreachable: int, lost: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """This machine must have been online for a while to know: for a minute here. Most gone: it is offline, and says
    so."""
    monkeypatch.setattr(columns_of, "AWAY_AFTER", 60.0)
    monkeypatch.setattr(columns_of, "ONLINE_AFTER", 60.0)

    async def main(owner: Owner) -> None:
        await trio.sleep(SETTLED)
        for site in owner.world.sites[:unreachable]:
            site.go(up=False)
        await trio.sleep(SETTLED / 2)
        sleep_through(owner, GRACE_PERIOD)
        await trio.sleep(10)
        assert states(owner)[0] is S.AWAY, "it has not tried for long enough"
        await trio.sleep(LOST_CHECK + SETTLED)
        assert states(owner)[0] is (S.LOST if lost else S.AWAY)
        assert states(owner)[-1] is S.COUNTED
        assert describe_disk(owner.own)["offline"] is not lost
        for site in owner.world.sites[:unreachable]:
            site.go(up=True)
        await trio.sleep(SETTLED)
        assert describe_disk(owner.own)["offline"] is False

    play(tmp_path, Geometry(1, m), main)


@pytest.mark.parametrize("asleep", [False, True])
def test_who_comes_back_later_than_others_after_weeks_offline_is_not_lost(tmp_path: Path, asleep: bool) -> None:
    """asleep: this machine is, and with it the clock of its process."""

    async def main(owner: Owner) -> None:
        await trio.sleep(AWAY_AFTER + SETTLED)
        for site in owner.world.sites:
            site.go(up=False)
        await trio.sleep(60)
        if asleep:
            sleep_through(owner, GRACE_PERIOD)
        else:
            await trio.sleep(GRACE_PERIOD)
        for site in owner.world.sites:
            site.go(up=True)
            await trio.sleep(SETTLED)
        await trio.sleep(2 * ONLINE_AFTER)
        assert set(states(owner)) == {S.COUNTED}

        sleep_through(owner, 60)
        owner.world.sites[0].go(up=False)
        await trio.sleep(GRACE_PERIOD + LOST_CHECK + SETTLED)
        assert states(owner)[0] is S.LOST, "by its own fault"

    play(tmp_path, Geometry(2, 2), main)


def test_a_stripe_that_died_since_it_was_seen_is_no_loss(tmp_path: Path) -> None:
    async def main(owner: Owner) -> None:
        await group_of(owner, b"a")
        await trio.sleep(SETTLED)
        ((alive, *_), *_) = owner.own.log.places()
        column = owner.own.columns.columns[1]
        owner.own.columns.disprove(column, [alive, 1_000_000])
        assert (column.lost, states(owner)[1]) == (1, S.CATCHING_UP)
        await trio.sleep(SETTLED)
        assert states(owner)[1] is S.COUNTED

    play(tmp_path, Geometry(1, 1), main)


@pytest.mark.parametrize("restart", [False, True])
def test_who_is_reached_and_takes_nothing_is_as_good_as_away(tmp_path: Path, restart: bool) -> None:
    """Its disk is full: with m = 1 nothing would become held again. It counts again once it has all."""

    async def main(owner: Owner) -> None:
        await trio.sleep(SETTLED)
        site = owner.world.sites[0]
        site.full = True
        group = await group_of(owner, b"a")
        await trio.sleep(AWAY_AFTER / 2)
        assert (states(owner)[0], owner.own.ledger.progress.barrier < group) == (S.COUNTED, True)
        if restart:
            await owner.die(power=True)
            async with running(owner):
                await beyond(owner, group)
        else:
            await beyond(owner, group)

    async def beyond(owner: Owner, group: int) -> None:
        await trio.sleep(AWAY_AFTER / 2 + SETTLED)
        assert (states(owner), owner.own.ledger.progress.barrier) == ([S.AWAY, S.COUNTED], group)
        owner.world.sites[0].full = False
        await trio.sleep(2 * RECONNECT_MAX + SETTLED)
        assert states(owner) == [S.COUNTED, S.COUNTED]
        assert blocks(owner, 0) == blocks(owner, 1)

    play(tmp_path, Geometry(1, 1), main)


@pytest.mark.parametrize("restart", [False, True])
def test_who_is_reached_and_gives_nothing_back_is_as_good_as_away(tmp_path: Path, restart: bool) -> None:
    """Neither its acks nor its being up are of any use. It counts again with the first block that it shows."""

    async def main(owner: Owner) -> None:
        await group_of(owner, b"a")
        await trio.sleep(SETTLED)
        site = owner.world.sites[0]
        site.mute = True
        await owner.own.checker.run(lambda step, done, total: None, deep=True, repair=False)
        await trio.sleep(AWAY_AFTER / 2)
        assert (states(owner)[0], described(owner)) == (S.COUNTED, "gives nothing")
        if restart:
            await owner.die(power=True)
            async with running(owner):
                await beyond(owner)
        else:
            await beyond(owner)

    async def beyond(owner: Owner) -> None:
        await trio.sleep(AWAY_AFTER / 2 + SETTLED)
        assert states(owner) == [S.AWAY, S.COUNTED]
        group = await group_of(owner, b"b")
        await trio.sleep(SETTLED)
        assert owner.own.ledger.progress.barrier == group, "with the other partner alone"
        owner.world.sites[0].mute = False
        await trio.sleep(CHALLENGE_AGAIN + SETTLED)
        assert states(owner) == [S.COUNTED, S.COUNTED]

    def described(owner: Owner) -> str:
        state: str = describe_disk(owner.own)["columns"][0]["state"]
        return state

    play(tmp_path, Geometry(1, 1), main)


def test_an_answer_that_failed_once_is_no_reason(tmp_path: Path) -> None:
    async def main(owner: Owner) -> None:
        await group_of(owner, b"a")
        await trio.sleep(SETTLED)
        site, column = owner.world.sites[0], owner.own.columns.columns[0]
        site.mute = True
        await owner.own.checker.run(lambda step, done, total: None, deep=True, repair=False)
        assert column.gives_nothing
        site.mute = False
        await trio.sleep(CHALLENGE_AGAIN + SETTLED)
        assert not column.gives_nothing
        await trio.sleep(AWAY_AFTER)
        assert states(owner) == [S.COUNTED, S.COUNTED]

    play(tmp_path, Geometry(1, 1), main)


def test_a_connection_that_ended_under_a_question_is_no_reason(tmp_path: Path) -> None:
    """Nor is the question that is asked before the end is noticed: after a takeover nothing can be written while too
    few are believed."""

    async def main(owner: Owner) -> None:
        await group_of(owner, b"a")
        await trio.sleep(SETTLED)
        site, column = owner.world.sites[0], owner.own.columns.columns[0]
        site.slowness = 100.0
        async with trio.open_nursery() as nursery:
            nursery.start_soon(partial(owner.own.checker.run, lambda *step: None, deep=True, repair=False))
            await trio.sleep(0.5)
            site.cut()
        assert column.gives_nothing
        site.slowness = 1.0
        await trio.sleep(SETTLED)
        assert not column.gives_nothing

    play(tmp_path, Geometry(1, 1), main)


def test_who_takes_nothing_can_be_declared_lost(tmp_path: Path) -> None:
    async def main(owner: Owner) -> None:
        await trio.sleep(SETTLED)
        owner.world.sites[0].full = True
        await group_of(owner, b"a")
        place = owner.own.columns.columns[0].place
        entry = PartnerEntry(place.name, place.node, place.addresses, 0, 0)
        with pytest.raises(UsageError, match="answers, and what it holds counts"):
            await lose(owner.own, entry)
        await trio.sleep(AWAY_AFTER + SETTLED)
        await lose(owner.own, entry)
        assert states(owner) == [S.LOST, S.COUNTED]

    play(tmp_path, Geometry(1, 1), main)


def test_a_connection_that_broke_once_is_no_reason(tmp_path: Path) -> None:
    async def main(owner: Owner) -> None:
        await trio.sleep(SETTLED)
        site = owner.world.sites[0]
        site.full = True
        await group_of(owner, b"a")
        await trio.sleep(SETTLED)
        assert owner.own.columns.columns[0].takes_nothing
        site.full = False
        await trio.sleep(2 * RECONNECT_MAX + SETTLED)
        assert not owner.own.columns.columns[0].takes_nothing
        await trio.sleep(AWAY_AFTER)
        assert states(owner) == [S.COUNTED, S.COUNTED]

    play(tmp_path, Geometry(1, 1), main)


def test_who_comes_back_after_a_restart_is_not_taken_for_one_that_takes_nothing(tmp_path: Path) -> None:
    """Its weeks of absence are over, even if nothing can be sent to it yet."""

    async def main(owner: Owner) -> None:
        await trio.sleep(SETTLED)
        site = owner.world.sites[0]
        site.go(up=False)
        await group_of(owner, b"a")
        await trio.sleep(AWAY_AFTER + SETTLED)
        assert states(owner)[0] is S.AWAY
        await owner.die(power=True)
        async with running(owner):
            await trio.sleep(SETTLED)
            assert not owner.own.columns.columns[0].takes_nothing
            site.go(up=True)
            await trio.sleep(2 * RECONNECT_MAX + SETTLED)
            assert states(owner) == [S.COUNTED, S.COUNTED]

    play(tmp_path, Geometry(1, 1), main)


def test_a_store_that_goes_as_soon_as_it_comes_is_no_trouble(tmp_path: Path) -> None:
    """In whatever order those are told who work for it."""

    async def main(owner: Owner) -> None:
        await trio.sleep(SETTLED)
        columns, places = owner.own.columns, owner.own.places
        for number in range(40):
            store = replace(places.primaries[0], store=StoreId(bytes([number]) * 16), role=INCOMING)
            columns.seat((places.with_incoming(0, store),))
            await trio.lowlevel.checkpoint()
            columns.seat((places,))
            await trio.sleep(1)
        assert (owner.own.trouble, states(owner)) == (None, [S.COUNTED, S.COUNTED])

    play(tmp_path, Geometry(1, 1), main)


def test_who_is_reached_again_gives_what_it_has_whatever_else_changes(tmp_path: Path) -> None:
    """Only after a restart it is not known why it was not reached."""

    async def main(owner: Owner) -> None:
        await group_of(owner, b"a")
        await trio.sleep(SETTLED)
        owner.world.sites[0].go(up=False)
        await trio.sleep(SETTLED)
        owner.own.columns.seat((owner.own.places,))
        assert not owner.own.columns.columns[0].gives_nothing
        owner.world.sites[0].go(up=True)
        await trio.sleep(SETTLED)
        assert described(owner) == "caught up"

    def described(owner: Owner) -> str:
        state: str = describe_disk(owner.own)["columns"][0]["state"]
        return state

    play(tmp_path, Geometry(1, 1), main)
