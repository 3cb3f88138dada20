"""HOME/node.sqlite: what this node has agreed to and what it holds for others. Small, and never wrong after a power
loss.

Every change is one transaction, on stable storage when `transaction` ends: save, then speak.
"""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock

from coopfs.errors import CoopfsError, HomeError, StateError
from coopfs.limits import NODE_CHECKPOINT, NODE_ROOM
from coopfs.local.ballast import Ballast, ballast_of
from coopfs.local.home import sync_directory

SCHEMA_VERSION = 7
_FULL = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN}


def _schema() -> str:
    """The tables. Keys, ids, tokens and signatures are BLOBs; times are seconds since 1970; sizes are bytes."""
    return f"""
    -- The nodes this node calls its partners. `given` is what it gives them, `taken` what it may use of theirs.
    CREATE TABLE partners (
        name TEXT PRIMARY KEY,
        key BLOB NOT NULL UNIQUE,           -- node key, 32 bytes
        addresses TEXT NOT NULL,            -- JSON list of "HOST:PORT"
        given INTEGER NOT NULL,
        taken INTEGER NOT NULL,
        last_seen INTEGER                   -- NULL: never
    ) STRICT;

    -- Codes this node has handed out. A used one stays, so that the same acceptor gets the same answer again.
    CREATE TABLE invitations (
        token BLOB PRIMARY KEY,             -- 16 bytes
        given INTEGER NOT NULL,
        taken INTEGER NOT NULL,
        expires INTEGER NOT NULL,
        used_by BLOB                        -- node key of the acceptor; NULL: open
    ) STRICT;

    -- Codes this node is taking up: the start it proposed, so that a second try proposes the same.
    CREATE TABLE proposals (
        token BLOB PRIMARY KEY,
        inviter BLOB NOT NULL,              -- node key
        start INTEGER NOT NULL
    ) STRICT;

    -- One per partner. What it says this node gives is the room for that partner's stores here.
    CREATE TABLE agreements (
        peer BLOB PRIMARY KEY,              -- node key
        text BLOB NOT NULL,                 -- what both signed, core/agreement.py
        mine BLOB NOT NULL,                 -- signatures, 64 bytes
        theirs BLOB NOT NULL
    ) STRICT;

    -- Disks hosted for a partner, with the highest claim granted. A partner's disks are its own name space: a claim
    -- that one partner has seen cannot be used by it against the disk of another.
    CREATE TABLE disks (
        peer BLOB NOT NULL,
        disk BLOB NOT NULL,                 -- disk id, 16 bytes
        epoch INTEGER NOT NULL,
        claimer BLOB NOT NULL,              -- 16 bytes
        time INTEGER NOT NULL,
        signing_key BLOB NOT NULL,          -- 32 bytes
        signature BLOB NOT NULL,            -- 64 bytes
        PRIMARY KEY (peer, disk)
    ) STRICT;

    -- The two newest master blocks of each disk.
    CREATE TABLE masters (
        peer BLOB NOT NULL,
        disk BLOB NOT NULL,
        counter BLOB NOT NULL,              -- uint64, big-endian: SQLite's integers are signed
        data BLOB NOT NULL,
        PRIMARY KEY (peer, disk, counter)
    ) STRICT;

    -- Stores: each is the file HOME/hosted/<store id in hex>.
    CREATE TABLE stores (
        store BLOB PRIMARY KEY,             -- store id, 16 bytes
        peer BLOB NOT NULL,
        disk BLOB NOT NULL,
        rows INTEGER NOT NULL,
        block_size INTEGER NOT NULL
    ) STRICT;
    {_GRANTS}{_ENDINGS}{_UPTIME}{_PROMISES}{_AMENDING}{_STEPS}
    """


_GRANTS = """
    -- Who may read a store besides its owner, until when.
    CREATE TABLE grants (
        store BLOB NOT NULL,                -- store id, 16 bytes
        reader BLOB NOT NULL,               -- node key
        peer BLOB NOT NULL,                 -- node key of the owner
        disk BLOB NOT NULL,                 -- disk id, 16 bytes
        until INTEGER NOT NULL,
        PRIMARY KEY (store, reader)
    ) STRICT;
"""
_ENDINGS = """
    -- The last agreement with each node that ended: whom to tell, and what cannot be renewed.
    CREATE TABLE endings (
        peer BLOB PRIMARY KEY,              -- node key
        name TEXT NOT NULL,
        addresses TEXT NOT NULL,            -- JSON list of "HOST:PORT"
        text BLOB NOT NULL,                 -- of the agreement
        told INTEGER NOT NULL               -- 1: the other side knows
    ) STRICT;
"""

