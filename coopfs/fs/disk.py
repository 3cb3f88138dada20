"""One disk as the mount sees it: its local part and what the filesystem was given, put together.

disk = Disk(LocalDisk(directory, clock), space, content, state_of)
committer = Committer(disk.metadata, disk.stage, ...)      # tasks/writing/committer
await Mount(Handlers(disk, committer), mountpoint).run()
disk.close()
"""

import os

from coopfs.fs.acls import Acls
from coopfs.fs.attributes import Attributes
from coopfs.fs.callers import Caller
from coopfs.fs.compressing import Compressor
from coopfs.fs.files import Files
from coopfs.fs.handles import Handle, Handles
from coopfs.fs.ports import Content, Space, StateOf
from coopfs.fs.renaming import Renaming
from coopfs.fs.tree import Tree
from coopfs.local.disk import LocalDisk
from coopfs.local.lostfound import Tell
from coopfs.local.nodes import Node


class Disk:
    """An opened disk. Its operations are synchronous and change nothing durably: the committer does.

    space, state_of: see ports. StateError: the database or the stage are lost or damaged.
    """

    def __init__(self, local: LocalDisk, space: Space, content: Content, state_of: StateOf) -> None:
        self.database = local.database
        self.metadata = local.metadata
        self.stage = local.stage
        self.space = space
        self.content = content
        self.compressor = Compressor(lambda: self.stage.unit)
        self.handles = Handles()
        self.on_change: Tell = nobody_remembers  # given what changes without the mount, for who knows how it was
        acls = self._acls = Acls(self.metadata, space)
        self.tree = Tree(self.metadata, space, self.handles, acls)
        self.renaming = Renaming(self.metadata, space, self.tree)
        self.files = Files(self.metadata, self.stage, space, self.tree, acls)
        self.attributes = Attributes(self.metadata, space, self.tree, acls, state_of)

    def tell(self, ino: int, name: bytes | None) -> None:
        """Something has changed that no request asked for (lostfound.Tell)."""
        self._acls.forget(ino)
        self.attributes.forget(ino)
        self.on_change(ino, name)

    def bury_orphans(self) -> None:
        """Remove what was unlinked while open when the last process ended."""
        for node in self.metadata.nodes.orphans():
            if not self.handles.in_use(node.ino):
                self.metadata.bury(node)

    def open(self, node: Node, flags: int, caller: Caller) -> int:
        """The handle of an open file or directory. OutOfSpace, EROFS: O_TRUNC is refused."""
        if flags & os.O_TRUNC:
            self.files.open_truncating(node, caller)
        return self.handles.open(Handle(node.ino, flags, caller))

    def release(self, number: int) -> None:
        """Close a handle; an inode without a name goes with the last one."""
        ino = self.handles.close(number)
        if ino is not None:
            self._bury_unlinked(ino)

    def release_all(self) -> None:
        """The mount ended with files open. After a failure, the next start buries what they kept alive."""
        for ino in self.handles.close_all():
            if not self.database.failed:
                self._bury_unlinked(ino)

    def _bury_unlinked(self, ino: int) -> None:
        node = self.metadata.nodes.get(ino)
        if node.nlink == 0:
            self.metadata.bury(node)

    def close(self) -> None:
        """What is not committed is lost."""
        self.stage.close()
        self.database.close()


def nobody_remembers(ino: int, name: bytes | None) -> None:
    """`on_change` while nothing is mounted."""
