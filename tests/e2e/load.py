"""Load on a mount with a manifest: what a writer was told is safe, and what it was just about to change."""

import os
import threading
from pathlib import Path
from random import Random

LARGEST = 200_000  # bytes of one file
KEPT = 40  # files of one writer at the most


class Writer(threading.Thread):
    """Changes files below its own directory, each change made safe by fsync of the file and of the directory, until
    the mount breaks or it is told to stop."""

    def __init__(self, directory: Path, seed: int) -> None:
        super().__init__()
        self._directory = directory
        self._random = Random(seed)
        self._enough = threading.Event()
        self._number = 0
        self.manifest: dict[str, bytes] = {}  # name -> content, fsynced
        self.in_doubt: set[str] = set()  # names that the operation which the crash met was about
        self.changes = 0
        self.broken: OSError | None = None

    def stop(self) -> None:
        """Finish the change under way, and end."""
        self._enough.set()
        self.join()

    def run(self) -> None:
        try:
            while not self._enough.is_set():
                self._change()
                self.in_doubt.clear()
                self.changes += 1
        except OSError as error:
            self.broken = error

    def _change(self) -> None:
        names = sorted(self.manifest)
        kind = self._random.choice(("new", "new", "append", "overwrite", "replace", "unlink"))
        if not names or (kind == "new" and len(names) < KEPT):
            self._create(self._new_name())
            return
        name = self._random.choice(names)
        if kind == "append":
            self._write(name, len(self.manifest[name]), self._content())
        elif kind == "overwrite":
            self._write(name, self._random.randrange(len(self.manifest[name]) + 1), self._content())
        elif kind == "replace":
            new = self._new_name()
            self._create(new)
            self.in_doubt |= {new, name}
            (self._directory / new).rename(self._directory / name)
            self._sync_directory()
            self.manifest[name] = self.manifest.pop(new)
        else:
            self.in_doubt.add(name)
            (self._directory / name).unlink()
            self._sync_directory()
            del self.manifest[name]

    def _create(self, name: str) -> None:
        self.in_doubt.add(name)
        content = self._content()
        with (self._directory / name).open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        self._sync_directory()
        self.manifest[name] = content

    def _write(self, name: str, offset: int, content: bytes) -> None:
        self.in_doubt.add(name)
        with (self._directory / name).open("r+b") as file:
            file.seek(offset)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        before = self.manifest[name]
        self.manifest[name] = before[:offset] + content + before[offset + len(content) :]

    def _content(self) -> bytes:
        return self._random.randbytes(1 + int(LARGEST ** self._random.random()))

    def _new_name(self) -> str:
        self._number += 1
        return f"file {self._number}"

    def _sync_directory(self) -> None:
        descriptor = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def check(self, directory: Path) -> None:
        """Everything in the manifest is below `directory` byte by byte, and nothing else, but for what is in doubt:
        that can be read, whatever it is."""
        there = {path.name: path.read_bytes() for path in directory.iterdir()}
        certain = self.manifest.keys() - self.in_doubt
        assert there.keys() - self.in_doubt == certain
        wrong = [name for name in certain if there[name] != self.manifest[name]]
        assert not wrong, {name: _difference(self.manifest[name], there[name]) for name in wrong}

    def continued(self) -> "Writer":
        """A writer that goes on after a crash with what is there now."""
        after = Writer(self._directory, self._random.randrange(1 << 30))
        after._number = self._number
        after.manifest = {path.name: path.read_bytes() for path in self._directory.iterdir()}
        return after


def _difference(old: bytes, new: bytes) -> str:
    """Where they are not the same, in words."""
    at = [number for number, (one, other) in enumerate(zip(old, new, strict=False)) if one != other]
    where = f", other bytes from {at[0]} to {at[-1]}, {new[at[0] : at[-1] + 1].count(0)} of them zeros" if at else ""
    return f"{len(old)} bytes before, {len(new)} now{where}"
