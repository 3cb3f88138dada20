"""Databases as burdens: SQLite and PostgreSQL, each told what it has committed."""

import sqlite3
import sys
from contextlib import ExitStack, closing
from pathlib import Path
from random import Random
from subprocess import Popen

from suitelib import postgres
from suitelib.shell import Words, end, require, running, start
from suitelib.suite import program

COMMITS = """
import os, sqlite3, sys
path, told, mode = sys.argv[1:]
database = sqlite3.connect(path)
database.execute(f"PRAGMA journal_mode = {mode}")
database.execute("PRAGMA synchronous = EXTRA")
database.execute("CREATE TABLE IF NOT EXISTS told (number INTEGER PRIMARY KEY, filler BLOB)")
number = database.execute("SELECT coalesce(max(number), 0) FROM told").fetchone()[0]
while True:
    number += 1
    with database:
        database.execute("INSERT INTO told VALUES (?, ?)", (number, os.urandom(number * 37 % 9000)))
        database.execute("DELETE FROM told WHERE number < ?", (number - 500,))
    os.close(os.open(os.path.dirname(path), os.O_RDONLY))
    with open(told + ".new", "w") as file:
        file.write(str(number))
    os.replace(told + ".new", told)
"""


class Sqlite:
    """Transactions in either journal mode, a process of its own: it maps files of the mount.

    With synchronous = FULL, a commit of mode DELETE ends with a journal unlinked and no directory synced, which SQLite
    does not promise to survive a power loss; with EXTRA it does. But a directory that cannot be opened it takes for one
    that need not be synced, and here the program outlives the machine: what counts is what was done while that ran.
    """

    def __init__(self, top: Path, beside: Path, random: Random) -> None:
        self._path, self._told = top / "sqlite.db", beside / "sqlite told"
        self._random = random
        self._told.write_text("0")
        self._child: Popen[bytes] | None = None

    def begin(self) -> None:
        mode = self._random.choice(("WAL", "DELETE", "TRUNCATE"))
        self._child = start(sys.executable, "-c", COMMITS, self._path, self._told, mode)

    def end(self) -> None:
        assert self._child is not None
        end(self._child)

    def told(self) -> int:
        """The newest commit that is done; they are counted from 1."""
        return int(self._told.read_text())

    def found(self, top: Path) -> int:
        """The newest commit in a database that came back below `top`, and is sound."""
        path = top / self._path.name
        if not path.exists():
            return 0
        with closing(sqlite3.connect(path)) as database:
            said = database.execute("PRAGMA integrity_check").fetchone()[0]
            require(said == "ok", f"SQLite finds: {said}")
            if database.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0] == 0:
                return 0
            return int(database.execute("SELECT coalesce(max(number), 0) FROM told").fetchone()[0])

    def check(self) -> None:
        newest, told = self.found(self._path.parent), self.told()
        require(newest >= told, f"SQLite has commit {newest}, and {told} was done")
        self.renew()

    def renew(self) -> None:
        """Go on with what is there."""
        self._told.write_text(str(self.found(self._path.parent)))


class Postgres:
    """pgbench beside commits that are told; page checksums are on, and amcheck looks at all indexes."""

    def __init__(self, top: Path, beside: Path, random: Random) -> None:
        self._data, self._told = top / "postgresql" / "data", beside / "postgresql told"
        self._running = ExitStack()
        self._told.write_text("0")
        top.chmod(0o755)
        self._data.parent.mkdir()
        postgres.initialise(self._data)
        with postgres.server(self._data) as reach:
            postgres.run_as_owner("pgbench", *reach, "-i", "-q", "-s", "1", postgres.DATABASE)
            postgres.ask(reach, "CREATE EXTENSION amcheck; CREATE TABLE told (number int PRIMARY KEY)")

    def begin(self) -> None:
        reach = self._running.enter_context(postgres.server(self._data))
        self._kill = postgres.killer(self._data)
        bench: list[Words] = [program("pgbench"), *reach, "-c", "2", "-T", "600", "-n", postgres.DATABASE]
        psql = " ".join(["psql", *reach, "-d", postgres.DATABASE, "-v", "ON_ERROR_STOP=1", "-qAtc"])
        loop = (
            f'n=$(cat "$1"); while n=$((n + 1)); do {psql} "INSERT INTO told VALUES ($n) ON CONFLICT DO NOTHING" '
            '&& echo "$n" >"$1" || exit; done'
        )
        commands: tuple[list[Words], ...] = (bench, ["sh", "-c", loop, "sh", self._told])
        self._children = self._running.enter_context(running(*commands))

    def end(self) -> None:
        for child in self._children:
            end(child)
        self._kill()
        self._running.close()

    def check(self) -> None:
        (self._data / "postmaster.pid").unlink(missing_ok=True)
        with postgres.server(self._data) as reach:
            told = int(self._told.read_text() or 0)
            there = int(postgres.ask(reach, f"SELECT count(*) FROM told WHERE number <= {told}"))
            require(there == told, f"PostgreSQL has {there} of {told} commits that were done")
            deltas, branches = "SELECT sum(delta) FROM pgbench_history", "SELECT sum(bbalance) FROM pgbench_branches"
            require((postgres.ask(reach, deltas).strip() or "0") == postgres.ask(reach, branches).strip(), "balances")
            postgres.sound(reach)
