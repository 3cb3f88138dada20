"""The metadata of one disk: all tables of one database, and the boundaries in it: commits and groups.

metadata = Metadata(database, time.time_ns)   # continues where the last commit left off
metadata.nodes / names / xattrs / extents     # the tree
metadata.stripes / groups                     # the log's bookkeeping
stage = Stage(directory, metadata.stripes, ...)
metadata.prepare(stage)                       # everything marked so far goes into the transaction
database.commit()                             # see database.py for what makes it durable
"""

import stat
from collections.abc import Callable

from coopfs.limits import GROUP_META_ROWS, ROOT_INO
from coopfs.local.database import Database
from coopfs.local.extents import Extents
from coopfs.local.groups import Group, Groups, should_close
from coopfs.local.images import Images
from coopfs.local.names import Names, Xattrs
from coopfs.local.nodes import Node, Nodes
from coopfs.local.stage import Stage
from coopfs.local.stripes import Stripes
from coopfs.local.totals import Totals

SECOND = 10**9  # ns
DIRECTORY_SIZE = 4096  # bytes that stat shows for any directory


class Metadata:
    """All tables of one disk. clock: ns since 1970, may jump in either direction."""

    def __init__(self, database: Database, clock: Callable[[], int]) -> None:
        self.database = database
        self._clock = clock
        self._latest: int = database.fact("clock", 0)
        self.groups = Groups(database)
        group = self.groups.open()
        self.nodes = Nodes(database)
        self.images = Images(database, self.nodes, group.id)
        self.totals = Totals(database)
        self.names = Names(database, self.images, self.totals)
        self.xattrs = Xattrs(database, self.images, self.totals)
        self.stripes = Stripes(database, self.images, self.totals)
        self.extents = Extents(database, self.images, self.stripes, self.totals)
        self._images_before = self.totals.images  # when marked keys were materialised last
        self._next_ino: int = database.fact("next_ino", ROOT_INO + 1)
        self._saved_ino = self._next_ino
        self._bytes_before = group.bytes  # of the open group, less what the stage had appended when it began

    @classmethod
    def create(cls, database: Database, clock: Callable[[], int], uid: int, gid: int) -> "Metadata":
        """A new disk: group 1 is open and holds the root directory. Commit it."""
        Groups(database).start(1)
        self = cls(database, clock)
        now, _ = self.times()
        mode = stat.S_IFDIR | 0o755
        self.add(Node(ROOT_INO, mode, uid, gid, 2, 0, DIRECTORY_SIZE, now, now, now, None, None, None, 1, 1, 0))
        return self

    @property
    def group(self) -> int:
        """The number of the open group."""
        return self.images.group

    @property
    def changed(self) -> bool:
        """Whether there is something to commit."""
        return self.database.touched

    @property
    def uncommitted(self) -> int:
        """Rows that the next commit will have changed, about."""
        return self.database.rows_changed + 2 * (self.images.keys + self.stripes.pending)

    @property
    def group_changed(self) -> bool:
        """Whether the open group holds anything."""
        return self.images.count > 0

    def times(self) -> tuple[int, int]:
        """Now, for mtime and atime as the clock has it, and for ctime: that one always grows, if only by 1 ns while a
        clock that was set back catches up. Backup programs tell by it what has changed."""
        now = self._clock()
        self._latest = max(now, self._latest + 1)
        return now, self._latest

    def new_ino(self) -> int:
        """An inode number that was never used."""
        self._next_ino += 1
        return self._next_ino - 1

    def add(self, node: Node) -> None:
        """Create an inode."""
        self.totals.inode(node.target, 1)
        self.put(node)

    def put(self, node: Node) -> None:
        """Change an inode."""
        self.nodes.put(node)
        self.images.mark_inode(node.ino)

    def bury(self, node: Node) -> None:
        """Remove an inode that has neither name nor user, with all it has."""
        self.extents.clear(node.ino)
        self.xattrs.clear(node.ino)
        self.nodes.remove(node.ino)
        self.totals.inode(node.target, -1)
        self.images.bury(node.ino, node.born)

    def reclaim(self) -> bool:
        """Drop a slice of the extents in graves, which nobody sees any more: an inode's `stored`, and the life of
        stripes, follow. False: there was none."""
        ino = self.extents.graves.first()
        if ino is None:
            return False
        self.reclaim_from(ino)
        return True

    def reclaim_from(self, ino: int) -> None:
        """Drop a slice of an inode's grave."""
        gained = self.extents.drop_some(ino)
        node = self.nodes.find(ino)
        if node is not None:
            self.nodes.put(node._replace(stored=node.stored + gained))

    def prepare(self, stage: Stage) -> list[int]:
        """Put all that was marked into the transaction.

        Returns stripes whose stage files may go once the commit is durable.
        """
        if not self.changed:
            return []
        never_sent = self.stripes.flush(stage.filling)
        if not self.images.pending:
            self.nodes.flush()
        else:
            self.images.materialise()
            self._images_before = self.totals.images
            self.groups.note_change(self.group, self._clock() // SECOND, self._group_bytes(stage))
            self.database.set_fact("clock", self._latest)
        stage.note()
        self.totals.save()
        if self._next_ino != self._saved_ino:
            self.database.set_fact("next_ino", self._next_ino)
            self._saved_ino = self._next_ino
        return never_sent

    def close_group(self, stage: Stage) -> tuple[Group | None, list[int]]:
        """End the open group here, between two operations; part of the transaction that `database.commit` ends.

        Returns the closed group, None if it holds no change, and stripes as `prepare` does.
        """
        stage.close_stripe()
        never_sent = self.prepare(stage)
        if not self.group_changed:
            return None, never_sent
        closed = self.group
        self.groups.close(closed, self._clock() // SECOND)
        self.groups.start(closed + 1)
        self.images.start_group(closed + 1)
        self._bytes_before = -stage.appended
        return self.groups.get(closed), never_sent

    def should_close(self, stage: Stage, age: float) -> bool:
        """Whether the open group is due. age: seconds since its first change."""
        if not self.group_changed:
            return False
        many = self.images.size >= GROUP_META_ROWS * stage.capacity
        return many or should_close(age, self.images.count, self._group_bytes(stage), stage.group_bytes)

    def is_full_of_content(self, stage: Stage) -> bool:
        """Whether the open group is due for its content alone."""
        return self._group_bytes(stage) >= stage.group_bytes

    @property
    def pending_image_bytes(self) -> int:
        """Bytes of meta stripes that the open group may cost, not less than in truth."""
        return self.images.size + max(0, self.totals.images - self._images_before)

    def newest_group(self, ino: int) -> int:
        """The group of the newest change to an inode, or to anything below it if it is a directory."""
        query = (
            "WITH RECURSIVE below(ino) AS"
            " (VALUES (?) UNION SELECT names.ino FROM names JOIN below ON parent = below.ino)"
            " SELECT max(changed) FROM inodes JOIN below USING (ino)"
        )
        if self.images.pending:
            return self.group  # what is marked is not in the tables yet, so be careful
        return int(self.database.read(query, (ino,)).fetchone()[0])

    def _group_bytes(self, stage: Stage) -> int:
        return self._bytes_before + stage.appended
