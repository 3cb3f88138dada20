"""What a power loss may take away: what was written, and named, since it was synced last.

The rules, which are those of fsync(2) read strictly:

- what a file holds, and its size, is safe once the file was synced. Before that each sector may be the old or the new
  one, whatever was written first, and the size the old or the new one; where neither was ever written there are zeros;
- a name is safe once its directory was synced; syncing the file does not do it. Before that a directory may be as it
  was after any of its changes, in their order, and none of those says anything about another directory;
- a disk that has removed a directory has kept all that was done in it before;
- what moves from one directory to another is a change of both: it is never in two places or in none, it is safe when
  one of them was synced, and a disk that keeps this one change has kept those before it in both.

Nothing is ever safe by mere time, which a disk with luck would grant.
"""

import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import count
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


@dataclass(eq=False, slots=True)
class Change:
    """undo: what would take it back; gone: the name, aside, of what lost its name by it, and the entries of that if it
    is a directory; of: the directories that it changed; safe: whether it stays."""

    undo: Callable[[], object]
    of: tuple["Names", ...]
    gone: bytes | None = None
    entries: "Names | None" = None
    safe: bool = False
    number: int = field(default_factory=count().__next__)


class Names:
    """The entries of one directory, by its descriptor, and how to undo what was done to them since it was synced.
    Methods raise the OSError of what they do."""

    def __init__(self, directory: int, aside: Aside) -> None:
        self._directory = directory
        self._aside = aside
        self._changes: list[Change] = []
        self._end: Change | None = None  # by which the directory itself was removed

    def added(self, name: bytes) -> None:
        """There is a new one."""
        self._changes.append(Change(lambda: self._aside.take(self._directory, name), (self,)))

    def remove(self, name: bytes, entries: "Names | None") -> None:
        """entries: None for a file."""
        gone = self._aside.take(self._directory, name)
        self._note(Change(lambda: self._aside.give_back(gone, self._directory, name), (self,), gone, entries))

    def rename(self, name: bytes, target: "Names", new: bytes, replaces: bool, entries: "Names | None") -> None:
        """target: of the same directory, or another one; replaces: there is something called `new`, and has these
        entries if it is a directory."""
        gone = self._aside.take(target._directory, new) if replaces else None
        os.rename(name, new, src_dir_fd=self._directory, dst_dir_fd=target._directory)

        def undo() -> None:
            os.rename(new, name, src_dir_fd=target._directory, dst_dir_fd=self._directory)
            if gone is not None:
                self._aside.give_back(gone, target._directory, new)

        self._note(Change(undo, (self,) if target is self else (self, target), gone, entries))

    def _note(self, change: Change) -> None:
        for names in change.of:
            names._changes.append(change)
        if change.entries is not None:
            change.entries._end = change

    def settle(self) -> None:
        """The directory is synced."""
        changes, self._changes = self._changes, []
        self._settle(changes)

    def _settle(self, changes: Sequence[Change]) -> None:
        for change in changes:
            if change.safe:
                continue
            change.safe = True
            if change.entries is not None:
                change.entries.settle()
            if change.gone is not None:
                self._aside.drop(change.gone)
            for names in change.of:
                names._settle_until(change)

    def _settle_until(self, change: Change) -> None:
        if change in self._changes:
            end = self._changes.index(change) + 1
            before, self._changes = self._changes[:end], self._changes[end:]
            self._settle(before)

    def lose(self, random: Random, everything: bool) -> set[Change]:
        """The power goes: what is to be undone, before what others take with it. everything: nothing at all had reached
        the disk by itself."""
        kept = 0 if everything else random.randint(0, len(self._changes))
        return set(self._changes[kept:])

    def after(self, change: Change) -> Sequence[Change]:
        """What goes with it."""
        later = self._changes[self._changes.index(change) + 1 :]
        return later if self._end is None else [*later, self._end]


def undo(changes: set[Change]) -> None:
    """These, and all that came after one of them in a directory that it changed, the end of that too."""
    lost, more = set[Change](), changes
    while more:
        lost |= more
        more = {later for change in more for names in change.of for later in names.after(change)} - lost
    for change in sorted(lost, key=lambda each: each.number, reverse=True):
        change.undo()
