"""The rows of the tables against the log: what no image stands for is found, and told by the open group."""

from pathlib import Path
from unittest.mock import patch

import pytest
import trio

from coopfs.errors import NotAsked
from coopfs.local.toldkeys import ToldKeys
from coopfs.types import Kind
from tests.sim.invariants import check_ledger, check_replay
from tests.sim.network import CALM
from tests.sim.owner import Owner
from tests.sim.restore import Restored, restore
from tests.sim.world import Geometry
from tests.tasks.homes import SETTLED, group_of, play, write
from tests.tasks.test_check import A, damage, look, some_tree, tables, told
from tests.tasks.test_check_log import meanwhile, turn_over

D = "(SELECT ino FROM names WHERE name = x'64')"
SECOND = "CAST('second' AS BLOB)"

# What is done to a row that another group tells than the one it names, and where the row is.
UNTOLD = {
    "inode": (f"UPDATE inodes SET mode = mode | 2048, changed = changed + 1 WHERE ino = {A}", ": /a"),
    "inode, the same": (f"UPDATE inodes SET changed = changed + 1 WHERE ino = {A}", ": /a"),
    "inode, said to be older": (f"UPDATE inodes SET changed = 0 WHERE ino = {A}", ": /a"),
    "inode nobody made": (
        "INSERT INTO inodes SELECT 77, mode, uid, gid, 1, rdev, 0, atime, mtime, ctime, 1, x'7a', NULL, 1, 1, 0"
        f" FROM inodes WHERE ino = {A}",
        ": /z",
    ),
    "further link": (f"UPDATE names SET changed = changed + 1 WHERE name = {SECOND}", ": /d/second"),
    "further link nobody made": (
        f"INSERT INTO names (parent, name, ino, changed) SELECT {D}, x'7a', {A}, 1",
        ": /d/z",
    ),
    "extent": (
        "UPDATE extents SET length = 2000, stored = 2000, raw = 2000, changed = changed + 1 WHERE offset = 100000",
        ": /a",
    ),
    "extent nobody wrote": (
        "INSERT INTO extents SELECT ino, 200000, length, stripe, at, stored, raw, skip, codec, 1"
        " FROM extents WHERE offset = 100000",
        ": /a",
    ),
    "xattr": ("UPDATE xattrs SET value = x'00', changed = changed + 1", ": /a"),
    "xattr nobody set": (f"INSERT INTO xattrs VALUES ({A}, CAST('user.y' AS BLOB), x'00', 1)", ": /a"),
    "stripe": (f"UPDATE stripes SET changed = changed + 1 WHERE kind = {Kind.DATA:d}", ": /a"),
    "group to come": (f"UPDATE inodes SET changed = 999 WHERE ino = {A}", ", which is still to come: /a"),
}


async def comes_back(owner: Owner, directory: Path) -> None:
    """A restore from the log alone gives the database that is here."""
    await owner.own.committer.close_group()
    await trio.sleep(SETTLED)
    owner.world.kit = owner.own.places.nodes
    found = await restore(owner.world, owner.world.way(CALM), directory / "restored")
    assert isinstance(found, Restored)
    check_replay(owner, found.state.directory)


@pytest.mark.parametrize("kind", UNTOLD)
def test_a_row_that_the_log_does_not_tell_is_named_and_told(tmp_path: Path, kind: str) -> None:
    sql, where = UNTOLD[kind]

    async def main(owner: Owner) -> None:
        await some_tree(owner)
        await group_of(owner, b"c")  # so that there is a group after the one that told it
        await trio.sleep(SETTLED)
        owner.be_unseen()
        await damage(owner, sql)
        damaged = tables(owner)
        answer = await look(owner)
        assert any(text.endswith(where) and "of group" in text for text in told(answer)), told(answer)
        assert answer["repaired"] == 0
        answer = await look(owner, repair=True)
        assert answer["found"] == answer["repaired"] > 0, told(answer)
        assert told(await look(owner)) == []
        repaired = tables(owner)
        await comes_back(owner, tmp_path)
        assert tables(owner) == repaired
        if "nobody" not in kind:
            assert repaired["xattrs"] == damaged["xattrs"]
            assert repaired["extents"] == damaged["extents"]
        check_ledger(owner)

    play(tmp_path, Geometry(2, 1), main)


