"""A restore and a takeover of a disk that is between two layouts (design R7, R11, R13)."""

from collections.abc import Awaitable, Callable, Collection
from itertools import chain, combinations
from pathlib import Path
from random import Random

import pytest
import trio

from coopfs.app.disk.own_disk import OwnDisk
from coopfs.app.recovery.copying import CopyOut
from coopfs.core.columnstate import ColumnState
from coopfs.core.master import Floor
from coopfs.fs.disk import Disk
from coopfs.fs.ports import ReadOnlySpace
from coopfs.local.database import Database
from coopfs.local.disk import DATABASE, LocalDisk
from coopfs.local.log import Log
from coopfs.tasks.reading.content import RemoteContent
from coopfs.tasks.reading.fetcher import Fetcher
from coopfs.tasks.reading.reader import readers_of
from coopfs.tasks.recovery.attendance import Attendance
from coopfs.tasks.recovery.masters import MasterSearch
from coopfs.tasks.recovery.recovery import Recovery, State, Watch
from coopfs.tasks.recovery.takeover import Taken, Takeover
from coopfs.types import Kind, StoredBlock, StoreId, epoch_of
from tests.sim import schedule
from tests.tasks.homes import SETTLED
from tests.tasks.twolayouts import KEYS, NEW, NEW_HOSTS, OLD, OLD_HOSTS, OWNER, Calm, TwoLayouts, content

ALL = range(6)
Main = Callable[[TwoLayouts], Awaitable[None]]
# Whoever is lost, no layout loses more than its f, which is 1 in both.
PROMISED = [
    lost
    for lost in chain.from_iterable(combinations(ALL, count) for count in (0, 1, 2))
    if all(len(set(lost) & set(hosts)) <= 1 for hosts in (OLD_HOSTS, NEW_HOSTS))
]


def play(main: Main) -> None:
    async def begin() -> None:
        disk = TwoLayouts()
        await disk.make()
        await main(disk)

    schedule.run(Random(1), begin)


def moving(disk: TwoLayouts) -> None:
    """Groups 1 and 2 in the old layout, 3 in the new one, which moves `a` too. Each layout has content of its own."""
    disk.add(b"a", b"b")
    disk.add(b"c")
    disk.turn()
    disk.add(b"a", b"d")


async def restore(disk: TwoLayouts, lost: Collection[int], directory: Path) -> tuple[State, dict[bytes, bytes]]:
    """The state that is found, and its files. NotRestorable."""
    network = Calm(disk, lost)
    directory.mkdir()
    async with trio.open_nursery() as nursery:
        search = MasterSearch(KEYS, network, lambda node, addresses: None, lambda *_: None)
        master = await search.run([host.key for host in disk.hosts])
        readers = readers_of(master.layouts, KEYS.disk, network)
        for reader in readers:
            nursery.start_soon(reader.run)
        fetcher = Fetcher(KEYS, readers)
        recovery = Recovery(KEYS, master.layouts, readers, fetcher, directory / "states", lambda *_: None)
        await recovery.witnesses.gather()
        try:
            state = await recovery.find(master.floor)
            local = LocalDisk(state.directory, lambda: 0)
            local.cache.limit(0, 0)
            log = Log(local.database, local.metadata.stripes.take_id)
            opened = Disk(local, ReadOnlySpace(0), RemoteContent(log, fetcher, local.stage, nursery), lambda *_: "")
            (directory / "out").mkdir()
            await CopyOut(opened, directory / "out", lambda *_: None).run()
            opened.close()
        finally:
            nursery.cancel_scope.cancel()
    return state, {path.name.encode(): path.read_bytes() for path in (directory / "out").iterdir()}


def files(*names: bytes) -> dict[bytes, bytes]:
    return {name: content(name) for name in names}


def facts(state: State) -> dict[str, int]:
    database = Database(state.directory / DATABASE)
    try:
        return {key: int(database.fact(key)) for key in ("layout", "k", "shard_length")}
    finally:
        database.close()


@pytest.mark.parametrize("lost", PROMISED, ids=str)
def test_nothing_is_lost_with_whom_both_layouts_can_do_without(lost: tuple[int, ...], tmp_path: Path) -> None:
    async def main(disk: TwoLayouts) -> None:
        moving(disk)
        state, found = await restore(disk, lost, tmp_path / "restored")
        assert (state.group, state.doubt) == (3, None)
        assert found == files(b"a", b"b", b"c", b"d")
        assert facts(state)["layout"] == NEW.id
        assert facts(state)["k"] == NEW.k

    play(main)


def test_a_layout_that_is_named_and_not_in_use_changes_nothing(tmp_path: Path) -> None:
    async def main(disk: TwoLayouts) -> None:
        disk.add(b"a")
        state, found = await restore(disk, (), tmp_path / "restored")
        assert (state.group, state.doubt) == (1, None)
        assert found == files(b"a")
        assert facts(state)["layout"] == OLD.id
        assert facts(state)["k"] == OLD.k

    play(main)


