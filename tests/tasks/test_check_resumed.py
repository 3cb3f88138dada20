"""A check of all blocks that is interrupted goes on where it was, and says nothing of what it has not seen."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

import pytest
import trio

from coopfs.limits import CHECK_LASTS, CHECK_PATIENCE
from coopfs.local import checkmark
from coopfs.tasks.checking import deepcheck
from coopfs.types import StoredBlock
from tests.memory import MemoryStore
from tests.sim.invariants import check_ledger
from tests.sim.owner import Owner
from tests.sim.world import Geometry
from tests.tasks.homes import SETTLED, play, running
from tests.tasks.test_check import look, told
from tests.tasks.test_scrub import counted, some_stripes

PAGE = 2  # stripes


@pytest.fixture(autouse=True)
def small_pages() -> object:
    """So that a check of a dozen stripes has a middle."""
    with patch.object(deepcheck, "CHECK_PAGE", PAGE):
        yield


def seen(owner: Owner) -> int:
    return owner.own.checker._mark.looked


async def until_seen(owner: Owner, blocks: int) -> None:
    while seen(owner) < blocks:
        await trio.sleep(0.001)


async def interrupt(owner: Owner, blocks: int, *, repair: bool = False) -> None:
    """Begin a check, and give up when it has looked at so many blocks."""
    async with trio.open_nursery() as nursery:

        async def begin() -> None:
            await look(owner, deep=True, repair=repair)

        nursery.start_soon(begin)
        await until_seen(owner, blocks)
        nursery.cancel_scope.cancel()
    await owner.own.committer.commit()


def data_rows(owner: Owner) -> list[int]:
    """Of the oldest and of the newest stripe that no check of the log reads."""
    rows = [row for id_, row, _, _ in sorted(owner.own.log.places()) if owner.own.log.is_data(id_)]
    return [rows[0], rows[-1]]


@contextmanager
def lying(owner: Owner, number: int) -> Iterator[None]:
    """A partner shows other bytes than it has in these rows."""
    liar, rows = owner.world.sites[number].host.only_store, data_rows(owner)
    get = MemoryStore.get

    async def lie(self: MemoryStore, row: int) -> StoredBlock | None:
        block = await get(self, row)
        wrong = block is not None and self._store is liar and row in rows
        return StoredBlock(block.version, bytes(len(block.data))) if wrong else block

    with patch.object(MemoryStore, "get", lie):
        yield


def test_it_goes_on_after_ctrl_c_and_after_a_crash(tmp_path: Path) -> None:
    async def main(owner: Owner) -> None:
        count = await some_stripes(owner)
        await interrupt(owner, count // 3)
        first = seen(owner)
        await interrupt(owner, first + count // 3)
        before = seen(owner)
        assert first < before < count
        await owner.die(power=True)
        async with running(owner):
            await trio.sleep(SETTLED)
            with counted() as asked:
                answer = await look(owner, deep=True)
            assert answer["continued"]["blocks"] == before
            assert answer["checked"]["blocks"] == count
            assert len(asked) < count - before + answer["checked"]["images"], "the log is read too"
            assert (answer["found"], answer["left"], answer["notes"]) == (0, 0, [])
            again = await look(owner, deep=True)
            assert (again["continued"], again["checked"]["blocks"]) == (None, count), "that one is over"

    play(tmp_path, Geometry(2, 1), main)


def test_one_that_is_begun_anew_or_was_long_ago_looks_at_all(tmp_path: Path) -> None:
    async def main(owner: Owner) -> None:
        count = await some_stripes(owner)
        await interrupt(owner, count // 2)
        assert (await look(owner, deep=True, anew=True))["continued"] is None
        await interrupt(owner, count // 2)
        owner.world.skipped += CHECK_LASTS
        assert (await look(owner, deep=True))["continued"] is None

    play(tmp_path, Geometry(2, 1), main)


@pytest.mark.parametrize("repair", [False, True])
def test_what_was_found_before_is_in_the_report(tmp_path: Path, repair: bool) -> None:
    async def main(owner: Owner) -> None:
        count = await some_stripes(owner)
        with lying(owner, 1):
            await interrupt(owner, count // 2, repair=repair)
            assert owner.own.columns.columns[1].lost == int(repair)
            answer = await look(owner, deep=True, repair=repair)
        assert answer["continued"] is not None
        assert [int(text.rpartition(" ")[2]) for text in told(answer)] == data_rows(owner)
        assert (answer["found"], answer["repaired"]) == (2, 2 if repair else 0)
        await trio.sleep(SETTLED)
        check_ledger(owner)

    play(tmp_path, Geometry(2, 1), main)


def test_where_more_is_wrong_than_can_be_kept_it_is_looked_at_again(tmp_path: Path) -> None:
    async def main(owner: Owner) -> None:
        count = await some_stripes(owner)
        with patch.object(checkmark, "FINDINGS_MAX", 0), lying(owner, 1):
            await interrupt(owner, count // 2)
            answer = await look(owner, deep=True)
        assert answer["continued"] is not None
        assert answer["found"] == 2

    play(tmp_path, Geometry(2, 1), main)


def test_without_a_network_it_ends_and_goes_on_later(tmp_path: Path) -> None:
    async def main(owner: Owner) -> None:
        count = await some_stripes(owner)
        answers = []
        async with trio.open_nursery() as nursery:

            async def begin() -> None:
                answers.append(await look(owner, deep=True))

            nursery.start_soon(begin)
            await until_seen(owner, count // 3)
            owner.world.sites[2].cut()  # for a moment only
            await until_seen(owner, count // 2)
            for site in owner.world.sites[1:]:
                site.go(up=False)
        (answer,) = answers
        assert answer["left"] == count - answer["checked"]["blocks"] > 0
        assert sorted(note.partition(" ")[0] for note in answer["notes"]) == ["p1", "p2"]
        for site in owner.world.sites:
            site.go(up=True)
        await trio.sleep(CHECK_PATIENCE)
        answer = await look(owner, deep=True)
        assert (answer["left"], answer["checked"]["blocks"]) == (0, count)
        assert answer["continued"] is not None

    play(tmp_path, Geometry(2, 1), main)