def test_what_nobody_could_read_is_not_told(tmp_path: Path) -> None:
    """One record that contradicts itself, and a restore could read none after it."""

    async def main(owner: Owner) -> None:
        await some_tree(owner)
        await group_of(owner, b"c")
        await trio.sleep(SETTLED)
        await damage(owner, "UPDATE extents SET length = 2000, changed = changed + 1 WHERE offset = 100000")
        answer = await look(owner, repair=True)
        assert [f["repaired"] for f in answer["findings"] if f["text"].endswith("is missing from the log: /a")] == [
            False
        ]

    play(tmp_path, Geometry(2, 1), main)


def test_a_record_that_is_not_sealed_is_compared_too(tmp_path: Path) -> None:
    async def main(owner: Owner) -> None:
        await some_tree(owner)
        await write(owner, b"new", 1000)
        await owner.own.committer.commit()
        before = tables(owner)
        await damage(owner, "UPDATE inodes SET mode = mode | 2048 WHERE name = CAST('new' AS BLOB)")
        assert [text for text in told(await look(owner)) if "differs in the database" in text]
        answer = await look(owner, repair=True)
        assert answer["found"] == answer["repaired"] == 1
        assert tables(owner) == before
        await damage(owner, "UPDATE open_images SET image = x'00' WHERE type = 1 AND a != 1")
        assert any("could never be read" in text for text in told(await look(owner)))

    play(tmp_path, Geometry(2, 1), main)


def test_a_row_of_the_open_group_that_it_does_not_tell_is_found(tmp_path: Path) -> None:
    async def main(owner: Owner) -> None:
        await some_tree(owner)
        await write(owner, b"new", 1000)
        await damage(owner, f"UPDATE inodes SET changed = (SELECT max(id) FROM groups) WHERE ino = {A}")
        answer = await look(owner, repair=True)
        assert [text.rpartition(" ")[2] for text in told(answer)] == ["/a"]
        assert (answer["repaired"], (await look(owner))["found"]) == (1, 0)

    play(tmp_path, Geometry(2, 1), main)


def test_a_row_that_is_said_to_be_older_than_all_its_images_keeps_its_value(tmp_path: Path) -> None:
    """Only the newest image is compared with it: an older one would be written over what the user sees."""

    async def main(owner: Owner) -> None:
        await some_tree(owner)
        for size in (100, 200):
            await owner.apply(("truncate", ((b"b",), size)))
            await owner.own.committer.close_group()
            await trio.sleep(SETTLED)
        before = tables(owner)
        await damage(owner, "UPDATE inodes SET changed = 0 WHERE name = CAST('b' AS BLOB)")
        assert (await look(owner))["found"] == 1
        answer = await look(owner, repair=True)
        assert (answer["found"], answer["repaired"]) == (1, 1)
        assert tables(owner) == before

    play(tmp_path, Geometry(2, 1), main)


@pytest.mark.parametrize("turns_over", [False, True])
def test_what_goes_on_meanwhile_is_no_finding(tmp_path: Path, turns_over: bool) -> None:
    """Rows change, groups are sealed, heads are retired between the reading of the log and the questions."""

    async def main(owner: Owner) -> None:
        await some_tree(owner)

        async def happens() -> None:
            for operation in (
                ("setxattr", ((b"a",), b"user.x", b"other", 0)),
                ("link", ((b"b",), (b"d", b"third"))),
                ("rename", ((b"d", b"second"), (b"moved",), 0)),
                ("unlink", ((b"b",),)),
            ):
                await owner.apply(operation)
            await group_of(owner, b"c")
            await trio.sleep(SETTLED)
            if turns_over:
                await turn_over(owner)
            await write(owner, b"e", 5000)

        with meanwhile(happens):
            answer = await look(owner)
        assert answer["findings"] == []
        assert told(await look(owner)) == []

    play(tmp_path, Geometry(2, 1), main)


@pytest.mark.parametrize("when", ["__init__", "note"])
def test_keys_that_find_no_room_are_a_note(tmp_path: Path, when: str) -> None:
    async def main(owner: Owner) -> None:
        await some_tree(owner)

        def full(self: ToldKeys, *_: object) -> None:
            raise NotAsked("database or disk is full")

        with patch.object(ToldKeys, when, full):
            answer = await look(owner)
        assert answer["findings"] == []
        assert answer["notes"] == [
            "not all rows of the database could be looked up in the log: database or disk is full"
        ]

    play(tmp_path, Geometry(2, 1), main)
