"""Programs that keep what they have promised: git, SQLite, and a Maildir.

Each is loaded while its filesystem's server is killed; afterwards all that it had acknowledged must be there.
"""

import mailbox
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

from suitelib.shell import Failed, Words, end, require, run, running
from suitelib.suite import REMOUNT, Step, Suite, Trial

PATIENCE = 120.0  # seconds until a load has acknowledged something
LOAD_TIMEOUT = 900.0  # seconds for all of it: thousands of syncs, on a machine that does other things too
GIT = ("git", "-c", "user.name=a", "-c", "user.email=a@b", "-c", "core.fsync=all", "-c", "core.fsyncMethod=fsync")
WRITERS = 3

# Each writer appends to a file beside what its program has made safe. A rename or an unlink is safe when the directory
# is synced: SQLite does that with EXTRA, not with FULL; git and mailbox leave it to others.
SQLITE_WRITER = """
import sqlite3, sys
path, acknowledged, writer, count = sys.argv[1:]
disk = sqlite3.connect(path, timeout=60, isolation_level=None)
disk.execute("PRAGMA synchronous=EXTRA")
with open(acknowledged, "a") as told:
    for number in range(int(count)):
        disk.execute("BEGIN IMMEDIATE")
        disk.execute("INSERT INTO t VALUES (?, ?, randomblob(600))", (writer, number))
        disk.execute("DELETE FROM t WHERE writer = ? AND number = ? AND number % 3 = 1", (writer, number - 1))
        disk.execute("COMMIT")
        told.write(f"{writer} {number}\\n")
        told.flush()
"""
MAIL_WRITER = """
import mailbox, os, sys
path, acknowledged, writer, count = sys.argv[1:]
box = mailbox.Maildir(path)
new = os.open(path + "/new", os.O_RDONLY)
with open(acknowledged, "a") as told:
    for number in range(int(count)):
        box.add(f"Subject: {writer} {number}\\n\\n" + "text\\n" * (number % 500))
        os.fsync(new)
        told.write(f"{writer} {number}\\n")
        told.flush()
"""
GIT_WRITER = """
n=0
while [ $n -lt $3 ]; do
    n=$((n + 1))
    echo "$n $n" >"$1/file$((n % 20))"
    git -C "$1" add . && git -C "$1" -c gc.auto=0 commit -q -m "$n" && sync "$1/.git/refs/heads" || exit 1
    echo "1 $n" >>"$2"
done
"""


def crash_under(trial: Trial, told: Path, *commands: Sequence[Words]) -> None:
    """Kill the server below these programs once each has acknowledged something."""
    before = len(_told(told))

    def stop() -> None:
        for child in children:
            end(child)

    with running(*commands) as children:
        _until(lambda: len(_told(told)) > before + 5 * len(commands), lambda: [c.poll() for c in children])
        trial.place.crash(stop)


