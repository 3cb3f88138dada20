"""PostgreSQL: initdb, pgbench, amcheck and page checksums; killed under load, it must recover what it had committed."""

import getpass
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from suitelib.shell import Failed, Words, end, require, run, running
from suitelib.suite import REMOUNT, Step, Suite, Trial, program

PATIENCE = 60.0  # seconds until a server answers
DATABASE = "postgres"


def owner() -> str:
    """Who owns the data."""
    return "postgres" if os.geteuid() == 0 else getpass.getuser()


def become() -> str | None:
    """The server refuses to be root."""
    return "postgres" if os.geteuid() == 0 else None


def run_as_owner(name: str, *arguments: str | Path, timeout: float = 900.0) -> str:
    """One of PostgreSQL's programs. Failed."""
    return run(program(name), *arguments, user=become(), cwd=Path("/"), timeout=timeout)


@contextmanager
def server(data: Path) -> Iterator[list[str]]:
    """A server of these data, reached only through a socket of its own; yields how to connect."""
    with tempfile.TemporaryDirectory(prefix="coopfs-suites-") as sockets:
        os.chmod(sockets, 0o777)
        flags = ["-D", str(data), "-k", sockets, "-c", "listen_addresses=", "-c", "wal_sync_method=fdatasync"]
        command: list[Words] = [program("postgres"), *flags, "-c", "shared_buffers=16MB"]
        reach = ["-h", sockets, "-U", owner()]
        with running(command, user=become()) as (postmaster,):
            deadline = time.monotonic() + PATIENCE
            while not _answers(reach):
                if postmaster.poll() is not None:
                    raise Failed(
                        f"the server does not start: {postmaster.communicate()[0].decode(errors='replace')[-500:]}"
                    )
                require(time.monotonic() < deadline, "the server does not answer")
                time.sleep(0.1)
            yield reach
            if postmaster.poll() is None:
                run_as_owner("pg_ctl", "-D", data, "-m", "fast", "-w", "stop")


def _answers(reach: list[str]) -> bool:
    try:
        run_as_owner("pg_isready", *reach, timeout=10.0)
    except Failed:
        return False
    return True


def initialise(data: Path) -> None:
    """A new cluster with page checksums, in a directory that becomes its owner's."""
    if os.geteuid() == 0:
        shutil.chown(data.parent, owner())
    run_as_owner("initdb", "-D", data, "--data-checksums", "--auth=trust", "-U", owner())


def _load(trial: Trial) -> None:
    data = trial.top / "data"
    initialise(data)
    with server(data) as reach:
        run_as_owner("pgbench", *reach, "-i", "-q", "-s", str(trial.size(5, 1)), DATABASE)
        run_as_owner("pgbench", *reach, "-c", "4", "-j", "2", "-T", str(trial.size(30, 3)), DATABASE)
        ask(reach, "CREATE EXTENSION amcheck; CREATE TABLE told (number int)")
        sound(reach)


def ask(reach: list[str], query: str) -> str:
    """One query's answer, as psql prints it."""
    return run_as_owner("psql", *reach, "-d", DATABASE, "-v", "ON_ERROR_STOP=1", "-qAtc", query)


def sound(reach: list[str]) -> None:
    """amcheck finds nothing. Failed."""
    run_as_owner("pg_amcheck", *reach, "--heapallindexed", "--parent-check", "-d", DATABASE)


def _checksums(trial: Trial) -> None:
    """Of a server that was stopped."""
    run_as_owner("pg_checksums", "--check", "-D", trial.top / "data")


def _crash(trial: Trial) -> None:
    """The filesystem goes away below a busy server."""
    with server(trial.top / "data") as reach:
        bench: list[Words] = [program("pgbench"), *reach, "-c", "4", "-T", "600", "-n", DATABASE]
        with running(bench, user=become()) as (load,):
            for number in range(trial.size(200, 20)):
                ask(reach, f"INSERT INTO told VALUES ({number})")
            killed = killer(trial.top / "data")

            def stop() -> None:
                end(load)
                killed()

            trial.place.crash(stop)


def killer(data: Path) -> Callable[[], None]:
    """What kills the server that runs now, also when its files are gone: its processes have sessions of their own."""
    postmaster = int((data / "postmaster.pid").read_text().split("\n")[0])
    children = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split()

    def kill() -> None:
        for pid in (postmaster, *map(int, children)):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        os.waitid(os.P_PID, postmaster, os.WEXITED | os.WNOWAIT)  # until then it seems to run

    return kill


def _recover(trial: Trial) -> None:
    with server(trial.top / "data") as reach:
        told = ask(reach, "SELECT count(DISTINCT number) FROM told").strip()
        require(told == str(trial.size(200, 20)), f"{told} of the committed rows are there")
        branches = "SELECT sum(bbalance) FROM pgbench_branches"
        require(ask(reach, branches) == ask(reach, "SELECT sum(delta) FROM pgbench_history"), "balances do not add up")
        sound(reach)


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
