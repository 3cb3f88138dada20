"""The files and directories that the recording layer (layer.py) shows, by the numbers of their inodes."""

import errno
import os
import stat
from pathlib import Path
from random import Random

import pyfuse3
from pyfuse3 import EntryAttributes

from campaignlib.unsynced import Aside, Change, Content, Names, undo

EVERYTHING = 0.25  # share of the power losses that keep nothing at all which was not synced
VALID = 3600.0  # seconds for which the kernel may remember: nobody else changes anything
FLAGS = {stat.S_IFREG: os.O_RDWR, stat.S_IFDIR: os.O_RDONLY}  # how to open each kind
SAME = ("st_mode", "st_nlink", "st_uid", "st_gid", "st_rdev", "st_size", "st_blksize", "st_blocks")
TIMES = ("st_atime_ns", "st_mtime_ns", "st_ctime_ns")


def takes_everything(random: Random) -> bool:
    """The first draw of a power loss."""
    return random.random() < EVERYTHING


class Inode:
    """One that the kernel knows, or that is not synced. Its descriptor, which this closes, pins its number."""

    def __init__(self, descriptor: int, aside: Aside) -> None:
        self.descriptor = descriptor
        self.lookups = 0
        self._names = Names(descriptor, aside) if stat.S_ISDIR(os.fstat(descriptor).st_mode) else None
        self._content: Content | None = None  # of a file that is not synced

    @property
    def names(self) -> Names:
        """Of a directory."""
        assert self._names is not None
        return self._names

    @property
    def path(self) -> str:
        """For calls that take no descriptor."""
        return f"/proc/self/fd/{self.descriptor}"

    @property
    def needed(self) -> bool:
        """Whether the kernel knows it, or a power loss could change it. Directories stay: they are few."""
        if self.lookups > 0 or self._names is not None:
            return True
        return self._content is not None and os.fstat(self.descriptor).st_nlink > 0

    def listing(self) -> list[bytes]:
        return sorted(os.fsencode(name) for name in os.listdir(self.descriptor))

    def status(self, name: bytes) -> os.stat_result:
        """Of an entry of this directory."""
        return os.stat(name, dir_fd=self.descriptor, follow_symlinks=False)

    def holds(self, name: bytes) -> bool:
        """Whether this directory has an entry of that name."""
        try:
            self.status(name)
        except FileNotFoundError:
            return False
        return True

    def write(self, at: int, data: bytes) -> int:
        self._changing().before(at, at + len(data))
        return os.pwrite(self.descriptor, data, at)

    def cut(self, size: int) -> None:
        self._changing().before_cut(size)
        os.ftruncate(self.descriptor, size)

    def settle(self) -> None:
        """The file is synced. The one below need not be: the power that fails is not this machine's."""
        self._content = None

    def lose(self, random: Random, everything: bool) -> set[Change]:
        """The power goes: which changes of names are to be undone."""
        if self._content is not None:
            self._content.lose(random, everything)
        return set() if self._names is None else self._names.lose(random, everything)

    def _changing(self) -> Content:
        if self._content is None:
            self._content = Content(self.descriptor)
        return self._content


class Inodes:
    """All of one directory tree. backing: its top; aside: a directory that this makes, on the same filesystem."""

    def __init__(self, backing: Path, aside: Path) -> None:
        self._aside = Aside(aside)
        top = Inode(os.open(backing, os.O_RDONLY | os.O_DIRECTORY), self._aside)
        self._top = os.fstat(top.descriptor).st_ino
        self._known: dict[int, Inode] = {pyfuse3.ROOT_INODE: top}

    def __getitem__(self, number: int) -> Inode:
        return self._known[number]

    def found(self, parent: Inode, name: bytes) -> EntryAttributes:
        """An entry, which the kernel knows from now on."""
        status = parent.status(name)
        if (inode := self._known.get(status.st_ino)) is None:
            flags = FLAGS.get(stat.S_IFMT(status.st_mode), os.O_PATH)
            inode = Inode(os.open(name, flags | os.O_NOFOLLOW, dir_fd=parent.descriptor), self._aside)
            self._known[status.st_ino] = inode
        inode.lookups += 1
        return self.attributes(status)

    def added(self, parent: Inode, name: bytes) -> EntryAttributes:
        """The same, of one that was made just now."""
        parent.names.added(name)
        return self.found(parent, name)

    def remove(self, parent: Inode, name: bytes) -> None:
        """OSError: it is a directory, and not empty."""
        parent.names.remove(name, self._emptied(parent, name))

    def move(self, parent: Inode, name: bytes, target: Inode, new: bytes) -> None:
        """From one directory to another, or the same. OSError: it replaces a directory that is not empty."""
        replaces = target.holds(new)
        entries = self._emptied(target, new) if replaces else None
        parent.names.rename(name, target.names, new, replaces, entries)

    def _emptied(self, parent: Inode, name: bytes) -> Names | None:
        """Of a directory that is about to go."""
        status = parent.status(name)
        if not stat.S_ISDIR(status.st_mode):
            return None
        directory = self._known[status.st_ino]
        if directory.listing():
            raise OSError(errno.ENOTEMPTY, os.strerror(errno.ENOTEMPTY))
        return directory.names

    def forget(self, number: int, lookups: int) -> None:
        """The kernel knows it so many times less."""
        self._known[number].lookups -= lookups
        self._let_go(number)

    def settle(self, directory: Inode) -> None:
        """A directory is synced, and what had its last name there is gone."""
        directory.names.settle()
        for number in list(self._known):
            self._let_go(number)

    def end(self, power_loss: Random | None) -> None:
        """When nothing is served any more."""
        if power_loss is not None:
            everything = takes_everything(power_loss)
            undo({change for _, inode in sorted(self._known.items()) for change in inode.lose(power_loss, everything)})
        self._aside.end()

    def attributes(self, status: os.stat_result) -> EntryAttributes:
        """In the words of the kernel."""
        entry = EntryAttributes()
        for field in (*SAME, *TIMES):
            setattr(entry, field, getattr(status, field))
        entry.st_ino = pyfuse3.ROOT_INODE if status.st_ino == self._top else status.st_ino
        entry.entry_timeout = entry.attr_timeout = VALID
        return entry

    def _let_go(self, number: int) -> None:
        if not self._known[number].needed:
            os.close(self._known.pop(number).descriptor)
