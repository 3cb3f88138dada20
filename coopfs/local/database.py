"""One SQLite file, opened for one owner, and what makes a commit durable without stopping the event loop.

`synchronous=FULL` would wait for the disk inside COMMIT, on the loop. So the file runs in WAL mode with
`synchronous=NORMAL` and no automatic checkpoint, and a durable commit is three steps (tasks/writing/committer):

1. fdatasync of the stage files whose bytes the transaction names (a thread);
2. COMMIT: writes the WAL, waits for nothing (the loop);
3. fdatasync of the WAL through a descriptor of our own (a thread). Only then may fsync answer or anything be sent.

That is the order and the strength of FULL. Without step 3 a power loss costs whole transactions from the end, never a
part of one: the WAL's frames are chained by checksums.

All changes between two commits are one transaction. It begins with the first change, so that between a commit and the
next change the WAL can be taken back to its start.
"""

import os
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from coopfs.errors import StateError
from coopfs.limits import DATABASE_GROWTH, WAL_ROOM
from coopfs.local.ballast import Ballast, ballast_of
from coopfs.local.home import sync_directory
from coopfs.local.schema import APPLICATION_ID, SCHEMA_VERSION, TABLES

REMEDY = "stop the daemon, and rebuild the disk from its recovery kit with `coopfs takeover KIT`"
PRIMARY = 0xFF  # the part of SQLite's result codes that they have in common
SqliteError = sqlite3.DatabaseError  # what reading a torn file ends in, wherever that is met first
ABOUT_THE_PLACE = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY}
CACHE_KIB = 32 * 1024  # page cache: inner pages of a tree of some 10^7 rows, and the pages dirtied in a second


