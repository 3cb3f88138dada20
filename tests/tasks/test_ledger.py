"""What happens to stripes is in the log before anybody acts on it; rows come back when a death is held."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import trio
import trio.testing

from coopfs.core import digest
from coopfs.core.inventory import Inventory
from coopfs.core.records import Type
from coopfs.core.seats import seat
from coopfs.core.units import plain
from coopfs.fs.callers import ROOT
from coopfs.fs.disk import Disk
from coopfs.local.groups import State
from coopfs.local.log import Log, Sealed
from coopfs.local.slots import Slots
from coopfs.tasks.cleaning import releaser as releaser_of
from coopfs.tasks.cleaning import retirer as retirer_of
from coopfs.tasks.cleaning.releaser import Releaser
from coopfs.tasks.cleaning.retirer import Retirer
from coopfs.tasks.writing import comparing
from coopfs.tasks.writing import ledger as ledger_of
from coopfs.tasks.writing.ledger import Ledger
from coopfs.types import Kind, Layout, Place, Slot
from tests.fs.parts import close_group, new_disk

LAYOUT = Layout(1, 1, 2, 96 * 1024)
ROWS = 32


class Store:
    """That was asked for its inventory. lacked: how often something was found to be lacking."""

    def __init__(self) -> None:
        self.gone = False
        self.lacked = 0

    def lacks(self) -> None:
        self.lacked += 1

    async def pause(self) -> None:
        await trio.lowlevel.checkpoint()


class Desk:
    """A disk whose stripes are sealed and acknowledged by hand."""

    def __init__(self, directory: Path) -> None:
        self.disk: Disk = new_disk(directory)
        self.forgotten: list[int] = []
        self.ledger = self.open()

    def open(self) -> Ledger:
        metadata = self.disk.metadata
        log = Log(self.disk.database, metadata.stripes.take_id)
        return Ledger(
            log,
            Slots(self.disk.database),
            seat([LAYOUT], {}),
            LAYOUT.id,
            {LAYOUT.id: ROWS},
            self.forgotten.extend,
            self.disk.stage.cache,
        )

    def group(self, size: int = 100) -> int:
        """A group that rewrites one file: its data stripe replaces that of the group before."""
        tree, files = self.disk.tree, self.disk.files
        node = tree.find(1, b"f") or tree.create(1, b"f", 0o100644, 0, 0)
        handle = self.disk.open(node, 0o1002, ROOT)  # O_RDWR | O_TRUNC
        files.write(self.disk.handles.get(handle), 0, [plain(bytes([size % 256]) * size)])
        self.disk.release(handle)
        group = close_group(self.disk)
        assert group is not None
        return group

    def seal(self, group: int) -> list[int]:
        """All stripes of a closed group, its END too. Their ids."""
        ids = []
        for id_, length, _ in self.ledger.log.unsealed_of(group):
            self.ledger.seal_data(self._sealed(id_, Kind.DATA, group, length))
            ids.append(id_)
        end = self._sealed(self.ledger.log.new_stripe_id(), Kind.END, group, 300)
        self.ledger.seal_meta(end, b"payload", [])
        self.ledger.seal_group(group)
        return [*ids, end.id]

    def _sealed(self, id_: int, kind: Kind, group: int, length: int) -> Sealed:
        tag = id_.to_bytes(16, "big")
        return Sealed(id_, kind, group, None, 1, length, (length,), tag, self.ledger.place(LAYOUT.id), Place(0, 0), 0)

    def inventory(self) -> Inventory:
        """Of a store that says that it has whatever was sealed and is known."""
        inventory, places = Inventory(ROWS), list(self.ledger.log.places())
        inventory.add([Slot(row, version, 1) for row, version in sorted(place[1:3] for place in places)])
        return inventory

    def reconcile(self, found: Inventory, column: int) -> int:
        return trio.run(self.ledger.reconcile, found, column, Store())

    def remains(self) -> list[tuple[int, int, int]]:
        return self.disk.database.read("SELECT row, version, acks FROM remains").fetchall()

    def ack(self, ids: Sequence[int], columns: Sequence[int]) -> None:
        for id_ in ids:
            for column in columns:
                self.ledger.ack([id_], column)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(tmp_path)
    yield desk
    desk.disk.close()


def test_acks_are_in_the_log_and_move_the_barrier(desk: Desk) -> None:
    ids = desk.seal(desk.group())
    desk.ack(ids, [0])
    assert (desk.ledger.progress.barrier, desk.ledger.log.barrier) == (0, 0)
    desk.ack(ids, [2])
    assert (desk.ledger.progress.barrier, desk.ledger.log.barrier) == (1, 1)
    assert {acks for _, _, _, acks in desk.ledger.log.places()} == {0b101}


def test_a_row_comes_back_when_what_killed_its_stripe_is_held(desk: Desk) -> None:
    first = desk.seal(desk.group())
    desk.ack(first, [0, 1])
    second = desk.seal(desk.group())
    free = desk.ledger.rows.free
    desk.ack(second[:1], [0, 1])
    assert (desk.ledger.rows.free, desk.forgotten) == (free, [])
    desk.ack(second[1:], [0, 1])
    assert (desk.ledger.rows.free, desk.forgotten) == (free + 1, first[:1])
    assert desk.ledger.log.get(first[0]) is None
    assert desk.ledger.place(LAYOUT.id).row == 0
    desk.ack(first[:1], [2])  # the last block of a stripe that is gone arrives late
    assert desk.ledger.log.get(first[0]) is None


def test_what_one_deletion_killed_is_released_slice_by_slice_and_in_many_transactions(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also by the process after the one that was told that it is held."""
    monkeypatch.setattr(ledger_of, "RELEASE_SLICE", 2)
    monkeypatch.setattr(releaser_of, "RELEASE_COMMIT", 2)
    first = desk.seal(desk.group(160_000))
    desk.ack(first, [0, 1])
    second = desk.seal(desk.group())
    desk.ack(second, [0, 1])
    dead = first[:-1]
    assert len(dead) > 8
    assert desk.forgotten == dead[:2]
    desk.ledger = desk.open()
    committed: list[int] = []

    async def commit() -> None:
        committed.append(len(desk.forgotten))
        await trio.lowlevel.checkpoint()

    async def release_all() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(Releaser(desk.ledger, commit).run)
            await trio.testing.wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()

    trio.run(release_all)
    assert sorted(desk.forgotten) == dead
    assert committed == list(range(6, len(dead) + 1, 4)), "two slices each, beside the first of all"
    assert desk.ledger.rows.free == ROWS - 3, "the second data stripe and two ENDs"


