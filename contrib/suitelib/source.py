"""A small tree that changes every night, from a seed, and its digest."""

import hashlib
import os
import shutil
import stat
from pathlib import Path
from random import Random

FIRST_FILES = 60
CHANGES = 12  # each night
LARGEST = 120_000  # bytes of one file
NS = 1_000_000_000


class Source:
    """What is backed up: a home directory of a few MiB, on the machine's own disk."""

    def __init__(self, top: Path, seed: int) -> None:
        self.top = top
        self._random = Random(seed)
        self._count = 0
        top.mkdir(parents=True)
        for _ in range(FIRST_FILES):
            self._new()

    def evolve(self) -> None:
        """A day's work: files come, change, grow, move and go."""
        for _ in range(CHANGES):
            self._random.choice((self._new, self._new, self._rewrite, self._append, self._move, self._remove))()

    def _files(self) -> list[Path]:
        return sorted(path for path in self.top.rglob("*") if path.is_file() and not path.is_symlink())

    def _any(self) -> Path:
        return self._random.choice(self._files())

    def _new(self) -> None:
        self._count += 1
        path = self.top / f"d{self._random.randrange(6)}" / f"file {self._count}"
        path.parent.mkdir(exist_ok=True)
        self._fill(path)
        if self._count % 5 == 0:
            (path.parent / f"link {self._count}").symlink_to(path.name)

    def _fill(self, path: Path) -> None:
        path.write_bytes(self._random.randbytes(self._random.randrange(LARGEST)))
        path.chmod(self._random.choice((0o644, 0o600, 0o755)))
        self._date(path)

    def _date(self, path: Path) -> None:
        time = self._random.randrange(2 * 10**9) * NS + self._random.randrange(NS)
        os.utime(path, ns=(time, time))

    def _rewrite(self) -> None:
        self._fill(self._any())

    def _append(self) -> None:
        path = self._any()
        with path.open("ab") as file:
            file.write(self._random.randbytes(3000))
        self._date(path)

    def _move(self) -> None:
        path = self._any()
        path.rename(self.top / f"moved {self._count} {path.name}")

    def _remove(self) -> None:
        if len(self._files()) > FIRST_FILES:
            self._any().unlink()


def digest(top: Path) -> str:
    """Of names, types, modes, owners, times of files in ns, targets and content: equal for equal trees."""
    found = hashlib.sha256()
    for path in sorted(top.rglob("*")):
        status = path.lstat()
        time = status.st_mtime_ns if stat.S_ISREG(status.st_mode) else 0
        found.update(repr((str(path.relative_to(top)), status.st_mode, status.st_uid, time)).encode())
        if path.is_symlink():
            found.update(os.readlink(path).encode())
        elif path.is_file():
            found.update(hashlib.sha256(path.read_bytes()).digest())
    return found.hexdigest()


def below(out: Path, original: Path) -> Path:
    """Where a program that keeps whole paths has restored a tree."""
    return out / original.relative_to("/")


def empty(directory: Path) -> Path:
    """The directory, new."""
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir()
    return directory