class Database:
    """The connection of the loop, and a second one for checkpoints in a thread."""

    def __init__(self, path: Path) -> None:
        """StateError: missing, not ours, of another version, or damaged in a way that SQLite notices at once."""
        self.path = path
        if not path.is_file():
            raise StateError(f"the disk's database {path} is missing: {REMEDY}")
        ballast_of(path).unlink(missing_ok=True)
        try:
            self._connection = _connect(path)
            self._check()
        except SqliteError as bad:
            if bad.sqlite_errorcode & PRIMARY in ABOUT_THE_PLACE:
                raise StateError(f"the disk's database {path} cannot be opened ({bad}): is there space left?") from None
            raise damage_of(path, bad) from None
        self._ballast = Ballast(path, WAL_ROOM, DATABASE_GROWTH)
        self._settle()
        self._failure: str | None = None
        self._begun = False
        self._counted = 0  # rows changed before the last commit
        self.touched = False  # whether there is something to commit, in the transaction or still in memory
        self.on_touched: Callable[[], None] = lambda: None
        self._checkpointer: sqlite3.Connection | None = None
        self.read = self._connection.execute
        sync_directory(path.parent)

    @classmethod
    def create(cls, path: Path) -> "Database":
        """A new, empty database; StateError if there is one already."""
        if path.exists():
            raise StateError(f"there is a disk already in {path.parent}: choose another directory")
        connection = _connect(path)
        try:
            connection.executescript(f"BEGIN;{TABLES}COMMIT;")
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        finally:
            connection.close()
        return cls(path)

    def _check(self) -> None:
        if self._pragma("application_id") != APPLICATION_ID:
            raise StateError(f"{self.path} is not the database of a disk: {REMEDY}")
        if (version := self._pragma("user_version")) != SCHEMA_VERSION:
            raise StateError(
                f"{self.path} has version {version}, this program writes {SCHEMA_VERSION}: use the coopfs that wrote it"
            )
        if self._pragma("journal_mode") != "wal":
            raise StateError(f"{self.path} is not in WAL mode: {REMEDY}")
        self._connection.execute("SELECT count(*) FROM facts").fetchone()

    def _settle(self) -> None:
        """The last process may have died between COMMIT and step 3: nobody acts on less than durable. If its step 3
        failed, the system takes what it did not write for written, so the log is not just synced: what it says is
        written once more, to the database, and it goes. On a full disk it stays, and grows in its room; where it goes,
        the next one gets that room."""
        had_room = self._ballast.is_left()
        try:
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        except SqliteError as bad:
            if bad.sqlite_errorcode & PRIMARY not in ABOUT_THE_PLACE:
                raise damage_of(self.path, bad) from None
            if bad.sqlite_errorcode & PRIMARY != sqlite3.SQLITE_FULL:
                raise StateError(f"the disk's database {self.path} failed ({bad})") from bad
        if had_room:
            self._ballast.hold()
        self.sync_wal()

    def _pragma(self, name: str) -> Any:
        return self._connection.execute(f"PRAGMA {name}").fetchone()[0]

    def write(self, sql: str, values: Sequence[Any] = ()) -> sqlite3.Cursor:
        """Change something in the transaction, which this begins if need be. StateError: the disk failed (`fail`)."""
        self._join()
        try:
            return self._connection.execute(sql, values)
        except sqlite3.Error as bad:
            self.fail(str(bad))
            raise StateError(self._failure) from bad

    def write_many(self, sql: str, rows: Sequence[Sequence[Any]]) -> None:
        """`write` for each row."""
        if not rows:
            return
        self._join()
        try:
            self._connection.executemany(sql, rows)
        except sqlite3.Error as bad:
            self.fail(str(bad))
            raise StateError(self._failure) from bad

    def _join(self) -> None:
        """Be in the transaction. A failure may have ended it, and each statement would be committed by itself."""
        if self._failure is not None:
            raise StateError(self._failure)
        if not self._begun:
            self._connection.execute("BEGIN IMMEDIATE")
            self._begun = True
            self.touch()

    def touch(self) -> None:
        """The next commit has something to write. The first time after a commit `on_touched` is told."""
        if not self.touched:
            self.touched = True
            self.on_touched()

    def fail(self, why: str) -> None:
        """Half an operation may be in the transaction: let nobody commit it. A restart continues at the last commit."""
        if self._failure is None:
            self._failure = (
                f"the disk's database {self.path} failed ({why}): free space or repair the disk, then restart"
            )

    @property
    def failed(self) -> bool:
        """Whether nothing can be changed any more."""
        return self._failure is not None

    @property
    def undone(self) -> bool:
        """Whether SQLite has taken back what was changed since the last commit, while others still go by it."""
        return self._begun and not self._connection.in_transaction

    @property
    def changed(self) -> bool:
        """Whether a transaction is under way."""
        return self._begun

    @property
    def rows_changed(self) -> int:
        """In this transaction, each as often as it was."""
        return self._connection.total_changes - self._counted

    def commit(self) -> None:
        """End the transaction. Durable only after `sync_wal`. StateError: the disk failed."""
        if self._failure is not None:
            raise StateError(self._failure)
        self.touched = False
        if not self._begun:
            return
        try:
            self._connection.execute("COMMIT")
        except sqlite3.Error as bad:
            self.fail(str(bad))
            raise StateError(self._failure) from bad
        self._begun = False
        self._counted = self._connection.total_changes

    def hold_room(self) -> None:
        """Take room on the local disk from now on (ballast.py), so that changes go on when others fill it."""
        self._ballast.hold()

    def sync_wal(self) -> None:
        """Make all commits so far durable. Waits for the disk: call it in a thread."""
        os.fdatasync(self._ballast.log)

    def wal_bytes(self) -> int:
        """Length of what is in use of the WAL file."""
        return self._ballast.log_bytes()

    def room(self) -> int:
        """Bytes that the WAL can grow by now: in its room, and in what others left of the disk."""
        return self._ballast.room()

    @property
    def crowded(self) -> bool:
        """Whether the WAL has taken half of its room and there is no other: whoever reads keeps it from beginning
        anew, and must end."""
        return self.wal_bytes() > WAL_ROOM // 2 and self.room() < WAL_ROOM

    def checkpoint(self) -> None:
        """Copy what is committed from the WAL into the database; the next transaction begins the WAL anew if there was
        none meanwhile. Where the local disk is full and the database would have to grow, the WAL grows in its room.

        Waits for the disk: call it in a thread, one at a time. The long part holds no lock that the loop could want.
        Where something is changed all the time, it begins anew only when this is called right after a commit.
        """
        if self._checkpointer is None and not self._open_checkpointer():
            return
        assert self._checkpointer is not None
        try:
            self._checkpointer.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
            if not self._begun:
                self._checkpointer.execute("PRAGMA wal_checkpoint(RESTART)").fetchone()
        except sqlite3.OperationalError as full:
            if full.sqlite_errorcode & PRIMARY != sqlite3.SQLITE_FULL:
                raise StateError(f"the disk's database {self.path} failed ({full})") from full
        self._ballast.hold_on()

    def _open_checkpointer(self) -> bool:
        """False: it cannot be opened now, as where no descriptor is left; then the log grows a little longer."""
        try:
            self._checkpointer = _connect(self.path)
        except sqlite3.OperationalError as failed:
            if failed.sqlite_errorcode & PRIMARY != sqlite3.SQLITE_CANTOPEN:
                raise
            return False
        self._checkpointer.execute("PRAGMA busy_timeout = 0")
        return True

    def fact(self, key: str, default: Any = None) -> Any:
        """A fact of the disk: an integer, a text or bytes."""
        row = self.read("SELECT value FROM facts WHERE key = ?", (key,)).fetchone()
        return default if row is None else row[0]

    def set_fact(self, key: str, value: int | str | bytes | None) -> None:
        self.write("INSERT OR REPLACE INTO facts VALUES (?, ?)", (key, value))

    def close(self) -> None:
        """Forget an uncommitted transaction, and leave no WAL behind if all is well."""
        if self._connection.in_transaction:  # a full disk may have ended it
            self._connection.execute("ROLLBACK")
        self._begun = False
        if self._checkpointer is not None:
            self._checkpointer.close()
        self._connection.close()
        self._ballast.close()


def damage_of(path: Path, torn: SqliteError) -> StateError:
    """What to say when a database that could be opened turns out to be torn, or is on a disk that fails."""
    if torn.sqlite_errorcode & PRIMARY in ABOUT_THE_PLACE:
        return StateError(f"the disk's database {path} failed ({torn}): free space or repair the disk, then restart")
    return StateError(f"the disk's database {path} is damaged ({torn}): {REMEDY}")


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=256)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA wal_autocheckpoint = 0")
        connection.execute("PRAGMA temp_store = MEMORY")
        connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
    except sqlite3.Error:
        connection.close()
        raise
    return connection
