"""The database of a disk, when the local disk fails under it."""

import os
import re
import resource
import shutil
import signal
import sqlite3
from pathlib import Path

import pytest

from coopfs.errors import StateError
from coopfs.local.database import Database, damage_of


def test_after_a_failed_commit_nothing_is_written(tmp_path: Path) -> None:
    """SQLite has ended the transaction then: what follows would be durable, statement by statement."""
    database = Database.create(tmp_path / "disk.sqlite")
    database.set_fact("before", 1)
    database.commit()
    log = tmp_path / "disk.sqlite-wal"
    database.set_fact("much", bytes(200_000))
    limits, ignored = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (os.path.getsize(log) + 8192, limits[1]))
        with pytest.raises(StateError, match="failed"):
            database.commit()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, ignored)
    with pytest.raises(StateError, match="failed"):
        database.set_fact("after", 1)
    with pytest.raises(StateError, match="failed"):
        database.write_many("INSERT INTO facts VALUES (?, ?)", [("after", 1)])
    other = sqlite3.connect(tmp_path / "disk.sqlite")
    facts = {key for (key,) in other.execute("SELECT key FROM facts")}
    other.close()
    assert "before" in facts
    assert not facts & {"much", "after"}
    database.close()


def test_what_a_killed_process_committed_is_durable_without_its_log(tmp_path: Path) -> None:
    """Its last sync of the log may have failed, and the system says so only once."""
    database = Database.create(tmp_path / "disk.sqlite")
    database.set_fact("committed", 1)
    database.commit()
    shutil.copytree(tmp_path, tmp_path / "killed")
    database.close()
    killed = Database(tmp_path / "killed" / "disk.sqlite")
    (tmp_path / "alone").mkdir()
    shutil.copy(tmp_path / "killed" / "disk.sqlite", tmp_path / "alone")
    alone = Database(tmp_path / "alone" / "disk.sqlite")
    assert alone.fact("committed") == 1
    alone.close()
    killed.close()


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (sqlite3.SQLITE_IOERR_READ, r"failed \(bad\): free space or repair the disk, then restart"),
        (sqlite3.SQLITE_CORRUPT, r"damaged \(bad\): .*takeover"),
    ],
)
def test_a_disk_that_fails_is_not_told_as_a_torn_database(code: int, said: str) -> None:
    """A takeover would give up what was not sent."""
    torn = sqlite3.DatabaseError("bad")
    torn.sqlite_errorcode = code
    assert re.search(said, str(damage_of(Path("disk.sqlite"), torn)))
