"""The name space: lookup, create, link, unlink, rmdir (rename is in renaming.py).

Every operation checks first and changes then, without an await in between: it is applied whole or not at all (P1).
The kernel is mounted with default_permissions: who may do what has been decided before a request gets here.
"""

import errno
import stat

from coopfs.core.space import images_worth
from coopfs.fs.acls import Acls
from coopfs.fs.handles import Handles
from coopfs.fs.ports import Space
from coopfs.fs.posix import PosixError
from coopfs.limits import LINK_MAX, NAME_MAX, SYMLINK_MAX
from coopfs.local.metadata import DIRECTORY_SIZE, Metadata
from coopfs.local.nodes import Node

TYPES = {stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK, stat.S_IFIFO, stat.S_IFSOCK, stat.S_IFCHR, stat.S_IFBLK}
DEVICES = {stat.S_IFCHR, stat.S_IFBLK}


def is_directory(node: Node) -> bool:
    return stat.S_ISDIR(node.mode)


class Tree:
    """Directories and names of one disk. All methods raise PosixError; those that add something, OutOfSpace too."""

    def __init__(self, metadata: Metadata, space: Space, handles: Handles, acls: Acls) -> None:
        self._metadata = metadata
        self._nodes = metadata.nodes
        self._names = metadata.names
        self._space = space
        self._handles = handles
        self._acls = acls

    def node(self, ino: int) -> Node:
        """ENOENT: it is gone."""
        node = self._nodes.find(ino)
        if node is None:
            raise PosixError(errno.ENOENT)
        return node

    def directory(self, ino: int) -> Node:
        """A directory; ENOTDIR: it is something else."""
        node = self.node(ino)
        if not is_directory(node):
            raise PosixError(errno.ENOTDIR)
        return node

    def lookup(self, parent: int, name: bytes) -> Node:
        """ENOENT: no such name."""
        if (node := self.find(parent, name)) is None:
            raise PosixError(errno.ENOENT)
        return node

    def find(self, parent: int, name: bytes) -> Node | None:
        """The inode of this name, None if there is none. ENOTDIR, ENAMETOOLONG."""
        directory = self.directory(parent)
        if len(name) > NAME_MAX:
            raise PosixError(errno.ENAMETOOLONG)
        if name == b".":
            return directory
        if name == b"..":
            return directory if directory.parent is None else self.node(directory.parent)
        ino = self._names.find(parent, name)
        return None if ino is None else self._nodes.get(ino)

    def free_name(self, parent: int, name: bytes) -> Node:
        """The directory, in which a name can be added. EEXIST; ENOENT: the directory was removed."""
        if self.find(parent, name) is not None:
            raise PosixError(errno.EEXIST)
        directory = self.directory(parent)
        if directory.nlink == 0:
            raise PosixError(errno.ENOENT)
        return directory

    def create(
        self,
        parent: int,
        name: bytes,
        mode: int,
        uid: int,
        gid: int,
        umask: int = 0,
        rdev: int = 0,
        target: bytes | None = None,
    ) -> Node:
        """A new inode of any type. mode: with the type; gid: of the caller, a setgid directory gives its own; a
        default ACL there counts instead of the umask, and is inherited."""
        kind = stat.S_IFMT(mode) or stat.S_IFREG
        if kind not in TYPES:
            raise PosixError(errno.EINVAL)
        if target is not None and len(target) > SYMLINK_MAX:
            raise PosixError(errno.ENAMETOOLONG)
        directory = self.free_name(parent, name)
        birth = self._acls.born(directory, kind | stat.S_IMODE(mode), umask)
        size = len(target or b"") + sum(len(value) for _, value in birth.xattrs)
        self._space.admit(0, 2 + len(birth.xattrs) + images_worth(size))
        mode = birth.mode
        if directory.mode & stat.S_ISGID:
            gid = directory.gid
            if kind == stat.S_IFDIR:
                mode |= stat.S_ISGID
        now, ctime = self._metadata.times()
        new_directory = kind == stat.S_IFDIR
        size = DIRECTORY_SIZE if new_directory else len(target or b"")
        group = self._metadata.group
        links = 2 if new_directory else 1
        device = rdev if kind in DEVICES else 0
        ino = self._metadata.new_ino()
        node = Node(
            ino, mode, uid, gid, links, device, size, now, now, ctime, parent, name, target, group, group, 0
        )  # fmt: skip
        self._metadata.add(node)
        self._acls.bestow(ino, birth)
        self._names.add(parent, name, ino)
        self.touch(parent, 1 if new_directory else 0)
        return node

    def link(self, ino: int, parent: int, name: bytes) -> Node:
        """A further name. EPERM: a directory; ENOENT: it is unlinked already; EMLINK."""
        node = self.node(ino)
        directory = self.free_name(parent, name)
        if is_directory(node):
            raise PosixError(errno.EPERM)
        if node.nlink == 0:
            raise PosixError(errno.ENOENT)
        if node.nlink >= LINK_MAX:
            raise PosixError(errno.EMLINK)
        self._space.admit(0, 3 + images_worth(len(node.target or b"")))
        _, ctime = self._metadata.times()
        node = node._replace(nlink=node.nlink + 1, ctime=ctime)
        self._metadata.put(node)
        self._names.add(parent, name, ino)
        self._names.changed_link(parent, name)
        self.touch(directory.ino, 0)
        return node

    def unlink(self, parent: int, name: bytes) -> None:
        """EISDIR: rmdir is meant."""
        node = self.lookup(parent, name)
        if is_directory(node):
            raise PosixError(errno.EISDIR)
        self._space.admit_free()
        self._names.remove(parent, name)
        self.drop_name(node, parent, name)
        self.touch(parent, 0)

    def rmdir(self, parent: int, name: bytes) -> None:
        """ENOTDIR, ENOTEMPTY."""
        if name == b".":
            raise PosixError(errno.EINVAL)
        node = self.lookup(parent, name)
        if not is_directory(node):
            raise PosixError(errno.ENOTDIR)
        if name == b".." or not self._names.empty(node.ino):
            raise PosixError(errno.ENOTEMPTY)
        self._space.admit_free()
        self._names.remove(parent, name)
        self.drop_name(node, parent, name)
        self.touch(parent, -1)

    def drop_name(self, node: Node, parent: int, name: bytes) -> None:
        """An inode lost this name, which left the table already. Without a name it dies, once nobody has it open."""
        _, ctime = self._metadata.times()
        links = 0 if is_directory(node) else node.nlink - 1
        node = node._replace(nlink=links, ctime=ctime)
        if node.parent == parent and node.name == name:
            node = node._replace(parent=None, name=None)
        else:
            self._names.changed_link(parent, name)
        if links == 0 and not self._handles.in_use(node.ino):
            self._metadata.bury(node)
        else:
            self._metadata.put(node)

    def touch(self, ino: int, subdirectories: int) -> None:
        """A directory's entries changed; so many more (less: negative) of them are directories."""
        now, ctime = self._metadata.times()
        node = self._nodes.get(ino)
        self._metadata.put(node._replace(nlink=node.nlink + subdirectories, mtime=now, ctime=ctime))