_UPTIME = """
    -- What was seen of a node's uptime, the own one's too: one row for each of 90 days.
    CREATE TABLE uptime (
        node BLOB NOT NULL,                 -- node key
        day INTEGER NOT NULL,               -- days since 1970
        slots BLOB NOT NULL,                -- 96 bytes, core/uptime.py
        PRIMARY KEY (node, day)
    ) STRICT, WITHOUT ROWID;
"""
_PROMISES = """
    -- The uptime level that both promise; empty: none.
    ALTER TABLE invitations ADD COLUMN uptime TEXT NOT NULL DEFAULT '';
"""
_AMENDING = """
    -- Agreements that this node has asked partners to amend: the newest text, and between which sizes all texts lie
    -- that may have been agreed to.
    CREATE TABLE wishes (
        peer BLOB PRIMARY KEY,              -- node key
        text BLOB NOT NULL,                 -- core/agreement.py
        least INTEGER NOT NULL,
        most INTEGER NOT NULL
    ) STRICT;

    -- What partners have asked this node's owner for, that is not agreed to.
    CREATE TABLE asks (
        peer BLOB PRIMARY KEY,              -- node key
        size INTEGER NOT NULL               -- bytes each way
    ) STRICT;

    -- The start of the first text of which an agreement is an amendment; NULL: it is the first.
    ALTER TABLE agreements ADD COLUMN began INTEGER;
"""


_STEPS = """
    -- The step in which this node is one of the two between whom a newcomer steps; one row at most.
    CREATE TABLE step (
        id BLOB PRIMARY KEY,                -- 16 bytes, drawn by the newcomer
        newcomer BLOB NOT NULL,             -- node keys
        fellow BLOB NOT NULL,
        name TEXT NOT NULL,                 -- of the newcomer
        token BLOB NOT NULL,                -- of its invitation
        state INTEGER NOT NULL,             -- core/stepping.py
        since INTEGER NOT NULL              -- when it asked, or agreed
    ) STRICT;

    -- The two between whom this node asks to step; two rows, or none.
    CREATE TABLE bids (
        id BLOB NOT NULL,                   -- 16 bytes
        since INTEGER NOT NULL,
        member BLOB PRIMARY KEY,            -- node key
        name TEXT NOT NULL,
        addresses TEXT NOT NULL             -- JSON list of candidates
    ) STRICT;
"""


class NodeDatabase:
    """One connection, usable from any thread, one transaction at a time."""

    def __init__(self, path: Path) -> None:
        """Open it, or make it if there is none. StateError: damaged; HomeError: not readable, no room, of another
        version.
        """
        self._path = path
        self._lock = Lock()
        ballast_of(path).unlink(missing_ok=True)
        with self._errors():
            # SQLite gives its own files the mode of this one.
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        try:
            with self._errors():
                self._prepare()
        except CoopfsError:
            self._connection.close()
            raise
        self._ballast: Ballast | None = Ballast(path, NODE_ROOM, NODE_ROOM)
        self._ballast.hold()
        with self._errors():  # the last process may have died before it had synced what is read now
            os.fsync(self._ballast.log)
            sync_directory(path.parent)

    def close(self) -> None:
        """Idempotent."""
        self._connection.close()
        if self._ballast is not None:
            self._ballast.close()
            self._ballast = None

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All or nothing, durable at the end; an exception undoes it. HomeError: no room or no permission;
        StateError: damaged.
        """
        with self._lock, self._errors():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """For queries only. StateError: damaged."""
        with self._lock, self._errors():
            yield self._connection

    def _prepare(self) -> None:
        connection = self._connection
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(f"PRAGMA wal_autocheckpoint = {NODE_CHECKPOINT}")
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version == 0 and connection.execute("SELECT count(*) FROM sqlite_schema").fetchone() == (0,):
            connection.executescript(f"BEGIN; {_schema()} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;")
        elif 1 <= version < SCHEMA_VERSION:
            added = "".join((_GRANTS, _ENDINGS, _UPTIME, _PROMISES, _AMENDING, _STEPS)[version - 1 :])
            connection.executescript(f"BEGIN; {added} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;")
        elif version != SCHEMA_VERSION:
            raise HomeError(
                f"{self._path} was made by another version of coopfs (format {version}, not {SCHEMA_VERSION})"
            )
        # A few thousand rows: milliseconds.
        if connection.execute("PRAGMA quick_check(1)").fetchone() != ("ok",):
            raise StateError(self._damaged())

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise HomeError(f"cannot open {self._path}: {error.strerror}") from error
        except (sqlite3.IntegrityError, sqlite3.ProgrammingError):
            raise  # our bugs: callers ask before they insert, and know when the database is closed
        except sqlite3.DatabaseError as error:
            if getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF in _FULL:
                raise HomeError(f"cannot write {self._path}: {error}; make room and check permissions") from error
            raise StateError(self._damaged()) from error

    def _damaged(self) -> str:
        return f"{self._path} is damaged: restore it from a copy of this home, or take over with the recovery kit"