@pytest.mark.parametrize(
    ("lost", "turned", "named"),
    [
        ((0, 1, 2), True, "only 1 of 4 partners of layout 1 (2+2)"),
        ((0, 2, 4, 5), False, "only 1 of 5 partners of layout 2 (3+2)"),
    ],
    ids=str,
)
def test_a_state_that_a_layout_could_not_contradict_is_doubted(
    lost: tuple[int, ...], turned: bool, named: str, tmp_path: Path
) -> None:
    """Something newer may lie in a layout of which too few answer, be it the older or the newer one."""

    async def main(disk: TwoLayouts) -> None:
        if turned:
            disk.turn()
        disk.add(b"a")
        state, found = await restore(disk, lost, tmp_path / "restored")
        assert state.doubt is not None
        assert named in state.doubt
        assert found == files(b"a")

    play(main)


def test_a_newer_state_that_was_not_held_is_left_out_in_silence(tmp_path: Path) -> None:
    """Its END is in the new layout, whose stores deny it; as many of the old one would not be enough."""

    async def main(disk: TwoLayouts) -> None:
        moving(disk)
        disk.group([], columns=(0, 1))
        state, found = await restore(disk, (1,), tmp_path / "restored")
        assert (state.group, state.doubt) == (3, None)
        assert found == files(b"a", b"b", b"c", b"d")

    play(main)


@pytest.mark.parametrize("turned", [False, True])
def test_a_newer_state_whose_content_of_the_old_layout_is_lost_is_doubted(turned: bool, tmp_path: Path) -> None:
    """Its END was held, in the one or the other; what the stores of the other lack denies nothing."""

    async def main(disk: TwoLayouts) -> None:
        disk.add(b"a")
        disk.add(b"b", columns=(0,))  # fewer than k blocks of it are left
        if turned:
            disk.turn()
            disk.add(b"c")
        state, found = await restore(disk, (), tmp_path / "restored")
        assert state.group == 1
        assert state.doubt is not None
        assert "does not have the blocks needed" in state.doubt
        assert found == files(b"a")

    play(main)


def test_blocks_of_the_other_layout_in_the_same_row_and_version_are_no_blocks(tmp_path: Path) -> None:
    """All partners of the old layout claim what lies in the new one: who has most claims is only tried first."""

    async def main(disk: TwoLayouts) -> None:
        disk.rows[NEW.id] = 20  # those of the old layout are empty there
        moving(disk)
        disk.group([])
        for place, _ in disk.chain[2:]:
            for store in disk.old.primaries:
                disk.keep(store, place, b"nothing")
        state, found = await restore(disk, (4,), tmp_path / "restored")
        assert state.group == 4
        assert found == files(b"a", b"b", b"c", b"d")

    play(main)


def test_who_goes_on_from_the_old_layout_makes_void_what_lies_in_the_new_one(tmp_path: Path) -> None:
    """A takeover found T in the old layout; what the machine before wrote in the new one was never held."""

    async def main(disk: TwoLayouts) -> None:
        disk.add(b"a")
        before = (disk.chain[:], disk.tags, disk.groups)
        disk.turn()
        disk.add(b"b")
        disk.chain, disk.tags, disk.groups = before
        disk.epoch, disk.places = 2, disk.old
        disk.add(b"c")
        disk.add(b"d", columns=(0,))
        state, found = await restore(disk, (), tmp_path / "restored")
        assert (epoch_of(state.end.version), state.group) == (2, 2)
        assert found == files(b"a", b"c")

    play(main)


@pytest.mark.parametrize(
    ("lost", "says", "old", "new"),
    [
        ((4,), "everything can be read", True, True),
        ((0, 1, 2), "5 of 8 stripes cannot be read now", False, True),
        ((0, 4, 5), "3 of 8 stripes cannot be read now", True, False),
        ((0, 2, 3, 4), "content can be read again when 1 of them is back", False, False),
    ],
    ids=str,
)
def test_a_view_tells_what_can_be_read_by_layout(
    lost: tuple[int, ...], says: str, old: bool, new: bool, tmp_path: Path
) -> None:
    async def main(disk: TwoLayouts) -> None:
        moving(disk)
        state, _ = await restore(disk, (), tmp_path / "restored")
        local = LocalDisk(state.directory, lambda: 0)
        log = Log(local.database, local.metadata.stripes.take_id)
        ids = local.database.read("SELECT layout, min(id) FROM stripes WHERE kind = ? GROUP BY layout", (Kind.DATA,))
        some = dict(ids.fetchall())
        network, said = Calm(disk, lost), list[str]()
        readers = readers_of((disk.old, disk.new), KEYS.disk, network)
        attendance = Attendance((OLD, NEW), readers, log, said.append)
        async with trio.open_nursery() as nursery:
            for task in (*(reader.run for reader in readers), attendance.run):
                nursery.start_soon(task)
            await trio.sleep(1)
            nursery.cancel_scope.cancel()
        assert says in said[-1]
        assert [attendance([some[each.id]], 3) == "readable" for each in (OLD, NEW)] == [old, new]
        local.close()

    play(main)