def test_one_head_of_the_log_is_retired_in_many_transactions(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each key that is told again may lie in pages of its own."""
    monkeypatch.setattr(retirer_of, "RETIRE_SLICE", 2)
    monkeypatch.setattr(retirer_of, "RETIRE_COMMIT", 2)
    metadata, marked = desk.disk.metadata, []
    nodes = [desk.disk.tree.create(1, b"%d" % number, 0o100644, 0, 0) for number in range(11)]
    group = close_group(desk.disk)
    assert group is not None
    end = desk._sealed(desk.ledger.log.new_stripe_id(), Kind.END, group, 300)
    desk.ledger.seal_meta(end, b"payload", [(Type.INODE, node.ino, 0) for node in nodes])
    desk.ledger.seal_group(group)
    roomy: Any = SimpleNamespace(rows_to_clean_with=lambda: 9)

    async def commit() -> None:
        marked.append(metadata.images.marked)
        await trio.lowlevel.checkpoint()

    trio.run(Retirer(desk.ledger, metadata, roomy, commit).retire, 1)
    assert marked == [4, 8, 12], "the root directory, too, so that the group is not empty"
    assert desk.ledger.log.chain.head() is None


def test_no_content_is_forgotten_while_nothing_died(desk: Desk) -> None:
    calls: list[Sequence[int]] = []
    desk.ledger._forget_content = calls.append
    desk.ack(desk.seal(desk.group()), [0, 1])
    assert desk.ledger.progress.barrier == 1
    assert calls == []


def test_a_retracted_ack_is_taken_back_also_from_what_was_complete(desk: Desk) -> None:
    ids = desk.seal(desk.group())
    desk.ack(ids, [0, 1, 2])
    assert desk.ledger.progress.pending == 0
    desk.ledger.retract(ids, 1)
    assert desk.ledger.progress.pending == len(ids)
    assert {acks for _, _, _, acks in desk.ledger.log.places()} == {0b101}
    assert [p.id for p in desk.ledger.progress.missing(1)] == ids
    assert desk.ledger.progress.barrier == 1
    desk.ack(ids, [1])
    assert desk.ledger.progress.pending == 0


def test_what_a_store_was_found_not_to_have_counts_when_it_acks_again_and_not_when_it_claims_it(desk: Desk) -> None:
    ids = desk.seal(desk.group())
    desk.ack(ids, [0, 1, 2])
    expected = desk.ledger.digest(1)
    desk.ledger.disprove(ids[:1], 1)
    for _ in range(2):  # and after a restart
        assert desk.reconcile(desk.inventory(), 1) == 0
        assert [acks for id_, _, _, acks in desk.ledger.log.places() if id_ == ids[0]] == [0b101]
        assert [p.id for p in desk.ledger.progress.missing(1)] == ids[:1]
        assert desk.ledger.digest(1) == expected, "something lies in its slot"
        desk.ledger = desk.open()
    desk.ack(ids[:1], [1])
    assert (desk.ledger.progress.pending, desk.remains(), desk.ledger.digest(1)) == (0, [], expected)
    desk.ledger.retract(ids[:1], 1)
    desk.reconcile(desk.inventory(), 1)
    assert desk.ledger.progress.pending == 0, "it is believed again"


def test_a_claim_that_was_disproved_before_any_ack_does_not_count_either(desk: Desk) -> None:
    ids = desk.seal(desk.group())
    desk.ack(ids, [0, 2])
    desk.ledger.disprove(ids, 1)
    expected = desk.ledger.digest(1)
    desk.reconcile(desk.inventory(), 1)
    assert [p.id for p in desk.ledger.progress.missing(1)] == ids
    assert desk.ledger.digest(1) == expected


def test_a_stripe_may_die_while_a_store_only_claims_to_have_it(desk: Desk) -> None:
    first = desk.seal(desk.group())
    desk.ack(first, [0, 1, 2])
    ((id_, row, version, _),) = [place for place in desk.ledger.log.places() if place[0] == first[0]]
    desk.ledger.disprove([id_], 1)
    desk.ack(desk.seal(desk.group()), [0, 2])
    assert desk.forgotten == [id_]
    assert desk.remains() == [(row, version, 0b111)]


def slots(*places: tuple[int, int]) -> Inventory:
    """(row, version) of each."""
    inventory = Inventory(ROWS)
    inventory.add([Slot(row, version, 1) for row, version in sorted(places)])
    return inventory


@pytest.fixture
def small_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comparing, "LOST_AT_ONCE", 2)
    monkeypatch.setattr(comparing, "COMPARE_ROWS", 3)


@pytest.mark.usefixtures("small_slices")
def test_an_inventory_is_compared_in_slices_and_operations_run_between_them(desk: Desk) -> None:
    """A store has lost four stripes, has three whose acks were lost on the way, and the remains of two that died."""
    ids: list[int] = []
    for group in range(6):
        ids += desk.seal(desk.group(100 + group))
        desk.ack(ids[-2:], [0, 1, 2] if group < 4 else [0, 2])
    places = {id_: (row, version) for id_, row, version, _ in desk.ledger.log.places()}
    was = {id_: acks for id_, _, _, acks in desk.ledger.log.places()}
    acked = [id_ for id_ in places if was[id_] & 0b010]
    lost, late = acked[:4], [id_ for id_ in places if id_ not in acked]
    assert (len(lost), len(late)) == (4, 3)
    taken = {row for row, _ in places.values()}
    remains = [(row, 1000 + row) for row in range(ROWS) if row not in taken][:2]
    found = slots(*remains, *(place for id_, place in places.items() if id_ not in lost))
    store, turns = Store(), 0

    async def main() -> None:
        async def count() -> None:
            nonlocal turns
            while True:
                turns += 1
                await trio.lowlevel.checkpoint()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(count)
            assert await desk.ledger.reconcile(found, 1, store) == 4
            nursery.cancel_scope.cancel()

    trio.run(main)
    assert turns >= 2 * len(places) / 2 + len(late) / 2 + ROWS / 3
    assert store.lacked >= 2
    assert desk.ledger.progress.away == 0b010, "from the first on"
    assert [p.id for p in desk.ledger.progress.missing(1)] == lost
    assert {(row, version) for row, version, acks in desk.remains() if acks & 0b010} == set(remains)
    assert desk.ledger.digest(1) == digest.to_bytes(found.digest)


@pytest.mark.usefixtures("small_slices")
@pytest.mark.parametrize("turn", range(1, 14))
def test_a_stripe_may_die_while_an_inventory_is_compared(desk: Desk, turn: int) -> None:
    """It counts as what is left in its slot then, whenever that happens."""
    first = desk.seal(desk.group())
    desk.ack(first, [0, 1, 2])
    second = desk.seal(desk.group())
    desk.ack(second[:1], [0, 2])
    desk.ack(second[1:], [0])
    found = desk.inventory()

    async def kill() -> None:
        for _ in range(turn):
            await trio.lowlevel.checkpoint()
        desk.ack(second[1:], [2])

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(kill)
            nursery.start_soon(desk.ledger.reconcile, found, 1, Store())

    trio.run(main)
    assert desk.forgotten == first[:1]
    held = [*((row, version) for _, row, version, acks in desk.ledger.log.places() if acks & 0b010)]
    held += [(row, version) for row, version, acks in desk.remains() if acks & 0b010]
    assert sorted(held) == sorted(found.items())
    assert desk.ledger.digest(1) == digest.to_bytes(found.digest)


def test_of_two_that_were_left_in_a_row_the_one_that_is_not_there_is_forgotten(desk: Desk) -> None:
    """The claim of the newer one made its own death be held, so both stand among the remains when it is noted."""
    books = desk.ledger.slots
    for older, newer in ((1000, 2000), (4000, 3000)):
        books.leave([(3, older, 0b010), (3, newer, 0b010)])
        books.found(1, slots((3, newer)), [0] * ROWS, range(ROWS))
        assert desk.remains() == [(3, newer, 0b010)]


@pytest.mark.usefixtures("small_slices")
def test_what_a_store_told_counts_no_more_once_another_took_its_place(desk: Desk) -> None:
    ids = [id_ for group in range(4) for id_ in desk.seal(desk.group(100 + group))]
    desk.ack(ids, [0, 1, 2])
    store = Store()

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(desk.ledger.reconcile, slots(), 1, store)
            while not store.lacked:
                await trio.lowlevel.checkpoint()
            store.gone = True

    trio.run(main)
    assert 0 < len(list(desk.ledger.progress.missing(1))) <= 4


@pytest.mark.usefixtures("small_slices")
def test_a_crash_while_an_inventory_is_compared_costs_another_one(desk: Desk) -> None:
    ids = [id_ for group in range(4) for id_ in desk.seal(desk.group(100 + group))]
    desk.ack(ids, [0, 1, 2])
    before, found = desk.ledger.digest(1), desk.inventory()
    told = digest.to_bytes(found.digest)

    async def main() -> None:
        with trio.CancelScope() as scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(desk.ledger.reconcile, slots(), 1, Store())
                await trio.lowlevel.checkpoint()
                scope.cancel()

    trio.run(main)
    desk.ledger = desk.open()
    assert desk.ledger.digest(1) not in (before, told, digest.to_bytes(0)), "whatever it has now, it is asked"
    assert desk.reconcile(found, 1) == 0
    assert (desk.ledger.digest(1), desk.ledger.progress.pending) == (told, 0)


def test_the_payload_of_a_meta_stripe_is_kept_until_it_is_complete_and_held(desk: Desk) -> None:
    data, end = desk.seal(desk.group())
    desk.ack([end], [0, 1, 2])
    assert desk.ledger.log.payloads.get(end) == b"payload", "no state that is held names it"
    desk.ack([data], [0, 1, 2])
    assert desk.ledger.log.payloads.get(end) is None
    data, end = desk.seal(desk.group())
    desk.ack([data, end], [0, 1])
    assert desk.ledger.progress.barrier == 2
    assert desk.ledger.log.payloads.get(end) == b"payload"
    desk.ack([end], [2])
    assert desk.ledger.log.payloads.get(end) is None


def test_content_is_not_let_go_before_it_is_held(desk: Desk) -> None:
    data, end = desk.seal(desk.group())
    desk.ack([data], [0, 1, 2])
    assert not desk.ledger.may_go(data)
    desk.ack([end], [0, 1])
    assert desk.ledger.may_go(data)


def test_a_ledger_opened_again_knows_the_same(desk: Desk) -> None:
    first = desk.seal(desk.group())
    desk.ack(first, [0, 1])
    second = desk.seal(desk.group())
    desk.ack(second, [0])
    desk.ledger.write_group(1, desk.ledger.log.end_of(1))
    before = desk.ledger
    again = desk.open()
    for progress in (before.progress, again.progress):
        assert (progress.barrier, progress.sealed, progress.pending) == (1, 2, 4)
        assert sorted(p.id for p in progress.missing(1)) == second
    assert (again.rows.free, again.log.chain.of(2), again.log.end) == (
        before.rows.free,
        before.log.chain.of(2),
        before.log.end,
    )
    assert again.log.groups(State.WRITTEN) == [1]
    desk.ledger = again
    desk.ack(second, [1])
    assert (again.progress.barrier, desk.forgotten) == (2, first[:1])


def test_acks_of_columns_in_a_do_not_count_until_they_have_left_it(desk: Desk) -> None:
    desk.ledger.set_away(0b010)
    desk.ack(desk.seal(desk.group()), [0, 1])
    assert desk.ledger.progress.barrier == 0
    desk.ledger.set_away(0)
    assert desk.ledger.progress.barrier == 1
