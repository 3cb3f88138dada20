"""What the kernel is told of an inode."""

from pyfuse3 import EntryAttributes

from coopfs.limits import CACHE_SECONDS, CACHED_ENTRIES, FILESYSTEM_BLOCK
from coopfs.local.nodes import Node

BLOCK = 512  # bytes: the unit of st_blocks


class Entries:
    """Answers given before: filling one in costs more than all the rest of a listing, which asks for each again."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[Node, EntryAttributes]] = {}

    def of(self, node: Node) -> EntryAttributes:
        """What stat(2) shows. An inode that has changed is another Node. The caller must not change the answer."""
        known = self._known.get(node.ino)
        if known is not None and known[0] is node:
            return known[1]
        entry = attributes(node)
        if len(self._known) >= CACHED_ENTRIES:
            self._known.clear()
        self._known[node.ino] = node, entry
        return entry


def attributes(node: Node) -> EntryAttributes:
    """What stat(2) shows. st_blocks is true: the bytes that are stored, so that holes can be seen."""
    entry = EntryAttributes()
    entry.st_ino = node.ino
    entry.st_mode = node.mode
    entry.st_nlink = node.nlink
    entry.st_uid = node.uid
    entry.st_gid = node.gid
    entry.st_rdev = node.rdev
    entry.st_size = node.size
    entry.st_blksize = FILESYSTEM_BLOCK
    entry.st_blocks = -(-node.stored // BLOCK)
    entry.st_atime_ns = node.atime
    entry.st_mtime_ns = node.mtime
    entry.st_ctime_ns = node.ctime
    entry.entry_timeout = CACHE_SECONDS
    entry.attr_timeout = CACHE_SECONDS
    return entry


def absent() -> EntryAttributes:
    """No such name: the kernel may remember that."""
    entry = EntryAttributes()
    entry.st_ino = 0
    entry.entry_timeout = CACHE_SECONDS
    return entry
