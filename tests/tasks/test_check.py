"""What a check finds and repairs, while the disk is in use: rows of the database, the stage, and partners' blocks."""

from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

from coopfs.app.disk.checking import check
from coopfs.core.columnstate import ColumnState
from coopfs.core.findings import Fix
from coopfs.errors import StateError, UsageError
from coopfs.limits import MEND_INTERVAL
from coopfs.local import scribe
from coopfs.local.repairs import Repairs
from coopfs.local.survey import Survey
from coopfs.tasks.signal import Signal
from coopfs.types import Kind, Place, StoredBlock
from tests.memory import MemoryStore, StoreContent
from tests.sim.invariants import TABLES, check_ledger
from tests.sim.owner import Owner
from tests.sim.world import Geometry
from tests.tasks.homes import SETTLED, blocks, group_of, play, write


def silent(step: str, done: int, total: int) -> None:
    """Nobody watches."""


async def look(owner: Owner, *, deep: bool = False, repair: bool = False, anew: bool = False) -> dict[str, Any]:
    return await check(owner.own, silent, deep=deep, repair=repair, anew=anew)


def told(answer: dict[str, Any]) -> list[str]:
    return [finding["text"] for finding in answer["findings"]]


async def some_tree(owner: Owner) -> None:
    """Files of several extents and names, a directory, attributes: in two groups, complete."""
    await group_of(owner, b"a", 50_000)
    for operation in (
        ("mkdir", ((b"d",), 0o755)),
        ("link", ((b"a",), (b"d", b"second"))),
        ("setxattr", ((b"a",), b"user.x", b"value", 0)),
        ("open", (1, (b"a",), False)),
        ("write", (1, 100_000, b"x" * 3000)),
        ("close", (1,)),
    ):
        await owner.apply(operation)
    await group_of(owner, b"b", 30_000)
    await trio.sleep(SETTLED)


def tables(owner: Owner) -> dict[str, list[Any]]:
    """The tree, less in which group it was told."""
    read = owner.own.local.database.read
    found = {name: read(TABLES[name]).fetchall() for name in ("inodes", "names", "extents", "xattrs", "live")}
    return found | {name: [row[:-1] for row in found[name]] for name in ("inodes", "extents", "xattrs")}


async def damage(owner: Owner, sql: str) -> None:
    owner.own.local.metadata.nodes.forget_clean()
    assert owner.own.local.database.write(sql).rowcount
    await owner.own.committer.commit()


def test_a_disk_that_is_well_is_found_well(tmp_path: Path) -> None:
    async def main(owner: Owner) -> None:
        await some_tree(owner)
        await write(owner, b"not sent yet", 10_000)
        answer = await look(owner, deep=True)
        assert (answer["findings"], answer["notes"], answer["lost"]) == ([], [], [])
        assert answer["checked"]["stripes"] >= 3
        assert answer["checked"]["blocks"] == 3 * answer["checked"]["stripes"]
        assert answer["checked"]["images"] > 8

    play(tmp_path, Geometry(2, 1), main)