def _until(condition: Callable[[], bool], states: Callable[[], list[int | None]]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        require(all(state in (None, 0) for state in states()), f"a writer ended: {states()}")
        require(time.monotonic() < deadline, f"nothing acknowledged in {PATIENCE:g} seconds")
        time.sleep(0.02)


def _told(path: Path) -> set[tuple[str, int]]:
    """Writer and number of each acknowledgement; the last line may be cut short."""
    if not path.exists():
        return set()
    lines = path.read_text().split("\n")[:-1]
    return {(line.split()[0], int(line.split()[1])) for line in lines}


def _wait(children: Sequence[object], commands: Sequence[Sequence[Words]]) -> None:
    for child, command in zip(children, commands, strict=True):
        try:
            said, _ = child.communicate(timeout=LOAD_TIMEOUT)  # type: ignore[attr-defined]
        except subprocess.TimeoutExpired:
            raise Failed(f"a load is not done after {LOAD_TIMEOUT:g} seconds") from None
        if child.returncode:  # type: ignore[attr-defined]
            raise Failed(f"{command[0]} {command[-1]}: {said.decode(errors='replace')}")


# --- SQLite -----------------------------------------------------------------------------------------------------------


def _sqlite_writers(trial: Trial, mode: str, count: int, run_name: str) -> list[list[Words]]:
    """The mode is set before they start: of several that go over to WAL at once SQLite lets but one, timeout or not."""
    path, told = trial.top / f"{mode}.db", trial.beside / f"{mode}.told"
    with closing(sqlite3.connect(path)) as disk:
        disk.execute(f"PRAGMA journal_mode={mode}")
        disk.execute("CREATE TABLE IF NOT EXISTS t (writer, number, content)")
        disk.execute("CREATE INDEX IF NOT EXISTS i ON t (content)")
    names = [f"{run_name}{number}" for number in range(WRITERS)]
    return [[sys.executable, "-c", SQLITE_WRITER, path, told, name, str(count)] for name in names]


def _sqlite_load(mode: str) -> Callable[[Trial], None]:
    def act(trial: Trial) -> None:
        commands = _sqlite_writers(trial, mode, trial.size(400, 40), "load")
        with running(*commands) as children:
            _wait(children, commands)

    return act


def _sqlite_crash(mode: str) -> Callable[[Trial], None]:
    def act(trial: Trial) -> None:
        crash_under(trial, trial.beside / f"{mode}.told", *_sqlite_writers(trial, mode, 10**6, "crash"))

    return act


def _sqlite_check(mode: str) -> Callable[[Trial], None]:
    def act(trial: Trial) -> None:
        with closing(sqlite3.connect(trial.top / f"{mode}.db")) as disk:
            require(disk.execute("PRAGMA integrity_check").fetchall() == [("ok",)], "integrity_check finds faults")
            there = set(disk.execute("SELECT writer, number FROM t"))
        promised = {(writer, number) for writer, number in _told(trial.beside / f"{mode}.told") if number % 3 != 1}
        lost = promised - there
        require(not lost, f"{len(lost)} transactions that were committed are not there")

    return act


# --- Maildir ----------------------------------------------------------------------------------------------------------


def _mail_writers(trial: Trial, count: int, run_name: str) -> list[list[Words]]:
    names = [f"{run_name}{number}" for number in range(WRITERS)]
    mailbox.Maildir(trial.top / "box", create=True)
    told = trial.beside / "mail.told"
    return [[sys.executable, "-c", MAIL_WRITER, trial.top / "box", told, name, str(count)] for name in names]


def _mail_load(trial: Trial) -> None:
    """Deliveries while a reader marks what is there as seen, which renames it."""
    commands = _mail_writers(trial, trial.size(500, 60), "load")
    box = mailbox.Maildir(trial.top / "box")
    with running(*commands) as children:
        while any(child.poll() is None for child in children):
            for key in box.keys():  # noqa: SIM118 - a mailbox iterates over messages
                message = box[key]
                if message.get_subdir() == "new":
                    message.set_subdir("cur")
                    message.add_flag("S")
                    box[key] = message
        _wait(children, commands)


def _mail_crash(trial: Trial) -> None:
    crash_under(trial, trial.beside / "mail.told", *_mail_writers(trial, 10**6, "crash"))


def _mail_check(trial: Trial) -> None:
    there = set()
    for message in mailbox.Maildir(trial.top / "box"):
        writer, number = message["Subject"].split()
        require(message.get_payload() == "text\n" * (int(number) % 500), f"message {writer} {number} is damaged")
        there.add((writer, int(number)))
    lost = _told(trial.beside / "mail.told") - there
    require(not lost, f"{len(lost)} messages that were delivered are not there")


# --- git --------------------------------------------------------------------------------------------------------------


def _git_load(trial: Trial) -> None:
    """A repository grows in a working copy, is cloned, packed, and cut down."""
    source, copy = trial.top / "repository", trial.top / "clone"
    run("git", "init", "-q", "-b", "main", source)
    for number in range(trial.size(40, 6)):
        for name in range(trial.size(100, 20)):
            (source / f"{name}.txt").write_text(f"line {name}\n" * (number * 7 + name % 50))
        run(*GIT, "-C", source, "add", ".")
        run(*GIT, "-C", source, "commit", "-q", "-m", f"state {number}")
    run(*GIT, "-C", source, "checkout", "-q", "-b", "other", "HEAD~3")
    run(*GIT, "-C", source, "checkout", "-q", "main")
    run("git", "clone", "-q", "--no-local", source, copy)
    run(*GIT, "-C", source, "gc", "-q", "--aggressive", "--prune=now")
    run(*GIT, "-C", copy, "repack", "-q", "-a", "-d")
    shutil.rmtree(trial.top / "clone" / ".git" / "hooks")


def _git_crash(trial: Trial) -> None:
    """A repository that a crash leaves may hold lock files, which git leaves to its user to remove."""
    source, told = trial.top / "repository", trial.beside / "git.told"
    environment = [word for pair in zip(GIT[1::2], GIT[2::2], strict=True) for word in pair]
    script = GIT_WRITER.replace("git ", " ".join(["git", *environment]) + " ")
    crash_under(trial, told, ["sh", "-c", script, "sh", source, told, str(10**6)])
    for lock in (source / ".git").rglob("*.lock"):
        lock.unlink()
    commits = set(run("git", "-C", source, "log", "--format=%s").split("\n"))
    require({str(number) for _, number in _told(told)} <= commits, "a commit that was made is not there")


def _git_check(trial: Trial) -> None:
    for repository in (trial.top / "repository", trial.top / "clone"):
        run("git", "-C", repository, "fsck", "--strict", "--full", "--no-dangling")
        changed = run("git", "-C", repository, "status", "--porcelain", "-uno")
        require(trial.beside.joinpath("git.told").exists() or changed == "", f"files differ: {changed}")


PROGRAMS = (
    Suite(
        "git",
        ("git",),
        ("git",),
        (
            Step("load", _git_load),
            Step("fsck", _git_check),
            REMOUNT,
            Step("fsck again", _git_check),
            Step("crash", _git_crash, timed=False),
            Step("fsck after it", _git_check),
        ),
    ),
    Suite(
        "sqlite",
        (),
        (),
        tuple(
            Step(f"{mode.lower()}: {name}", act(mode), timed=name != "crash")
            for mode in ("WAL", "DELETE")
            for name, act in (("load", _sqlite_load), ("check", _sqlite_check), ("crash", _sqlite_crash))
        )
        + tuple(Step(f"{mode.lower()}: check after it", _sqlite_check(mode)) for mode in ("WAL", "DELETE")),
    ),
    Suite(
        "maildir",
        (),
        (),
        (
            Step("deliver", _mail_load),
            Step("check", _mail_check),
            REMOUNT,
            Step("check again", _mail_check),
            Step("crash", _mail_crash, timed=False),
            Step("check after it", _mail_check),
        ),
    ),
)
