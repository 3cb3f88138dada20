"""node.sqlite and the partners in it."""

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from coopfs.errors import HomeError, StateError, UsageError
from coopfs.local import partners, steps, uptimes
from coopfs.local.hosted import endings, hostrecords
from coopfs.local.nodedb import NodeDatabase
from coopfs.local.partners import PartnerEntry
from coopfs.types import NodeKey

ANNA = PartnerEntry("anna", NodeKey(b"a" * 32), ("[::1]:1", "host:2"), 1 << 40, 2 << 40)


def add(database: NodeDatabase, entry: PartnerEntry) -> PartnerEntry:
    with database.transaction() as connection:
        return partners.insert(connection, entry)


def add_and_fail(connection: sqlite3.Connection, entry: PartnerEntry) -> None:
    partners.insert(connection, entry)
    raise UsageError("changed my mind")


def test_partners_are_kept(tmp_path: Path) -> None:
    database = NodeDatabase(tmp_path / "node.sqlite")
    add(database, ANNA)
    database.close()
    database = NodeDatabase(tmp_path / "node.sqlite")
    assert partners.all_partners(database) == [ANNA]
    uptimes.save(database, {}, {ANNA.key: 12345})
    assert partners.all_partners(database) == [replace(ANNA, last_seen=12345)]
    database.close()


def test_a_failed_transaction_leaves_nothing(tmp_path: Path) -> None:
    database = NodeDatabase(tmp_path / "node.sqlite")
    add(database, ANNA)
    with pytest.raises(sqlite3.IntegrityError):
        add(database, replace(ANNA, name="the same key again"))
    with pytest.raises(UsageError), database.transaction() as connection:
        add_and_fail(connection, replace(ANNA, name="bert", key=NodeKey(b"b" * 32)))
    assert partners.all_partners(database) == [ANNA]
    database.close()


def test_commits_wait_for_the_disk_and_the_file_is_private(tmp_path: Path) -> None:
    database = NodeDatabase(tmp_path / "node.sqlite")
    with database.reading() as connection:
        assert connection.execute("PRAGMA synchronous").fetchone() == (2,), "FULL"
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert (tmp_path / "node.sqlite").stat().st_mode & 0o777 == 0o600
    database.close()


@pytest.mark.parametrize("offset", [0, 30, 100, 4096, 4100])
def test_a_damaged_database_is_a_state_error_of_one_line(tmp_path: Path, offset: int) -> None:
    path = tmp_path / "node.sqlite"
    database = NodeDatabase(path)
    add(database, ANNA)
    database.close()
    data = bytearray(path.read_bytes())
    data[offset : offset + 60] = b"\xa5" * 60
    path.write_bytes(data)
    with pytest.raises((StateError, HomeError), match=r"^[^\n]*node\.sqlite[^\n]*$"):
        NodeDatabase(path)


def test_a_database_of_another_version_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "node.sqlite"
    database = NodeDatabase(path)
    with database.reading() as connection:
        connection.execute("PRAGMA user_version = 77")
    database.close()
    with pytest.raises(HomeError, match="another version"):
        NodeDatabase(path)


def test_a_directory_that_is_missing_is_a_home_error(tmp_path: Path) -> None:
    with pytest.raises(HomeError, match="No such file"):
        NodeDatabase(tmp_path / "missing" / "node.sqlite")


@pytest.mark.parametrize("version", [1, 2, 3, 4, 5, 6])
def test_a_database_of_a_version_before_is_brought_up_to_date(tmp_path: Path, version: int) -> None:
    path = tmp_path / "node.sqlite"
    database = NodeDatabase(path)
    add(database, ANNA)
    database.close()
    with closing(sqlite3.connect(path)) as connection:
        if version < 5:
            connection.execute("ALTER TABLE invitations DROP COLUMN uptime")
        if version < 6:
            connection.execute("ALTER TABLE agreements DROP COLUMN began")
        added = {"grants": 2, "endings": 3, "uptime": 4, "wishes": 6, "asks": 6, "step": 7, "bids": 7}
        for table in (table for table, since in added.items() if since > version):
            connection.execute(f"DROP TABLE {table}")
        connection.execute(f"PRAGMA user_version = {version}")
    database = NodeDatabase(path)
    assert partners.all_partners(database) == [ANNA]
    assert hostrecords.grants(database) == []
    assert endings.owed(database) == []
    assert uptimes.load(database) == {}
    assert (steps.load(database), steps.load_bids(database)) == (None, None)
    with database.reading() as connection:
        assert connection.execute("SELECT uptime FROM invitations").fetchall() == []
    database.close()
