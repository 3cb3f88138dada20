"""Content of open files: write, read, and the size and attributes that go with it."""

import errno
import stat
from collections.abc import Sequence
from dataclasses import dataclass

from coopfs.core.units import Portion
from coopfs.fs.acls import Acls
from coopfs.fs.callers import Caller
from coopfs.fs.handles import Handle
from coopfs.fs.ports import Space
from coopfs.fs.posix import PosixError
from coopfs.fs.tree import Tree
from coopfs.fs.unitreader import Missing, Room, UnitReader
from coopfs.limits import FILE_SIZE_MAX, TIME_MAX
from coopfs.local.metadata import Metadata
from coopfs.local.nodes import Node
from coopfs.local.stage import Stage


@dataclass(frozen=True, slots=True)
class Changes:
    """What setattr is asked to change; None: nothing. Times in ns since 1970, mode without type."""

    mode: int | None = None
    uid: int | None = None
    gid: int | None = None
    size: int | None = None
    atime: int | None = None
    mtime: int | None = None


class Files:
    """Content and attributes of one disk. Methods raise PosixError; those that add something, OutOfSpace too."""

    def __init__(self, metadata: Metadata, stage: Stage, space: Space, tree: Tree, acls: Acls) -> None:
        self._metadata = metadata
        self._extents = metadata.extents
        self._stage = stage
        self._units = UnitReader(stage)
        self._space = space
        self._tree = tree
        self._acls = acls

    def make_way(self, ino: int, end: int) -> bool:
        """Whether a write up to `end` may come now. False: much that was cut off before is in its way, and a slice of
        that was dropped: ask again."""
        if self._extents.has_way(ino, end):
            return True
        self._metadata.reclaim_from(ino)
        return False

    def write(self, handle: Handle, offset: int, content: Sequence[Portion]) -> int:
        """Returns the bytes written: all. EFBIG."""
        node = self._tree.node(handle.ino)
        end = offset + sum(len(portion.raw) for portion in content)
        if end > FILE_SIZE_MAX:
            raise PosixError(errno.EFBIG)
        if end == offset:
            return 0
        stored = sum(len(portion.stored) for portion in content)
        self._space.admit(stored, 1 + len(content) + stored // self._stage.capacity)
        pieces = []
        at = offset
        for portion in content:
            pieces += self._stage.append(node.ino, at, portion, node.parent or 0, node.name or b"")
            at += len(portion.raw)
        gained = self._extents.write(node.ino, pieces)
        now, ctime = self._metadata.times()
        mode = node.mode if handle.caller.is_root else handle.caller.strips(node.mode, node.gid)
        size = end if end > node.size else node.size
        self._metadata.put(node._replace(mode=mode, size=size, mtime=now, ctime=ctime, stored=node.stored + gained))
        return end - offset

    def read(self, ino: int, offset: int, size: int) -> tuple[Room, list[Missing]]:
        """The bytes, shorter at the end of the file; complete once the caller has filled in what is missing."""
        end = min(offset + size, self._tree.node(ino).size)
        whole = Room(max(end - offset, 0))
        missing: list[Missing] = []
        if not whole.length:
            return whole, missing
        for run in self._extents.runs(ino, offset, end):
            part = run.part(max(run.offset, offset), min(run.end, end))
            lacking = self._units.read(part, Room(part.length, whole, part.offset - offset))
            if lacking is not None:
                missing.append(lacking)
        return whole, missing

    def open_truncating(self, node: Node, caller: Caller) -> None:
        """O_TRUNC."""
        self.set_attributes(node.ino, Changes(size=0), caller)

    def set_attributes(self, ino: int, changes: Changes, caller: Caller) -> Node:
        """chmod, chown, truncate, utimens in one. A cut by root leaves suid and sgid bits alone."""
        node = self._tree.node(ino)
        if changes.size is not None:
            self._check_size(node, changes.size)
        acl = None if changes.mode is None else self._acls.after_chmod(ino, changes.mode)
        self._space.admit_free()  # a longer file is one with a hole
        now, ctime = self._metadata.times()
        mode = node.mode
        if changes.size is not None:
            node = self._resize(node, changes.size, now)
            mode = mode if caller.is_root else caller.strips(mode, node.gid)
        if (changes.uid, changes.gid) != (None, None) and not stat.S_ISDIR(mode):
            mode = caller.strips(mode, node.gid)
        if changes.mode is not None:
            mode = stat.S_IFMT(mode) | stat.S_IMODE(changes.mode)
        if acl is not None:
            self._acls.follow(ino, acl)
        node = node._replace(
            mode=mode,
            uid=node.uid if changes.uid is None else changes.uid,
            gid=node.gid if changes.gid is None else changes.gid,
            atime=node.atime if changes.atime is None else _representable(changes.atime),
            mtime=node.mtime if changes.mtime is None else _representable(changes.mtime),
            ctime=ctime,
        )
        self._metadata.put(node)
        return node

    def _check_size(self, node: Node, size: int) -> None:
        if stat.S_ISDIR(node.mode):
            raise PosixError(errno.EISDIR)
        if not stat.S_ISREG(node.mode) or size < 0:
            raise PosixError(errno.EINVAL)
        if size > FILE_SIZE_MAX:
            raise PosixError(errno.EFBIG)

    def _resize(self, node: Node, size: int, now: int) -> Node:
        """The times change even if the size does not, as on ext4."""
        gained = self._extents.cut(node.ino, size, node.born) if size < node.size else 0
        return node._replace(size=size, mtime=now, stored=node.stored + gained)


def _representable(time: int) -> int:
    """The nearest time of 64 bits of ns since 1970, from 1677 to 2262: Linux cuts to what a file system has, too."""
    return max(-TIME_MAX - 1, min(TIME_MAX, time))