A = "(SELECT ino FROM names WHERE name = x'61')"
DAMAGES = {
    "mode": f"UPDATE inodes SET mode = mode | 2048 WHERE ino = {A}",
    "size": f"UPDATE inodes SET size = size + 1 WHERE ino = {A}",
    "links": f"UPDATE inodes SET nlink = nlink + 1 WHERE ino = {A}",
    "inode gone": f"DELETE FROM inodes WHERE ino = {A}",
    "name gone": "DELETE FROM names WHERE name = x'61'",
    "further link gone": "DELETE FROM names WHERE name = CAST('second' AS BLOB)",
    "further link elsewhere": "UPDATE names SET ino = 1 WHERE name = CAST('second' AS BLOB)",
    "directory gone": "DELETE FROM inodes WHERE ino = (SELECT ino FROM names WHERE name = x'64')",
    "first extent gone": f"DELETE FROM extents WHERE offset = 0 AND ino = {A}",
    "extent gone": "DELETE FROM extents WHERE offset = 100000",
    "extent shorter": "UPDATE extents SET length = 1, stored = 1, raw = 1 WHERE offset = 100000",
    "extent elsewhere": "UPDATE extents SET stripe = 999 WHERE offset = 100000",
    "xattr gone": "DELETE FROM xattrs",
    "xattr changed": "UPDATE xattrs SET value = x'00'",
    "bytes of a file": f"UPDATE inodes SET stored = stored + 5 WHERE ino = {A}",
    "live bytes": f"UPDATE stripes SET live = live + 5 WHERE kind = {Kind.DATA:d}",
    "totals": "UPDATE facts SET value = '1 2 3 4' WHERE key = 'totals'",
    "name of nothing": "INSERT INTO names (parent, name, ino, changed) VALUES (1, x'7a', 77, 1)",
    "extents of nothing": "INSERT INTO extents SELECT 77, offset, length, stripe, at, stored, raw, skip, codec, 1"
    " FROM extents WHERE offset > 0",
    "extents of nothing, in nothing": "INSERT INTO extents VALUES (77, 0, 9, 999, 0, 9, 9, 0, 0, 1)",
    "xattr of nothing": "INSERT INTO xattrs VALUES (77, x'00', x'00', 1)",
    "orphan": "INSERT INTO inodes SELECT 77, mode, uid, gid, 0, rdev, size, atime, mtime, ctime, NULL, NULL, target,"
    f" born, changed, 0 FROM inodes WHERE ino = {A}",
    "tag of a stripe": f"UPDATE stripes SET tag = zeroblob(16) WHERE kind = {Kind.DATA:d}",
}


def test_damaged_rows_are_found_and_written_as_they_were(tmp_path: Path) -> None:
    """One kind of damage after the other, in one life: making a disk and its tree takes as long as all that follows."""

    async def main(owner: Owner) -> None:
        await some_tree(owner)
        for kind, sql in DAMAGES.items():
            before = tables(owner)
            await damage(owner, sql)
            damaged = tables(owner)
            found = await look(owner)
            assert found["found"] > found["repaired"] == 0, kind
            assert tables(owner) == damaged, f"{kind}: without --repair nothing is changed"
            answer = await look(owner, repair=True)
            assert answer["found"] == answer["repaired"] > 0, (kind, answer)
            assert (await look(owner))["findings"] == [], kind
            assert tables(owner) == before, kind
            await group_of(owner, b"c")
            await trio.sleep(SETTLED)
            check_ledger(owner)

    play(tmp_path, Geometry(2, 1), main)


@pytest.mark.parametrize("what", ["file", "directory"])
def test_what_has_lost_its_name_gets_one_in_lost_and_found(tmp_path: Path, what: str) -> None:
    """Nothing tells where it was: not its own image either."""

    async def main(owner: Owner) -> None:
        await some_tree(owner)
        told_of: set[tuple[int, bytes | None]] = set()
        owner.own.disk.on_change = lambda ino, name: told_of.add((ino, name))
        metadata = owner.own.local.metadata
        name = b"a" if what == "file" else b"d"
        ino = metadata.names.find(1, name)
        assert ino is not None
        if what == "file":
            await owner.apply(("unlink", ((b"d", b"second"),)))
        before = metadata.nodes.get(ino)
        owner.be_unseen()
        metadata.put(before._replace(parent=None, name=None))
        await group_of(owner, b"c")
        await damage(owner, f"DELETE FROM names WHERE ino = {ino}")
        assert f"inode {ino} should have {before.nlink} links, and has no name at all" in told(await look(owner))
        answer = await look(owner, repair=True)
        assert answer["found"] == answer["repaired"] > 0, answer
        assert (await look(owner))["findings"] == []
        lost = metadata.names.find(1, b"lost+found")
        assert lost is not None
        assert metadata.names.find(lost, b"inode-%d" % ino) == ino
        found = metadata.nodes.get(ino)
        assert (found.parent, found.nlink, found.size) == (lost, before.nlink, before.size)
        assert told_of >= {(1, b"lost+found"), (lost, b"inode-%d" % ino)}
        await group_of(owner, b"e")
        await trio.sleep(SETTLED)
        check_ledger(owner)
        assert (await look(owner, deep=True))["findings"] == []

    play(tmp_path, Geometry(2, 1), main)


