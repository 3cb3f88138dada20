"""The scrub: rot at a partner that nobody reads is found and mended within the days that the owner chose."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import trio

from coopfs.app.disk.status import describe_disk
from coopfs.core.columnstate import ColumnState
from coopfs.limits import SCRUB_ROUNDS
from coopfs.types import StoredBlock
from tests.memory import MemoryStore
from tests.sim.invariants import check_ledger
from tests.sim.owner import Owner
from tests.sim.world import Geometry
from tests.tasks.homes import SETTLED, group_of, play, running

PERIOD = 600.0  # seconds: days, for those who live so fast


async def some_stripes(owner: Owner, count: int = 12) -> int:
    """How many blocks count then; what is left of dead stripes does not."""
    for number in range(count):
        await group_of(owner, b"%d" % number, 20_000)
        await trio.sleep(1)
    await trio.sleep(SETTLED)
    while owner.own.local.metadata.group_changed:  # retiring changes the open group, and would go on when that is old
        await owner.own.committer.close_group()
        await trio.sleep(SETTLED)
    return 3 * len(list(owner.own.log.places()))


@contextmanager
def counted() -> Iterator[list[int]]:
    """Rows that any partner is asked for."""
    asked: list[int] = []
    get = MemoryStore.get

    async def ask(self: MemoryStore, row: int) -> StoredBlock | None:
        asked.append(row)
        return await get(self, row)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(MemoryStore, "get", ask)
        yield asked


def told(owner: Owner) -> dict[str, float]:
    found: dict[str, float] = describe_disk(owner.own)["scrub"]
    return found


def test_rot_that_nobody_reads_is_found_and_mended_within_the_period(tmp_path: Path) -> None:
    async def main(owner: Owner) -> None:
        await some_stripes(owner)
        await trio.sleep(1.5 * PERIOD)
        store = owner.world.sites[1].host.only_store
        before = {row: store.blocks[row] for _, row, _, _ in owner.own.log.places()}
        for row in before:
            store.spoil(row)
            owner.world.trace.lose(1, row)
        await trio.sleep(PERIOD + SETTLED)
        assert before == {row: store.blocks.get(row) for row in before}
        check_ledger(owner)
        column = owner.own.columns.columns[1]
        assert (column.lost, column.state) == (len(before), ColumnState.COUNTED)
        assert told(owner)["wrong"] == len(before)
        assert told(owner)["finished_at"] is not None

    play(tmp_path, Geometry(2, 1), main, scrub=PERIOD)


def test_a_clock_that_is_set_back_after_a_pass_keeps_no_block_unseen(tmp_path: Path) -> None:
    async def main(owner: Owner) -> None:
        count = await some_stripes(owner)
        await trio.sleep(PERIOD)
        while any(scrub.now.is_under_way for scrub in owner.own.scrubber._scrubs.values()):
            await trio.sleep(1)
        owner.world.skipped -= 100 * PERIOD
        with counted() as asked:
            await trio.sleep(2.5 * PERIOD)
        assert len(asked) >= count

    play(tmp_path, Geometry(2, 1), main, scrub=PERIOD)


def test_every_block_is_looked_at_once_at_an_even_pace(tmp_path: Path) -> None:
    async def main(owner: Owner) -> None:
        count = await some_stripes(owner)
        await trio.sleep(PERIOD)  # the first pass began with the first stripe
        with counted() as asked:
            await trio.sleep(PERIOD / 4)
            assert count / 8 < len(asked) < count / 2
            await trio.sleep(PERIOD / 4)
            assert count / 3 < len(asked) < count * 2 / 3
            await trio.sleep(PERIOD / 2)
            assert abs(len(asked) - count) <= 3
        figures = told(owner)
        assert (figures["wrong"], figures["silent"]) == (0, 0)
        assert figures["of"] == count

    play(tmp_path, Geometry(2, 1), main, scrub=PERIOD)


def test_it_goes_on_where_it_was_after_a_crash(tmp_path: Path) -> None:
    async def main(owner: Owner) -> None:
        count = await some_stripes(owner)
        await trio.sleep(PERIOD * 1.5)
        done = told(owner)["done"]
        assert done > count / 3
        await owner.own.committer.commit()
        await owner.die(power=True)
        with counted() as asked:
            async with running(owner):
                assert done - told(owner)["done"] <= 3 * (1 + count / SCRUB_ROUNDS), "a note ago"
                await trio.sleep(SETTLED)
                assert len(asked) < count / 4, "at its pace"
                assert told(owner)["done"] >= done

    play(tmp_path, Geometry(2, 1), main, scrub=PERIOD)


def test_who_was_away_is_waited_for_and_caught_up_with(tmp_path: Path) -> None:
    async def main(owner: Owner) -> None:
        count = await some_stripes(owner)
        await trio.sleep(PERIOD)
        owner.world.sites[2].go(up=False)
        with counted() as asked:
            await trio.sleep(PERIOD / 2)
            assert len(asked) <= count * 2 / 3 / 2 + 3
            owner.world.sites[2].go(up=True)
            await trio.sleep(PERIOD / 2)
            assert abs(len(asked) - count) <= 4
        assert told(owner)["silent"] == 0

    play(tmp_path, Geometry(2, 1), main, scrub=PERIOD)


def test_nothing_is_asked_for_while_a_reader_waits(tmp_path: Path) -> None:
    async def main(owner: Owner) -> None:
        await some_stripes(owner)
        content = owner.own._recaller._content
        database = owner.own.local.database
        (stripe,) = database.read("SELECT min(id) FROM stripes WHERE kind = 1 AND row IS NOT NULL").fetchone()
        for site in owner.world.sites[:2]:
            site.go(up=False)
        await trio.sleep(1)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(content.read, stripe, 0, 1)
            await trio.sleep(1)
            with counted() as asked:
                await trio.sleep(PERIOD / 10)
                assert asked == []
                owner.world.sites[0].go(up=True)
                await trio.sleep(PERIOD / 10)
                assert asked

    play(tmp_path, Geometry(2, 1), main, scrub=PERIOD)


def test_a_store_that_was_just_replaced_is_looked_at_no_more(tmp_path: Path) -> None:
    """Nothing is noted of it any more: a pass over it would end again and again, without a pause."""

    async def main(owner: Owner) -> None:
        await some_stripes(owner)
        await trio.sleep(PERIOD / 2)
        column = owner.own.columns.columns[1]
        over = trio.Event()

        async def scrub() -> None:
            await owner.own.scrubber.run(column)
            over.set()

        async with trio.open_nursery() as nursery:
            column.gone = True
            nursery.start_soon(scrub)
            for _ in range(10):
                await trio.lowlevel.checkpoint()
            nursery.cancel_scope.cancel()
        assert over.is_set()

    play(tmp_path, Geometry(2, 1), main, scrub=PERIOD)


def test_without_a_period_nothing_is_looked_at(tmp_path: Path) -> None:
    async def main(owner: Owner) -> None:
        await some_stripes(owner)
        with counted() as asked:
            await trio.sleep(PERIOD)
        assert asked == []
        assert describe_disk(owner.own)["scrub"] is None

    play(tmp_path, Geometry(2, 1), main)