async def take_over(
    disk: TwoLayouts, lost: Collection[int], directory: Path, watch: Watch = lambda *_: None
) -> tuple[Taken, str | None]:
    """What it came to, and its doubt."""
    doubts: list[str | None] = []
    takeover = Takeover(
        KEYS,
        OWNER,
        Calm(disk, lost),
        bytes(15) + b"\1",
        lambda: 0.0,
        lambda node, addresses: None,
        watch,
        lambda state: doubts.append(state.doubt),
    )
    taken = await takeover.run(directory, [host.key for host in disk.hosts], Floor(0, 0))
    return taken, doubts[0]


@pytest.mark.parametrize("lost", PROMISED, ids=str)
def test_a_takeover_claims_both_and_goes_on_in_the_layout_of_the_end(lost: tuple[int, ...], tmp_path: Path) -> None:
    async def main(disk: TwoLayouts) -> None:
        moving(disk)
        taken, doubt = await take_over(disk, lost, tmp_path / "taken")
        assert doubt is None
        assert taken.claim.epoch == 2
        assert taken.master.layouts == (disk.old, disk.new)
        for number in set(ALL) - set(lost):
            known = disk.hosts[number].disk(OWNER, KEYS.disk)
            assert known.claim == taken.claim
            assert max(master.counter for master in known.masters) == taken.master.counter
        assert facts(taken.state)["layout"] == NEW.id
        database = Database(taken.directory / DATABASE)
        states = database.read("SELECT number, state FROM columns ORDER BY number").fetchall()
        database.close()
        assert states == [(number, ColumnState.CATCHING_UP) for number in range(OLD.n + NEW.n)]

    play(main)


def test_a_layout_that_is_named_while_the_disk_is_claimed_is_claimed_too(tmp_path: Path) -> None:
    """The old machine changes over between a first look at the master blocks and the first claim."""

    async def main(disk: TwoLayouts) -> None:
        disk.tell(1, disk.old)
        disk.add(b"a")

        def watch(step: str, done: int, total: int) -> None:
            if step == "claiming the disk" and disk.layout == OLD:
                disk.tell(2, disk.old, disk.new)
                disk.turn()
                disk.add(b"b")

        taken, doubt = await take_over(disk, (), tmp_path / "taken", watch)
        assert taken.master.layouts == (disk.old, disk.new)
        assert (taken.state.group, doubt) == (2, None)
        assert all(host.disk(OWNER, KEYS.disk).claim == taken.claim for host in disk.hosts)

    play(main)


def blocks(disk: TwoLayouts) -> dict[StoreId, dict[int, StoredBlock]]:
    """Of all stores."""
    return {id_: dict(store.blocks) for host in disk.hosts for id_, store in host.stores.items()}


@pytest.mark.parametrize("turned", [True, False])
@pytest.mark.parametrize("lost", [(), (1, 4)], ids=str)
def test_who_took_over_holds_both_again_as_they_were(lost: tuple[int, ...], turned: bool, tmp_path: Path) -> None:
    """A partner with stores of both has lost blocks of both: it gets them back, byte for byte."""

    async def main(disk: TwoLayouts) -> None:
        if turned:
            moving(disk)
        else:
            disk.add(b"a", b"b")
        before = blocks(disk)
        for store in disk.hosts[2].stores.values():
            store.blocks.clear()
        taken, _ = await take_over(disk, lost, tmp_path / "taken")
        found = taken.state.group
        async with trio.open_nursery() as nursery:
            own = OwnDisk(taken.directory, OWNER, Calm(disk, lost), nursery, trio.current_time)
            nursery.start_soon(own.run)
            await own.ready.wait()
            assert own.ledger.progress.barrier == found + 1
            await trio.sleep(SETTLED)
            named = {version for _, _, version, _ in own.log.places()}
            nursery.cancel_scope.cancel()
        own.close()
        after = blocks(disk)
        for id_, rows in before.items():
            if all(id_ not in disk.hosts[number].stores for number in lost):
                assert {row: block for row, block in rows.items() if block.version in named}.items() <= after[
                    id_
                ].items()
        new_ones = {id_ for id_, rows in after.items() if rows.keys() - before[id_].keys()}
        used, idle = (disk.new, disk.old) if turned else (disk.old, disk.new)
        assert new_ones <= {store.store for store in used.primaries}
        assert new_ones.isdisjoint(store.store for store in idle.primaries)
        state, found_files = await restore(disk, lost, tmp_path / "restored")
        assert (state.group, state.doubt) == (found + 1, None)
        assert found_files == files(*((b"a", b"b", b"c", b"d") if turned else (b"a", b"b")))

    play(main)
