"""Backup programs and their repositories: restic and borg. Times are given, so that a month passes in minutes."""

import json
import re
import shutil
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol

from suitelib.shell import Words, require, run
from suitelib.source import Source, below, digest
from suitelib.suite import REMOUNT, Step, Suite, Trial

SEGMENT = 4_000_000  # bytes of one of borg's files
KEEP = 7  # newest snapshots that pruning leaves


class Repository(Protocol):
    """A repository of one backup program, at `top`. Methods raise Failed."""

    top: Path

    def create(self) -> None:
        """Make it, empty."""

    def backup_command(self, source: Path, when: datetime) -> list[Words]:
        """What backs the tree up as a snapshot of that time."""

    def backup(self, source: Path, when: datetime) -> None:
        """The same, done."""

    def snapshots(self) -> list[datetime]:
        """Their times."""

    def prune(self, keep: int) -> None:
        """Forget all but so many newest snapshots, and give their space back."""

    def check(self) -> None:
        """Read and verify all. borg writes a file meanwhile."""

    def extract(self, when: datetime, into: Path) -> None:
        """The snapshot of that time, into an empty directory."""

    def unlock(self) -> None:
        """After its program was killed."""


@dataclass(slots=True)
class Restic:
    """top: the repository; cache: restic's own, on the machine's disk."""

    top: Path
    cache: Path

    def create(self) -> None:
        self._run("init")

    def backup_command(self, source: Path, when: datetime) -> list[Words]:
        return [
            *self._command("backup"),
            "--quiet",
            f"--tag={_archive(when)}",
            f"--time={when:%Y-%m-%d %H:%M:%S}",
            source,
        ]

    def backup(self, source: Path, when: datetime) -> None:
        run(*self.backup_command(source, when))

    def snapshots(self) -> list[datetime]:
        listed = json.loads(self._run("snapshots", "--json", "--no-lock"))
        return sorted(datetime.fromisoformat(one["time"]).replace(tzinfo=None) for one in listed)

    def prune(self, keep: int) -> None:
        self._run("forget", f"--keep-last={keep}", "--prune", "--max-unused=0", "--quiet")

    def check(self) -> None:
        self._run("check", "--read-data", "--no-lock", "--no-cache")

    def extract(self, when: datetime, into: Path) -> None:
        self._run("restore", "--no-lock", "latest", f"--tag={_archive(when)}", f"--target={into}")

    def unlock(self) -> None:
        self._run("unlock", "--remove-all")

    def _command(self, name: str) -> list[Words]:
        settings = ("RESTIC_PASSWORD=secret", f"RESTIC_CACHE_DIR={self.cache}", "TZ=UTC")
        return ["env", *settings, "restic", "--repo", self.top, name]

    def _run(self, name: str, *arguments: Words) -> str:
        return run(*self._command(name), *arguments)


@dataclass(slots=True)
class Borg:
    """top: the repository; cache: borg's own, on the machine's disk."""

    top: Path
    cache: Path

    def create(self) -> None:
        self._run("init", "--encryption=repokey-blake2", self.top)
        # it wants room for a whole segment, of 500 MB otherwise, before it compacts
        self._run("config", self.top, "max_segment_size", str(SEGMENT))

    def backup_command(self, source: Path, when: datetime) -> list[Words]:
        archive = f"{self.top}::{_archive(when)}"
        return [*self._command("create"), f"--timestamp={when:%Y-%m-%dT%H:%M:%S}", archive, source]

    def backup(self, source: Path, when: datetime) -> None:
        run(*self.backup_command(source, when))

    def snapshots(self) -> list[datetime]:
        listed = self._run("list", "--bypass-lock", "--short", self.top).splitlines()  # and warnings, that it moved
        return sorted(datetime.strptime(name, ARCHIVE) for name in listed if ARCHIVE_NAME.fullmatch(name))

    def prune(self, keep: int) -> None:
        self._run("prune", f"--keep-last={keep}", self.top)
        self._run("compact", "--threshold=0", self.top)

    def check(self) -> None:
        self._run("check", "--verify-data", self.top)

    def extract(self, when: datetime, into: Path) -> None:
        self._run("extract", "--bypass-lock", f"{self.top}::{_archive(when)}", into=into)

    def unlock(self) -> None:
        shutil.rmtree(self.cache / ".cache", ignore_errors=True)  # who is killed may leave it torn, and then fails
        self._run("break-lock", self.top)

    def _command(self, name: str) -> list[Words]:
        settings = {
            "BORG_PASSPHRASE": "secret",
            "BORG_BASE_DIR": self.cache,
            "BORG_RELOCATED_REPO_ACCESS_IS_OK": "yes",
            "TZ": "UTC",
        }
        return ["env", *(f"{key}={value}" for key, value in settings.items()), "borg", name]

    def _run(self, name: str, *arguments: Words, into: Path | None = None) -> str:
        return run(*self._command(name), *arguments, cwd=into)


ARCHIVE = "%Y%m%d-%H%M%S"
ARCHIVE_NAME = re.compile(r"\d{8}-\d{6}")


def _archive(when: datetime) -> str:
    return when.strftime(ARCHIVE)


# --- as suites --------------------------------------------------------------------------------------------------------
FIRST = datetime(2026, 1, 1, 3)
SUITE_NIGHTS = KEEP + 3


def of(name: str, top: Path, beside: Path) -> Repository:
    """A repository of that program below top; its cache lies beside."""
    kinds: dict[str, type[Restic] | type[Borg]] = {"restic": Restic, "borg": Borg}
    return kinds[name](top / name, beside / f"{name} cache")


def _suite(name: str, package: str) -> Suite:
    def backups(trial: Trial) -> None:
        repository, source = of(name, trial.top, trial.beside), Source(trial.beside / "source", seed=1)
        repository.create()
        for night in range(SUITE_NIGHTS):
            source.evolve()
            repository.backup(source.top, FIRST + timedelta(days=night))

    def prune(trial: Trial) -> None:
        of(name, trial.top, trial.beside).prune(KEEP)

    def check(trial: Trial) -> None:
        of(name, trial.top, trial.beside).check()

    def restore(trial: Trial) -> None:
        repository, out = of(name, trial.top, trial.beside), trial.top / "out"
        out.mkdir()
        repository.extract(FIRST + timedelta(days=SUITE_NIGHTS - 1), out)
        top = trial.beside / "source"
        require(digest(below(out, top)) == digest(top), "what was restored differs")

    steps = (Step("backups", backups), Step("check", check), Step("prune", prune), Step("check what is left", check))
    return Suite(
        name, (name,), (package,), (*steps, REMOUNT, Step("check again", check), Step("restore", restore)), light=False
    )


REPOSITORIES = (_suite("restic", "restic"), _suite("borg", "borgbackup"))
