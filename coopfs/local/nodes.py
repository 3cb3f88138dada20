"""Inodes in memory: a bounded write-back cache of the inodes table.

A file that is created, written and closed changes its inode and its directory's inode several times a millisecond; the
rows are written once for each commit. Everybody who asks for an inode comes here, so nobody sees an old row; rows that
differ from the table are kept until `flush`, clean ones are dropped when there are too many.
"""

from typing import NamedTuple

from coopfs.limits import CACHED_NODES
from coopfs.local.database import Database

COLUMNS = "ino, mode, uid, gid, nlink, rdev, size, atime, mtime, ctime, parent, name, target, born, changed, stored"


class Node(NamedTuple):
    """A row of inodes (see schema). Times in ns since 1970, size and stored in bytes."""

    ino: int
    mode: int
    uid: int
    gid: int
    nlink: int
    rdev: int
    size: int
    atime: int
    mtime: int
    ctime: int
    parent: int | None
    name: bytes | None
    target: bytes | None
    born: int
    changed: int
    stored: int


class Nodes:
    """The inodes of one disk."""

    def __init__(self, database: Database) -> None:
        self._db = database
        self._cache: dict[int, Node] = {}
        self._dirty: dict[int, Node] = {}

    def find(self, ino: int) -> Node | None:
        """The inode, or None if there is none of this number."""
        node = self._cache.get(ino)
        if node is not None:
            return node
        row = self._db.read(f"SELECT {COLUMNS} FROM inodes WHERE ino = ?", (ino,)).fetchone()
        if row is None:
            return None
        node = Node._make(row)
        self._keep(node)
        return node

    def get(self, ino: int) -> Node:
        """The inode, which exists."""
        node = self.find(ino)
        assert node is not None, f"inode {ino} is named but does not exist"
        return node

    def put(self, node: Node) -> None:
        """Create or change an inode."""
        self._dirty[node.ino] = node
        self._keep(node)

    def stamp(self, ino: int, group: int) -> None:
        """Note that its newest image belongs to this group."""
        node = self.get(ino)
        if node.changed != group:
            self.put(node._replace(changed=group))

    def remove(self, ino: int) -> None:
        self._cache.pop(ino, None)
        self._dirty.pop(ino, None)
        self._db.write("DELETE FROM inodes WHERE ino = ?", (ino,))

    def forget_clean(self) -> None:
        """Ask the table again for what is as it was there."""
        self._cache = dict(self._dirty)

    def flush(self) -> None:
        """Write the changed rows into the transaction."""
        self._db.write_many(
            f"INSERT OR REPLACE INTO inodes ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            list(self._dirty.values()),
        )
        self._dirty.clear()

    def count(self) -> int:
        """How many inodes there are, as of the last flush."""
        return int(self._db.read("SELECT count(*) FROM inodes").fetchone()[0])

    def orphans(self) -> list[Node]:
        """Inodes without a name, left by a process that had them open. Only right when nothing is dirty."""
        return [Node._make(row) for row in self._db.read(f"SELECT {COLUMNS} FROM inodes WHERE nlink = 0").fetchall()]

    def _keep(self, node: Node) -> None:
        if len(self._cache) >= CACHED_NODES + len(self._dirty):
            self.forget_clean()
        self._cache[node.ino] = node