HOPELESS = {
    "row twice": "UPDATE stripes SET row = (SELECT min(row) FROM stripes) WHERE row = (SELECT max(row) FROM stripes)",
    "row out of range": "UPDATE stripes SET row = 5000 WHERE row = (SELECT max(row) FROM stripes)",
    "row elsewhere": "UPDATE stripes SET row = 99 WHERE row = (SELECT max(row) FROM stripes)",
    "version never given": f"UPDATE stripes SET version = version + 1000 WHERE kind = {Kind.DATA:d}",
    "acks of nobody": f"UPDATE stripes SET acks = acks | 1024 WHERE kind = {Kind.DATA:d}",
    "keys gone": "DELETE FROM meta_keys",
    "two open groups": "INSERT INTO groups (id, state) VALUES (999, 0)",
    "extents that overlap": "UPDATE extents SET length = 100001 WHERE offset = 0",
}


@pytest.mark.parametrize("sql", HOPELESS.values(), ids=HOPELESS.keys())
def test_what_nothing_can_put_right_is_said(tmp_path: Path, sql: str) -> None:
    async def main(owner: Owner) -> None:
        await some_tree(owner)
        await damage(owner, sql)
        answer = await look(owner)
        assert answer["found"] > answer["repaired"] == 0

    play(tmp_path, Geometry(2, 1), main)


def test_a_damaged_file_of_the_database_is_said_and_nothing_else_is_asked(tmp_path: Path) -> None:
    async def main(owner: Owner) -> None:
        await some_tree(owner)
        database = owner.own.local.database
        (page,) = database.read("SELECT rootpage FROM sqlite_master WHERE name = 'listing'").fetchone()
        (size,) = database.read("PRAGMA page_size").fetchone()
        database.checkpoint()
        with database.path.open("r+b") as file:
            file.seek((page - 1) * size)
            file.write(b"\xff" * size)
        answer = await look(owner, repair=True)
        assert answer["found"] > answer["repaired"] == 0
        assert {finding["about"] for finding in answer["findings"]} == {"database"}
        assert "recovery kit" in told(answer)[0]

    play(tmp_path, Geometry(2, 1), main)


def test_a_question_that_cannot_be_asked_is_a_note_and_no_damage(tmp_path: Path) -> None:
    """As where temporary files find no room: SQLite fails, and not for what is in the file."""

    async def main(owner: Owner) -> None:
        await some_tree(owner)
        owner.own.local.database.write("DROP TABLE meta_keys")
        await owner.own.committer.commit()
        answer = await look(owner)
        assert answer["found"] == 0, answer
        assert answer["notes"] == ["not all questions about log could be asked: no such table: meta_keys"]
        assert answer["checked"]["stripes"] > 0, "the others were asked"

    play(tmp_path, Geometry(2, 1), main)


def test_the_stage_has_what_it_must_have_and_nothing_else(tmp_path: Path) -> None:
    async def main(owner: Owner) -> None:
        await some_tree(owner)
        stage = owner.own.local.stage.contents.directory
        (stage / "4711").write_bytes(b"of nobody")
        assert told(await look(owner)) == ["the stage has a file of stripe 4711, which is not known"]
        answer = await look(owner, repair=True)
        assert (answer["found"], answer["repaired"]) == (1, 1)
        assert not (stage / "4711").exists()
        await write(owner, b"unsent", 5000)
        await owner.sync()
        filling = owner.own.local.stage.filling
        (stage / str(filling)).rename(stage / "elsewhere")
        assert told(await look(owner)) == [
            f"content of stripe {filling}, which was not sent yet, is missing from the stage"
        ]
        (stage / "elsewhere").rename(stage / str(filling))
        assert told(await look(owner)) == []

    play(tmp_path, Geometry(2, 1), main)


