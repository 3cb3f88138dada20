"""restic and borg as burdens: each round is a night, and a backup of it."""

import shutil
import subprocess
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from subprocess import Popen

from suitelib.repositories import FIRST, Repository, of
from suitelib.shell import TIMEOUT, Failed, end, require, start
from suitelib.source import Source, empty

PRUNED = 10  # nights between two prunings
KEEP = 3  # snapshots that these leave


class Backups:
    """A repository of restic or borg: snapshots that were taken stay, and all can be read."""

    def __init__(self, kind: str, top: Path, beside: Path, random: Random) -> None:
        self._kind, self._top, self._beside = kind, top, beside
        self._repository: Repository = of(kind, top, beside)
        self._source = Source(beside / f"{kind} source", random.randrange(1 << 30))
        self._repository.create()
        self._night = 0
        self._taken: list[datetime] = []  # the snapshots that are done, in their order
        self._child: Popen[bytes] | None = None

    def begin(self) -> None:
        self._source.evolve()
        self._night += 1
        self._child = start(*self._repository.backup_command(self._source.top, self._tonight))

    @property
    def _tonight(self) -> datetime:
        return FIRST + timedelta(days=self._night)

    def finish(self) -> None:
        """Wait until the backup is done."""
        assert self._child is not None
        try:
            said, _ = self._child.communicate(timeout=TIMEOUT)
        except subprocess.TimeoutExpired:
            raise Failed(f"a backup of {self._kind} is not done after {TIMEOUT:g} seconds") from None
        words = said.decode(errors="replace")
        require(self._child.returncode == 0, f"a backup of {self._kind} failed: {words}")

    def end(self) -> None:
        assert self._child is not None
        self.told()
        end(self._child)

    def told(self) -> int:
        """Snapshots that are done."""
        if self._child is not None and self._child.poll() == 0 and self._tonight not in self._taken:
            self._taken.append(self._tonight)
        return len(self._taken)

    def found(self, top: Path) -> int:
        """Snapshots, up to the first that is missing, in a repository that came back below `top`, and is sound. The
        caches went with the machine."""
        repository = of(self._kind, top, empty(self._beside / "elsewhere"))
        there = _sound(repository)
        return next((number for number, when in enumerate(self._taken) if when not in there), len(self._taken))

    def check(self) -> None:
        there = _sound(self._repository)
        missing = [f"{when:%Y-%m-%d}" for when in self._taken if when not in there]
        require(not missing, f"{self._kind} has lost the snapshots of {', '.join(missing)}")
        self._go_on(there)

    def renew(self) -> None:
        """Go on with what is there, on a machine that never saw it."""
        shutil.rmtree(self._beside / f"{self._kind} cache", ignore_errors=True)
        self._go_on(self._repository.snapshots())

    def _go_on(self, there: list[datetime]) -> None:
        if self._night % PRUNED == 0 and there:
            self._repository.prune(KEEP)
            there = self._repository.snapshots()
        self._taken = there


def _sound(repository: Repository) -> list[datetime]:
    """Its snapshots, after it was looked through as far as its program can."""
    repository.unlock()
    there = repository.snapshots()
    repository.check()
    return there
