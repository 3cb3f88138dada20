"""What a crash leaves of a directory: after a kill all that was written, after a power loss what was synced, and of
the rest any sectors, in whatever order they reached the disk.

The write-ahead log only grows while its process lives (it is cut at 16 MiB, which no life reaches); stage files are
few and small, so they are remembered whole whenever they are synced.
"""

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from random import Random
from unittest.mock import patch

SECTOR = 512  # bytes that a disk writes wholly or not at all


def torn(before: bytes, after: bytes, random: Random) -> bytes:
    """What a power loss leaves of a file that was synced as `before`: that, what it is now, or of each sector the one
    or the other. Where there was none, and none came, there are zeros."""
    size = random.choice([len(before), len(after)])
    match random.choice(["before", "after", "any"]):
        case "before":
            return before[:size].ljust(size, b"\0")
        case "after":
            return after[:size].ljust(size, b"\0")
    left = bytearray(before[:size].ljust(size, b"\0"))
    for at in range(0, min(size, len(after)), SECTOR):
        if random.random() < 0.5:
            left[at : at + SECTOR] = after[at : min(at + SECTOR, size)]
    return bytes(left[:size])


class Platter:
    """What is known to be on stable storage of one directory, by path relative to it; it moves from copy to copy."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._logs: dict[Path, int] = {}  # synced bytes of each write-ahead log
        self._files: dict[Path, bytes] = {}  # content of each other file when it was synced last
        self._inodes: dict[Path, int] = {}  # of each such file, by which it is known again under another name
        self._names: dict[Path, set[str]] = {}  # entries of each directory when it was synced last
        self._settle()

    def _settle(self) -> None:
        """All that is there now is on the platter."""
        for path in (self.directory, *self.directory.rglob("*")):
            self._note(path)

    def _note(self, path: Path) -> None:
        name = path.relative_to(self.directory)
        if path.is_dir():
            self._names[name] = set(os.listdir(path))
            self._follow_renames(path)
        elif path.name.endswith("-wal"):
            self._logs[name] = path.stat().st_size
        elif path.suffix != ".sqlite" and not path.name.endswith("-shm"):
            self._files[name], self._inodes[name] = path.read_bytes(), path.stat().st_ino

    def _follow_renames(self, directory: Path) -> None:
        """Files of the stage are never renamed."""
        for name in list(self._files):
            if (self.directory / name).parent == directory and not (self.directory / name).exists():
                content, inode = self._files.pop(name), self._inodes.pop(name)
                for path in directory.iterdir() if directory.name != "stage" else ():
                    if path.stat().st_ino == inode:
                        present = path.relative_to(self.directory)
                        self._files[present], self._inodes[present] = content, inode

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        """See every fsync and fdatasync of this process."""

        def sync(descriptor: int) -> None:
            path = Path(os.readlink(f"/proc/self/fd/{descriptor}"))
            if path.is_relative_to(self.directory) and path.exists():
                self._note(path)

        with patch.object(os, "fsync", sync), patch.object(os, "fdatasync", sync):
            yield

    def kill(self, copy: Path) -> None:
        """The process dies here and now. `copy` is what the next one finds."""
        shutil.copytree(self.directory, copy, ignore=shutil.ignore_patterns("*-shm"))
        self.directory = copy

    def lose_power(self, copy: Path, random: Random) -> None:
        """The machine stops here and now."""
        self.kill(copy)
        for path in sorted(copy.rglob("*")):
            name = path.relative_to(copy)
            if path.is_dir():
                continue
            if path.name.endswith("-wal"):
                written = path.read_bytes()
                path.write_bytes(torn(written[: self._logs.get(name, 0)], written, random))
            elif name in self._files:
                if random.random() < 0.7:
                    path.write_bytes(torn(self._files[name], path.read_bytes(), random))
            elif path.parent.name == "stage":
                self._lose(path, random)
        self._settle()

    def _lose(self, path: Path, random: Random) -> None:
        """A file that was never synced."""
        if path.name not in self._names.get(path.parent.relative_to(self.directory), set()) and random.random() < 0.7:
            path.unlink()
        else:
            path.write_bytes(bytes(random.randint(0, path.stat().st_size)))
