"""Extended attributes, and the virtual one that tells how safe a file is."""

import errno
import stat

from coopfs.core import acl
from coopfs.core.space import images_worth
from coopfs.fs.acls import Acls
from coopfs.fs.callers import Caller
from coopfs.fs.ports import Space, StateOf
from coopfs.fs.posix import PosixError
from coopfs.fs.tree import Tree
from coopfs.limits import CACHED_NODES, XATTR_LIST_MAX, XATTR_NAME_MAX, XATTR_VALUE_MAX
from coopfs.local.metadata import Metadata
from coopfs.local.nodes import Node

STATE = b"user.coopfs.state"  # get only, never listed: rsync -X must not carry it to other filesystems
CAPABILITY = b"security.capability"  # the kernel asks for it before every write
NAMESPACES = (b"user.", b"security.", b"trusted.")  # and of system.* the ACLs

CREATE = 1  # <sys/xattr.h>
REPLACE = 2


class Attributes:
    """The xattrs of one disk. All methods raise PosixError."""

    def __init__(self, metadata: Metadata, space: Space, tree: Tree, acls: Acls, state_of: StateOf) -> None:
        self._metadata = metadata
        self._xattrs = metadata.xattrs
        self._space = space
        self._tree = tree
        self._acls = acls
        self._state_of = state_of
        self._incapable: set[int] = set()  # inodes known to have no security.capability

    def get(self, ino: int, name: bytes) -> bytes:
        """ENODATA: not set; EOPNOTSUPP: no such namespace."""
        if name == CAPABILITY and ino in self._incapable:
            raise PosixError(errno.ENODATA)
        node = self._tree.node(ino)
        if name == STATE:
            return self._state(node)
        if name in acl.NAMES:
            return self._acls.get(node, name)
        _check_name(name)
        value = self._xattrs.get(ino, name)
        if value is None:
            if name == CAPABILITY:
                self.note_incapable(ino)
            raise PosixError(errno.ENODATA)
        return value

    def note_incapable(self, ino: int) -> None:
        """This inode has no security.capability, as a new one."""
        if len(self._incapable) >= CACHED_NODES:
            self._incapable.clear()
        self._incapable.add(ino)

    def forget(self, ino: int) -> None:
        """Look at the table when this inode is asked about next."""
        self._incapable.discard(ino)

    def _state(self, node: Node) -> bytes:
        group = self._metadata.images.newest_group(node)
        return self._state_of(self._metadata.extents.stripes_of(node.ino), group).encode()

    def list(self, ino: int) -> list[bytes]:
        return self._xattrs.names(self._tree.node(ino).ino)

    def set(self, ino: int, name: bytes, value: bytes, flags: int, caller: Caller) -> None:
        """flags: 0, CREATE (EEXIST: it is there) or REPLACE (ENODATA: it is not), which ACLs ignore, as in Linux.
        ENOSPC: too many names."""
        node = self._tree.node(ino)
        if name in acl.NAMES:
            self._acls.set(node, name, value, caller)
            return
        self._check_change(node, name)
        if len(value) > XATTR_VALUE_MAX:
            raise PosixError(errno.E2BIG)
        before = self._xattrs.get(ino, name)
        if flags & CREATE and before is not None:
            raise PosixError(errno.EEXIST)
        if flags & REPLACE and before is None:
            raise PosixError(errno.ENODATA)
        if before is None and sum(len(n) + 1 for n in self._xattrs.names(ino)) + len(name) + 1 > XATTR_LIST_MAX:
            raise PosixError(errno.ENOSPC)
        self._space.admit(0, 2 + images_worth(len(value)))
        self._incapable.discard(ino)
        self._xattrs.set(ino, name, value)
        self._touch(node)

    def remove(self, ino: int, name: bytes) -> None:
        """ENODATA: not set."""
        node = self._tree.node(ino)
        if name in acl.NAMES:
            self._acls.remove(node, name)
            return
        self._check_change(node, name)
        if self._xattrs.get(ino, name) is None:
            raise PosixError(errno.ENODATA)
        self._space.admit_free()
        self._xattrs.remove(ino, name)
        self._touch(node)

    def _check_change(self, node: Node, name: bytes) -> None:
        _check_name(name)
        if name == STATE:
            raise PosixError(errno.EPERM)
        if name.startswith(b"user.") and not (stat.S_ISREG(node.mode) or stat.S_ISDIR(node.mode)):
            raise PosixError(errno.EPERM)  # as in Linux: anybody could fill the disk through a world-writable device

    def _touch(self, node: Node) -> None:
        _, ctime = self._metadata.times()
        self._metadata.put(node._replace(ctime=ctime))


def _check_name(name: bytes) -> None:
    if len(name) > XATTR_NAME_MAX:
        raise PosixError(errno.ERANGE)
    if not name.startswith(NAMESPACES):
        raise PosixError(errno.EOPNOTSUPP)
    if name in NAMESPACES:
        raise PosixError(errno.EINVAL)
