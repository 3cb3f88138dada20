"""The stripe being filled: an open file, and what is in it."""

import os
from collections.abc import Sequence
from pathlib import Path

from coopfs.core.cache import charge_of
from coopfs.core.stripe import Fragment, Packer
from coopfs.local.scribe import Scribe, write_all
from coopfs.local.stageindex import SLOT, encode_pieces, encode_slots, index_size, uncovered


class Filling:
    """Content is appended to it until the packer has no room, or the group ends. group: the open one; capacity: bytes
    of the file, which are allocated."""

    def __init__(self, stripe: int, group: int, descriptor: int, packer: Packer, capacity: int) -> None:
        self.stripe = stripe
        self.descriptor = descriptor
        self.length = 0
        self.fragments: list[Fragment] = []
        self._group = group
        self._packer = packer
        self._capacity = capacity
        self._slots = 0  # of the index that are written
        self._covered = 0  # bytes of content that they tell of
        self._waiting = 0  # fragments that were appended since: no less than the slots that they will take

    def room(self, ino: int, offset: int, name: bytes, codec: int) -> int:
        """Content bytes of this inode that still fit, when they are added at this file offset; 0: full."""
        left = self._capacity - self.length - SLOT * (max(1, self._slots) + self._waiting + 1)
        return max(0, min(left, self._packer.room(ino, offset, name, codec)))

    def append(self, fragment: Fragment, content: memoryview, scribe: Scribe) -> None:
        scribe.write(self.descriptor, content, self.length)
        self._packer.add(fragment)
        self.length += len(content)
        last = self.fragments[-1] if self.fragments else None
        if last is not None and last.is_followed_by(fragment.ino, fragment.offset, fragment.codec):
            self.fragments[-1] = last.longer(fragment.length)
            self._waiting = max(1, self._waiting)
        else:
            self.fragments.append(fragment)
            self._waiting += 1

    def write_index(self) -> None:
        """Tell in the file whose bytes were appended: before they are synced."""
        fresh = uncovered(self.fragments, self._covered, self.length)
        if not fresh:
            return
        if self._slots:
            slots = encode_pieces(self.stripe, self._slots, fresh)
        else:
            slots = encode_slots(self.stripe, self._group, fresh)
        write_all(self.descriptor, memoryview(slots), self._capacity - SLOT * self._slots - len(slots))
        self._slots += len(slots) // SLOT
        self._covered, self._waiting = self.length, 0

    def finish(self) -> int:
        """No more comes: what the file does not need is cut off, if there is anything to win. Returns its bytes. The
        index may have moved, and is not synced then."""
        self.write_index()
        size = self.length + index_size(len(self.fragments))
        if charge_of(size) >= charge_of(self._capacity):
            return self._capacity
        _end(self.descriptor, self.stripe, self._group, self.length, self.fragments)
        return size


def end_file(path: Path, stripe: int, group: int, length: int, fragments: Sequence[Fragment]) -> None:
    """Let a stage file end with its index, right behind its content."""
    with open(path, "r+b", buffering=0) as file:
        _end(file.fileno(), stripe, group, length, fragments)


def _end(descriptor: int, stripe: int, group: int, length: int, fragments: Sequence[Fragment]) -> None:
    slots = encode_slots(stripe, group, fragments)
    write_all(descriptor, memoryview(slots), length)
    os.ftruncate(descriptor, length + len(slots))
