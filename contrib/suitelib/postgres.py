"""PostgreSQL: initdb, pgbench, amcheck and page checksums; killed under load, it must recover what it had committed."""

import getpass
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from suitelib.shell import Failed, Words, end, require, run, running
from suitelib.suite import REMOUNT, Step, Suite, Trial, program

PATIENCE = 60.0  # seconds until a server answers
DATABASE = "postgres"


def _user() -> str:
    """Who owns the data."""
    return "postgres" if os.geteuid() == 0 else getpass.getuser()


def _become() -> str | None:
    """The server refuses to be root."""
    return "postgres" if os.geteuid() == 0 else None


def _run(name: str, *arguments: str | Path, timeout: float = 900.0) -> str:
    return run(program(name), *arguments, user=_become(), cwd=Path("/"), timeout=timeout)


@contextmanager
def _server(data: Path) -> Iterator[list[str]]:
    """A server of these data, reached only through a socket of its own; yields how to connect."""
    with tempfile.TemporaryDirectory(prefix="coopfs-suites-") as sockets:
        os.chmod(sockets, 0o777)
        flags = ["-D", str(data), "-k", sockets, "-c", "listen_addresses=", "-c", "wal_sync_method=fdatasync"]
        command: list[Words] = [program("postgres"), *flags, "-c", "shared_buffers=16MB"]
        reach = ["-h", sockets, "-U", _user()]
        with running(command, user=_become()) as (server,):
            deadline = time.monotonic() + PATIENCE
            while not _answers(reach):
                if server.poll() is not None:
                    raise Failed(
                        f"the server does not start: {server.communicate()[0].decode(errors='replace')[-500:]}"
                    )
                require(time.monotonic() < deadline, "the server does not answer")
                time.sleep(0.1)
            yield reach
            if server.poll() is None:
                _run("pg_ctl", "-D", data, "-m", "fast", "-w", "stop")


def _answers(reach: list[str]) -> bool:
    try:
        _run("pg_isready", *reach, timeout=10.0)
    except Failed:
        return False
    return True


def _load(trial: Trial) -> None:
    data = trial.top / "data"
    if os.geteuid() == 0:
        shutil.chown(trial.top, _user())
    _run("initdb", "-D", data, "--data-checksums", "--auth=trust", "-U", _user())
    with _server(data) as reach:
        _run("pgbench", *reach, "-i", "-q", "-s", str(trial.size(5, 1)), DATABASE)
        _run("pgbench", *reach, "-c", "4", "-j", "2", "-T", str(trial.size(30, 3)), DATABASE)
        _ask(reach, "CREATE EXTENSION amcheck; CREATE TABLE told (number int)")
        _sound(reach)


def _ask(reach: list[str], query: str) -> str:
    return _run("psql", *reach, "-d", DATABASE, "-v", "ON_ERROR_STOP=1", "-qAtc", query)


def _sound(reach: list[str]) -> None:
    _run("pg_amcheck", *reach, "--heapallindexed", "--parent-check", "-d", DATABASE)


def _checksums(trial: Trial) -> None:
    """Of a server that was stopped."""
    _run("pg_checksums", "--check", "-D", trial.top / "data")


def _crash(trial: Trial) -> None:
    """The filesystem goes away below a busy server."""
    with _server(trial.top / "data") as reach:
        bench: list[Words] = [program("pgbench"), *reach, "-c", "4", "-T", "600", "-n", DATABASE]
        with running(bench, user=_become()) as (load,):
            for number in range(trial.size(200, 20)):
                _ask(reach, f"INSERT INTO told VALUES ({number})")
            server = int((trial.top / "data" / "postmaster.pid").read_text().split("\n")[0])
            processes = [server, *_children(server)]

            def stop() -> None:
                end(load)
                for pid in processes:
                    with suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
                os.waitid(os.P_PID, server, os.WEXITED | os.WNOWAIT)  # until then it seems to run

            trial.place.crash(stop)


def _children(postmaster: int) -> list[int]:
    """The processes of a server, which are in sessions of their own."""
    return [int(pid) for pid in Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split()]


def _recover(trial: Trial) -> None:
    with _server(trial.top / "data") as reach:
        told = _ask(reach, "SELECT count(DISTINCT number) FROM told").strip()
        require(told == str(trial.size(200, 20)), f"{told} of the committed rows are there")
        branches = "SELECT sum(bbalance) FROM pgbench_branches"
        require(
            _ask(reach, branches) == _ask(reach, "SELECT sum(delta) FROM pgbench_history"), "balances do not add up"
        )
        _sound(reach)


POSTGRES = Suite(
    "postgresql",
    ("initdb", "postgres", "pgbench", "pg_amcheck"),
    ("postgresql",),
    (
        Step("load", _load),
        Step("checksums", _checksums),
        REMOUNT,
        Step("checksums again", _checksums),
        Step("crash", _crash, timed=False),
        Step("recovery", _recover),
        Step("checksums after it", _checksums),
    ),
    light=False,
)
