"""What keeps a disk busy while its machine is killed, and what each program must find afterwards.

Each tells what it was promised on the machine's own disk, beside the mount: a commit is told when the program says that
it is done, so what was told must be there, and the program's own check must find nothing.
"""

from collections.abc import Callable
from pathlib import Path
from random import Random
from subprocess import Popen
from typing import Protocol

from suitelib.shell import end, require, run, start
from suitelib.source import Source, digest

from campaignlib.backups import Backups
from campaignlib.databases import Postgres, Sqlite
from campaignlib.operations import Operations
from tests.e2e.load import Writer


class Burden(Protocol):
    """A program on the mount. Methods raise suitelib.shell.Failed, or AssertionError."""

    def begin(self) -> None:
        """Work, in the background."""

    def end(self) -> None:
        """Nothing of it runs any more."""

    def check(self) -> None:
        """All that was promised before the end is there."""


class Files:
    """Files that are made, changed, renamed and removed, each change synced; compared byte by byte."""

    def __init__(self, top: Path, beside: Path, random: Random) -> None:
        self._top = top / "files"
        self._top.mkdir()
        self._writer = Writer(self._top, random.randrange(1 << 30))

    def begin(self) -> None:
        self._writer.start()

    def end(self) -> None:
        self._writer.stop()

    def check(self) -> None:
        self._writer.check(self._top)
        self._writer = self._writer.continued()


class Git:
    """Commits, each told when git says that it is done, and the directory is synced of which git renames its branch
    into place: that it leaves to the file system, as any of them may lose a rename with its machine."""

    def __init__(self, top: Path, beside: Path, random: Random) -> None:
        self._top, self._told = top / "git", beside / "git told"
        run("git", "init", "-q", "-b", "main", self._top)
        for key, value in (("user.name", "n"), ("user.email", "e@x.example"), ("core.fsync", "all"), ("gc.auto", "0")):
            run("git", "config", key, value, cwd=self._top)
        # without any commit git finds fault with what it makes of that itself
        run("git", "commit", "-q", "--allow-empty", "-m", "1", cwd=self._top)
        run("sync", self._top / ".git" / "refs" / "heads")
        self._told.write_text("1")
        self._child: Popen[bytes] | None = None

    def begin(self) -> None:
        loop = (
            'n=$(cat "$1"); while n=$((n + 1)); do echo "$n" >"f$((n % 20))" && git add -A && git commit -qm "$n" '
            '&& sync .git/refs/heads && echo "$n" >"$1.new" && mv "$1.new" "$1" || exit; done'
        )
        self._child = start("sh", "-c", loop, "sh", self._told, cwd=self._top)

    def end(self) -> None:
        assert self._child is not None
        end(self._child)

    def told(self) -> int:
        """Commits that are done."""
        return int(self._told.read_text() or 0)

    def found(self, top: Path) -> int:
        """Commits in a repository that came back below `top`, and is sound."""
        for lock in sorted((top / "git" / ".git").rglob("*.lock")):
            lock.unlink()  # as git asks its user to
        run("git", "fsck", "--full", "--strict", cwd=top / "git")
        return int(run("git", "rev-list", "--count", "HEAD", cwd=top / "git"))

    def check(self) -> None:
        there, told = self.found(self._top.parent), self.told()
        require(there >= told, f"git has {there} commits of the {told} that were done")
        self.renew()

    def renew(self) -> None:
        """Go on with what is there."""
        run("git", "reset", "-q", "--hard", cwd=self._top)
        self._told.write_text(run("git", "rev-list", "--count", "HEAD", cwd=self._top))


class Copy:
    """rsync, which promises nothing; but the next run must make good whatever is there."""

    def __init__(self, top: Path, beside: Path, random: Random) -> None:
        self._top = top / "copy"
        self._source = Source(beside / "copied", random.randrange(1 << 30))
        self._child: Popen[bytes] | None = None

    def begin(self) -> None:
        self._source.evolve()
        self._child = start("sh", "-c", 'while rsync -aI --delete "$1/" "$2"; do :; done', "sh", *self._places())

    def _places(self) -> tuple[Path, Path]:
        return self._source.top, self._top

    def end(self) -> None:
        assert self._child is not None
        end(self._child)

    def check(self) -> None:
        run("rsync", "-ac", "--delete", f"{self._source.top}/", self._top)
        require(digest(self._top) == digest(self._source.top), "rsync's copy differs")


Make = Callable[[Path, Path, Random], Burden]

BURDENS: dict[str, Make] = {
    "files": Files,
    "operations": Operations,
    "sqlite": Sqlite,
    "git": Git,
    "rsync": Copy,
    "restic": lambda top, beside, random: Backups("restic", top, beside, random),
    "borg": lambda top, beside, random: Backups("borg", top, beside, random),
    "postgresql": Postgres,
}