def test_others_get_their_turn_between_repairs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each may take long on a large disk."""
    woken = Signal()
    turns: list[str] = []
    really = Repairs.apply

    def apply(repairs: Repairs, fix: Fix) -> None:
        turns.append("repair")
        woken.notify()
        really(repairs, fix)

    monkeypatch.setattr(Repairs, "apply", apply)

    async def main(owner: Owner) -> None:
        await some_tree(owner)
        for number in range(4700, 4710):
            (owner.own.local.stage.contents.directory / str(number)).write_bytes(b"of nobody")

        async def other() -> None:
            while True:
                await woken.wait()
                turns.append("other")

        async with trio.open_nursery() as nursery:
            nursery.start_soon(other)
            assert (await look(owner, repair=True))["repaired"] == 10
            nursery.cancel_scope.cancel()
        assert "repair repair repair" not in " ".join(turns)

    play(tmp_path, Geometry(2, 1), main)


def test_blocks_that_partners_lost_are_found_by_inventory_and_sealed_again(tmp_path: Path) -> None:
    async def main(owner: Owner) -> None:
        await some_tree(owner)
        before = [blocks(owner, number) for number in range(3)]
        (store,) = owner.world.sites[1].host.stores.values()
        for row in list(store.blocks):
            store.spoil(row)
            owner.world.trace.lose(1, row)
        gone = (await look(owner))["findings"]
        mended = owner.own.columns.columns[1].lost  # what the check met lacking when it read the log
        assert [finding["text"] for finding in gone] == [f"p1 lacks {len(before[1]) - mended} blocks that it had acked"]
        assert mended <= 1, "without --repair nothing else is changed"
        answer = await look(owner, repair=True)
        assert (answer["found"], answer["repaired"], answer["lost"]) == (1, 1, [])
        await trio.sleep(SETTLED)
        assert [blocks(owner, number) for number in range(3)] == before
        check_ledger(owner)

    play(tmp_path, Geometry(2, 1), main)


def test_files_made_ahead_are_no_strangers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A repair that removed them would have later content written to files that are nowhere."""
    monkeypatch.setattr(scribe, "SCRIBE_PIECE", 1000)  # stripes are too small here for what a large piece is else

    async def main(owner: Owner) -> None:
        await write(owner, b"large", 100_000)
        stage = owner.own.local.stage
        await trio.to_thread.run_sync(stage.sync, [])
        spares = [stripe for stripe in stage.contents.sizes() if stage.is_spare(stripe)]
        assert spares
        answer = await look(owner, repair=True)
        assert answer["found"] == 0
        assert all(stripe in stage.contents.sizes() for stripe in spares)

    play(tmp_path, Geometry(2, 1), main)


def test_a_synced_file_that_somebody_removed_is_an_error(tmp_path: Path) -> None:
    async def main(owner: Owner) -> None:
        await write(owner, b"unsent", 5000)
        stage = owner.own.local.stage
        stage.contents.path(stage.filling).unlink()
        with pytest.raises(StateError, match="is gone: it has content that was not safe yet"):
            stage.sync(stage.take_unsynced())

    play(tmp_path, Geometry(2, 1), main)


def test_what_was_put_since_it_was_noted_is_not_disproved(tmp_path: Path) -> None:
    """A column may be asked for a block before it gets it."""

    async def main(owner: Owner) -> None:
        await some_tree(owner)
        column = owner.own.columns.columns[1]
        for _, row, version, _ in list(owner.own.log.places()):
            owner.own._mender.note(column, Place(version, row))
        await trio.sleep(2 * MEND_INTERVAL)
        assert column.lost == 0
        assert owner.own.ledger.progress.pending == 0

    play(tmp_path, Geometry(2, 1), main)


def test_who_acks_a_block_and_does_not_give_it_back_gets_it_ever_less_often(tmp_path: Path) -> None:
    """Somebody reads it every few seconds. Until it was given back the partner is in A."""

    async def main(owner: Owner) -> None:
        await some_tree(owner)
        column, store = owner.own.columns.columns[0], owner.world.sites[0].host.only_store
        stripe = next(s for s, *_ in owner.own.log.places() if owner.own.log.is_data(s))
        sealed = owner.own.log.get(stripe)
        assert sealed is not None
        row, get, put, sent = sealed.place.row, MemoryStore.get, MemoryStore.put, list[float]()

        async def deny(self: MemoryStore, asked: int) -> StoredBlock | None:
            return None if self._store is store and asked == row else await get(self, asked)

        async def watch(self: MemoryStore, to: int, version: int, data: bytes) -> None:
            if self._store is store and to == row:
                sent.append(trio.current_time())
            await put(self, to, version, data)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(MemoryStore, "get", deny)
            patch.setattr(MemoryStore, "put", watch)
            with trio.move_on_after(1200):
                while True:
                    await owner.own._fetcher.fetch(sealed.layout, sealed.place, sealed.tag)
                    await trio.sleep(5)
            assert 4 <= len(sent) <= 7, sent
            assert sent[1] - sent[0] > 60
            assert sent[-1] - sent[-2] > 400
            assert (column.state, owner.own.ledger.progress.away) == (ColumnState.CATCHING_UP, 0b001)
        with trio.fail_after(2000):
            while column.away:
                await trio.sleep(1)
        await trio.sleep(SETTLED)
        assert told(await look(owner, deep=True)) == []
        check_ledger(owner)

    play(tmp_path, Geometry(2, 1), main)


