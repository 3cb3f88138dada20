"""The databases that a register can live in: one SQLite file, or a PostgreSQL that several servers share.

Both speak the same SQL here: `?` for values, and BYTEA for bytes, which SQLite takes as a name like any other. Drivers
are called in worker threads: a query may wait for a disk or a network, and PostgreSQL's asynchronous driver is for
asyncio only. What is lost with the machine is told again by every node within minutes, so nothing waits for a disk.
"""

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import trio

from coopfs.errors import StateError, UsageError
from coopfs.limits import MATCH_CONNECTIONS, MATCH_LOCK

if TYPE_CHECKING:
    from psycopg import Connection

Row = Sequence[Any]
Gain = TypeVar("Gain")


class Transaction(Protocol):
    """What runs together or not at all."""

    def rows(self, query: str, *values: object) -> list[Row]:
        """All that a query finds."""

    def change(self, statement: str, *values: object) -> int:
        """How many rows it changed."""


class Engine(Protocol):
    """A database. StateError: it cannot be reached or is damaged."""

    async def run(self, work: Callable[[Transaction], Gain]) -> Gain:
        """One transaction, in a thread; what `work` raises undoes it."""

    def close(self) -> None:
        """Nothing runs any more."""


class SqliteEngine:
    """One connection, one transaction at a time."""

    def __init__(self, path: Path, tables: str) -> None:
        """tables: statements that make what is missing."""
        self._path = path
        self._turn = trio.CapacityLimiter(1)
        try:
            self._connection = sqlite3.connect(
                path, timeout=MATCH_LOCK, isolation_level=None, check_same_thread=False, cached_statements=64
            )
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = OFF")
            self._connection.executescript(tables)
        except sqlite3.DatabaseError as error:
            if error.sqlite_errorcode in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
                what = f"{error}; if it is an old one of this server, remove it: nodes announce themselves again"
            else:
                what = f"{error}; give a file in a directory that is there, or postgresql://USER@HOST/NAME"
            raise StateError(f"{path} cannot be used: {what}") from None

    async def run(self, work: Callable[[Transaction], Gain]) -> Gain:
        return await trio.to_thread.run_sync(self._run, work, limiter=self._turn)

    def _run(self, work: Callable[[Transaction], Gain]) -> Gain:
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                gained = work(_SqliteTransaction(self._connection))
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            raise StateError(f"{self._path}: {error}") from error
        return gained

    def close(self) -> None:
        self._connection.close()


class _SqliteTransaction:
    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def rows(self, query: str, *values: object) -> list[Row]:
        return self._connection.execute(query, values).fetchall()

    def change(self, statement: str, *values: object) -> int:
        return self._connection.execute(statement, values).rowcount


class PostgresEngine:
    """A few connections, made when needed, and again when one broke."""

    def __init__(self, address: str, tables: str) -> None:
        """address: "postgresql://USER@HOST/DATABASE", as libpq takes it. UsageError: the driver is not installed."""
        try:
            import psycopg
        except ImportError:
            raise UsageError("PostgreSQL needs a driver: install coopfs[postgresql]") from None
        self._psycopg = psycopg
        self._address = address
        self._turn = trio.CapacityLimiter(MATCH_CONNECTIONS)
        self._idle: list[Connection] = []
        try:
            with psycopg.connect(address, connect_timeout=int(MATCH_LOCK)) as connection:
                # two servers that start at once would both make the tables
                connection.execute("SELECT pg_advisory_xact_lock(7531)")
                connection.execute(tables.encode())
        except psycopg.Error as error:
            raise self._trouble(error) from None

    async def run(self, work: Callable[[Transaction], Gain]) -> Gain:
        return await trio.to_thread.run_sync(self._run, work, limiter=self._turn)

    def _run(self, work: Callable[[Transaction], Gain]) -> Gain:
        try:
            with self._connected() as connection, connection.transaction():
                return work(_PostgresTransaction(connection))
        except self._psycopg.Error as error:
            raise self._trouble(error) from error

    @contextmanager
    def _connected(self) -> Iterator["Connection"]:
        if self._idle:
            connection = self._idle.pop()
        else:
            connection = self._psycopg.connect(self._address, autocommit=True, connect_timeout=int(MATCH_LOCK))
            connection.execute("SET synchronous_commit = off")  # what a power cut takes is told again within minutes
        try:
            yield connection
        finally:
            if connection.closed or connection.broken:
                connection.close()
            else:
                self._idle.append(connection)

    def _trouble(self, error: Exception) -> StateError:
        return StateError(f"PostgreSQL: {' '.join(str(error).split())}")

    def close(self) -> None:
        while self._idle:
            self._idle.pop().close()


class _PostgresTransaction:
    def __init__(self, connection: "Connection") -> None:
        self._connection = connection

    def rows(self, query: str, *values: object) -> list[Row]:
        return list(self._connection.execute(_numbered(query), values).fetchall())

    def change(self, statement: str, *values: object) -> int:
        return self._connection.execute(_numbered(statement), values).rowcount


def _numbered(query: str) -> bytes:
    """Values as psycopg writes them; our statements have no other question marks and no per cent signs."""
    return query.replace("?", "%s").encode()
