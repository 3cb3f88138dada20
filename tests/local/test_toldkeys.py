"""The table of keys that the log tells: every row is looked up by its whole key."""

from pathlib import Path

import pytest

from coopfs.core.records import Type
from coopfs.local import toldkeys
from coopfs.local.database import Database
from coopfs.local.toldkeys import TABLES, ToldKeys, Untold, Walked

XATTR = "INSERT INTO xattrs VALUES (?, ?, x'00', ?)"
INODE = "INSERT INTO inodes VALUES (?, 0, 0, 0, 1, 0, 0, 0, 0, 0, NULL, NULL, NULL, 1, 1, 0)"


@pytest.mark.parametrize("type_", TABLES, ids=[type_.name for type_ in TABLES])
def test_rows_are_looked_up_by_an_index(tmp_path: Path, type_: Type) -> None:
    """By a part of the key it would take hours for 10^6 rows: SQLite passes an index over where types differ."""
    database = Database.create(tmp_path / "database")
    keys = ToldKeys(database.path)
    sql = f"EXPLAIN QUERY PLAN {dict(toldkeys._ROWS)[type_]}"
    plan = [step for *_, step in keys._connection.execute(sql, {"newest": 1, "after": 0})]
    assert "SEARCH told USING PRIMARY KEY (type=? AND a=? AND b=?)" in plan
    assert "SEARCH open_images USING PRIMARY KEY (grp=? AND type=? AND a=? AND b=?)" in plan
    keys.close()
    database.close()


def test_the_newest_image_of_a_key_counts_and_what_was_not_read_is_left_out(tmp_path: Path) -> None:
    database = Database.create(tmp_path / "database")
    database.write("INSERT INTO groups (id, state) VALUES (9, 0)")
    database.write(INODE, (2,))
    for name, group in (
        (b"told", 7),
        (b"older", 5),
        (b"untold", 7),
        (b"unread", 3),
        (b"sealed since", 8),
        (b"far", 10),
    ):
        database.write(XATTR, (2, name, group))
    database.commit()
    keys = ToldKeys(database.path)
    keys.note(7, [(Type.XATTR, 2, b"told"), (Type.XATTR, 2, b"older")])
    keys.note(5, [(Type.XATTR, 2, b"older")])
    found = keys.untold(Type.XATTR, Walked(newest=7, after=3))
    assert sorted(found, key=lambda row: str(row.b)) == [
        Untold(Type.XATTR, 2, b"far", 10, True),
        Untold(Type.XATTR, 2, b"older", 5, False),
        Untold(Type.XATTR, 2, b"untold", 7, False),
    ]
    keys.close()
    database.close()