def test_who_is_not_reached_is_said_and_not_blamed(tmp_path: Path) -> None:
    async def main(owner: Owner) -> None:
        await some_tree(owner)
        owner.world.sites[2].go(up=False)
        await trio.sleep(1)
        answer = await look(owner, deep=True, repair=True)
        stripes = answer["checked"]["stripes"]
        assert (answer["found"], answer["notes"]) == (
            0,
            [
                "p2 is not reached: what it holds was not looked at",
                f"p2 did not show its blocks of {stripes} stripes: it is not reached",
            ],
        )
        assert (answer["checked"]["blocks"], answer["left"]) == (2 * stripes, stripes)

    play(tmp_path, Geometry(2, 1), main)


def flip(store: StoreContent, row: int) -> None:
    """Bytes that no one authenticated, with an honest face: the partner does not know."""
    block = store.blocks[row]
    store.blocks[row] = StoredBlock(block.version, bytes([block.data[0]]) + bytes(len(block.data) - 1))


def test_every_block_is_authenticated_and_sealed_again_byte_for_byte(tmp_path: Path) -> None:
    """One partner's slot is rotten and it knows; another one answers with other bytes, and takes the right ones."""

    async def main(owner: Owner) -> None:
        await some_tree(owner)
        (rotten,), (liar,) = (owner.world.sites[number].host.stores.values() for number in (0, 1))
        before = dict(rotten.blocks), dict(liar.blocks)
        rows = [row for id_, row in Survey(owner.own.local.database).sealed(0, 99) if owner.own.log.is_data(id_)]
        rotten.spoil(rows[0])
        owner.world.trace.lose(0, rows[0])
        asked: list[int] = []
        get = MemoryStore.get

        async def lie(self: MemoryStore, row: int) -> StoredBlock | None:
            block = await get(self, row)
            if self._store is liar and row == rows[1] and not asked:
                asked.append(row)
                assert block is not None
                return StoredBlock(block.version, bytes(len(block.data)))
            return block

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(MemoryStore, "get", lie)
            answer = await look(owner, deep=True, repair=True)
        assert answer["found"] == answer["repaired"] == 2
        await trio.sleep(SETTLED)
        assert (rotten.blocks, liar.blocks) == before
        assert told(await look(owner, deep=True)) == []
        check_ledger(owner)

    play(tmp_path, Geometry(2, 1), main)


def test_what_is_beyond_repair_is_named_by_path(tmp_path: Path) -> None:
    async def main(owner: Owner) -> None:
        await some_tree(owner)
        read = owner.own.local.database.read
        (stripe, row), *_ = read(
            f"SELECT id, row FROM stripes WHERE kind = {Kind.DATA:d} AND row IS NOT NULL ORDER BY id"
        ).fetchall()
        owner.own.local.stage.contents.path(stripe).unlink()
        for number in (0, 1):
            (store,) = owner.world.sites[number].host.stores.values()
            flip(store, row)
        answer = await look(owner, deep=True)
        assert answer["lost"] == ["/a"]
        assert f"stripe {stripe} has 1 of the 2 blocks needed, and is not here" in told(answer)

    play(tmp_path, Geometry(2, 1), main)


def test_two_checks_at_once_are_one_too_many(tmp_path: Path) -> None:
    async def main(owner: Owner) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(look, owner)
            await trio.testing.wait_all_tasks_blocked()
            with pytest.raises(UsageError, match="under way"):
                await look(owner)

    play(tmp_path, Geometry(2, 1), main)
