"""What a power loss may take away: what was written, and named, since it was synced last.

The rules, which are those of fsync(2) read strictly:

- what a file holds, and its size, is safe once the file was synced. Before that each sector may be the old or the new
  one, whatever was written first, and the size the old or the new one; where neither was ever written there are zeros;
- a name is safe once its directory was synced; syncing the file does not do it. Before that a directory may be as it
  was after any of its changes, in their order, and none of those says anything about another directory;
- a directory that was removed comes back empty, if it comes back;
- what moves from one directory to another is there at once, and both directories are safe: it must never be in two
  places or in none, and a disk that keeps this one change has kept those before it.

Nothing is ever safe by mere time, which a disk with luck would grant.
"""

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random

SECTOR = 512  # bytes that a disk writes wholly or not at all
ZEROS = bytes(SECTOR)


class Content:
    """One file since it was synced: what each changed sector held then. descriptor: of the file, for reading and
    writing; it stays the caller's."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._size = os.fstat(descriptor).st_size
        self._sectors: dict[int, bytes] = {}

    def before(self, start: int, end: int) -> None:
        """Called before these bytes change."""
        for number in range(start // SECTOR, -(-min(end, self._size) // SECTOR)):
            if number not in self._sectors:
                was = os.pread(self._descriptor, min(SECTOR, self._size - number * SECTOR), number * SECTOR)
                was = was.ljust(SECTOR, b"\0")
                self._sectors[number] = ZEROS if was == ZEROS else was  # a reservation is nothing else

    def before_cut(self, size: int) -> None:
        """Called before the file gets so many bytes."""
        self.before(size, self._size)

    def lose(self, random: Random, everything: bool) -> None:
        """The power goes. everything: nothing at all had reached the disk by itself."""
        present = os.fstat(self._descriptor).st_size
        size = self._size if everything else random.choice((self._size, present))
        new = 0.0 if everything else random.choice((0.0, 0.5, 1.0))  # of all sectors: the old, any, the new
        for number in [*self._sectors, *range(-(-self._size // SECTOR), -(-present // SECTOR))]:
            if new == 0.0 or random.random() >= new:
                os.pwrite(self._descriptor, self._sectors.get(number, ZEROS), number * SECTOR)
        os.ftruncate(self._descriptor, size)


class Aside:
    """Where files and directories wait whose last name is gone, as long as it might come back."""

    def __init__(self, path: Path) -> None:
        path.mkdir()
        self._path = path
        self._descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        self._count = 0

    def take(self, directory: int, name: bytes) -> bytes:
        """From a directory, by its descriptor; the name that it has here."""
        self._count += 1
        here = b"%d" % self._count
        os.rename(name, here, src_dir_fd=directory, dst_dir_fd=self._descriptor)
        return here

    def give_back(self, here: bytes, directory: int, name: bytes) -> None:
        os.rename(here, name, src_dir_fd=self._descriptor, dst_dir_fd=directory)

    def drop(self, here: bytes) -> None:
        """It cannot come back."""
        try:
            os.unlink(here, dir_fd=self._descriptor)
        except IsADirectoryError:
            os.rmdir(here, dir_fd=self._descriptor)

    def end(self) -> None:
        os.close(self._descriptor)
        shutil.rmtree(self._path)


@dataclass(frozen=True, slots=True)
class _Change:
    undo: Callable[[], object]
    gone: bytes | None = None  # the name, aside, of what lost its name by it


class Names:
    """The entries of one directory, by its descriptor, and how to undo what was done to them since it was synced.
    Methods raise the OSError of what they do."""

    def __init__(self, directory: int, aside: Aside) -> None:
        self._directory = directory
        self._aside = aside
        self._changes: list[_Change] = []

    def added(self, name: bytes) -> None:
        """There is a new one."""
        self._changes.append(_Change(lambda: self._aside.take(self._directory, name)))

    def remove(self, name: bytes) -> None:
        gone = self._aside.take(self._directory, name)
        self._changes.append(_Change(lambda: self._aside.give_back(gone, self._directory, name), gone))

    def rename(self, name: bytes, new: bytes, replaces: bool) -> None:
        """replaces: there is something called `new`."""
        gone = self._aside.take(self._directory, new) if replaces else None
        self._move(name, new)

        def undo() -> None:
            self._move(new, name)
            if gone is not None:
                self._aside.give_back(gone, self._directory, new)

        self._changes.append(_Change(undo, gone))

    def settle(self) -> None:
        """The directory is synced."""
        for change in self._changes:
            if change.gone is not None:
                self._aside.drop(change.gone)
        self._changes.clear()

    def lose(self, random: Random, everything: bool) -> None:
        """The power goes. everything: nothing at all had reached the disk by itself."""
        kept = 0 if everything else random.randint(0, len(self._changes))
        for change in reversed(self._changes[kept:]):
            change.undo()

    def _move(self, name: bytes, new: bytes) -> None:
        os.rename(name, new, src_dir_fd=self._directory, dst_dir_fd=self._directory)
