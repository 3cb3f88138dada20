"""ACLs as extended attributes: kept in step with modes, and inherited.

The kernel enforces them (it asks for `system.posix_acl_access` when it checks a permission, and keeps the answer), and
leaves to us what changes a mode and an ACL together. Modes change with ACLs in one operation (P1).
"""

import errno
import stat

from coopfs.core.acl import ACCESS, DEFAULT, PERMISSIONS, VERSION, Acl, Birth, Entry, born, checked, parse
from coopfs.core.space import images_worth
from coopfs.errors import InvalidAcl
from coopfs.fs.callers import Caller
from coopfs.fs.ports import Space
from coopfs.fs.posix import PosixError
from coopfs.limits import ACL_MAX, CACHED_NODES
from coopfs.local.metadata import Metadata
from coopfs.local.nodes import Node


class Acls:
    """The ACLs of one disk. What changes something raises PosixError and OutOfSpace before it does."""

    def __init__(self, metadata: Metadata, space: Space) -> None:
        self._metadata = metadata
        self._xattrs = metadata.xattrs
        self._space = space
        self._defaults: dict[int, Acl | None] = {}  # of directories in which something was created last

    def get(self, node: Node, name: bytes) -> bytes:
        """ENODATA: not set; EOPNOTSUPP: symbolic links have none."""
        _check_kind(node)
        value = self._xattrs.get(node.ino, name)
        if value is None:
            raise PosixError(errno.ENODATA)
        return value

    def set(self, node: Node, name: bytes, value: bytes, caller: Caller) -> None:
        """EINVAL: no ACL; EACCES: a default ACL belongs to a directory. One that the mode can say becomes the mode."""
        entries = _parse(value)
        _check_kind(node)
        if not entries:
            self.remove(node, name)
            return
        if name == DEFAULT and not stat.S_ISDIR(node.mode):
            raise PosixError(errno.EACCES)
        acl = _checked(entries)
        if name == DEFAULT:
            self._put(node, name, acl, node.mode)
        else:
            mode = node.mode & ~PERMISSIONS | acl.mode
            if mode & stat.S_ISGID and not caller.is_member(node.gid):
                mode &= ~stat.S_ISGID
            self._put(node, name, None if acl.is_minimal else acl, mode)

    def remove(self, node: Node, name: bytes) -> None:
        """One that is not there is removed already. The mode stays."""
        _check_kind(node)
        self._put(node, name, None, node.mode)

    def forget(self, ino: int) -> None:
        """Look at the table when something is created in this directory next."""
        self._defaults.pop(ino, None)

    def _put(self, node: Node, name: bytes, acl: Acl | None, mode: int) -> None:
        """What changes nothing does not change ctime either, as on ext4."""
        value = None if acl is None else acl.encode()
        before = self._xattrs.get(node.ino, name)
        if (value, mode) == (before, node.mode):
            return
        if value is None:
            self._space.admit_free()
        else:
            self._space.admit(0, 2 + images_worth(len(value)))
        self._store(node.ino, name, value)
        _, ctime = self._metadata.times()
        self._metadata.put(node._replace(mode=mode, ctime=ctime))

    def _store(self, ino: int, name: bytes, value: bytes | None) -> None:
        if name == DEFAULT:
            self._defaults.pop(ino, None)
        if value is not None:
            self._xattrs.set(ino, name, value)
        elif self._xattrs.get(ino, name) is not None:
            self._xattrs.remove(ino, name)

    def born(self, directory: Node, mode: int, umask: int) -> Birth:
        """What a new inode in this directory begins with. mode: with its type; a symbolic link inherits nothing."""
        if stat.S_ISLNK(mode):
            return Birth(mode)
        return born(mode, umask, self._default(directory.ino), stat.S_ISDIR(mode))

    def bestow(self, ino: int, birth: Birth) -> None:
        """The new inode gets what it inherited."""
        for name, value in birth.xattrs:
            self._xattrs.set(ino, name, value)

    def _default(self, ino: int) -> Acl | None:
        try:
            return self._defaults[ino]
        except KeyError:
            if len(self._defaults) >= CACHED_NODES:
                self._defaults.clear()
            acl = self._defaults[ino] = self._read(ino, DEFAULT)
            return acl

    def after_chmod(self, ino: int, mode: int) -> bytes | None:
        """The access ACL that goes with a new mode, for `follow`; None: there is none to change."""
        acl = self._read(ino, ACCESS)
        return None if acl is None else acl.with_mode(mode).encode()

    def follow(self, ino: int, access: bytes) -> None:
        """The mode has changed, and its ACL changes with it."""
        self._xattrs.set(ino, ACCESS, access)

    def _read(self, ino: int, name: bytes) -> Acl | None:
        value = self._xattrs.get(ino, name)
        return None if value is None else Acl.decode(value)


def _check_kind(node: Node) -> None:
    if stat.S_ISLNK(node.mode):
        raise PosixError(errno.EOPNOTSUPP)


def _parse(value: bytes) -> tuple[Entry, ...]:
    if len(value) > ACL_MAX:
        raise PosixError(errno.E2BIG)
    if len(value) >= len(VERSION) and not value.startswith(VERSION):
        raise PosixError(errno.EOPNOTSUPP)  # of another version, as Linux answers
    try:
        return parse(value)
    except InvalidAcl:
        raise PosixError(errno.EINVAL) from None


def _checked(entries: tuple[Entry, ...]) -> Acl:
    try:
        return checked(entries)
    except InvalidAcl:
        raise PosixError(errno.EINVAL) from None
