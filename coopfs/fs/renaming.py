"""rename(2) with its flags, as one operation."""

import errno

from coopfs.fs.ports import Space
from coopfs.fs.posix import PosixError
from coopfs.fs.tree import Tree, is_directory
from coopfs.limits import ROOT_INO
from coopfs.local.metadata import Metadata
from coopfs.local.nodes import Node

NOREPLACE = 1  # <linux/fs.h>
EXCHANGE = 2


class Renaming:
    """The rename operations of one disk."""

    def __init__(self, metadata: Metadata, space: Space, tree: Tree) -> None:
        self._metadata = metadata
        self._names = metadata.names
        self._space = space
        self._tree = tree

    def rename(self, parent: int, name: bytes, new_parent: int, new_name: bytes, flags: int) -> None:
        """Atomic, also over an existing file or an empty directory. PosixError as on ext4."""
        if flags not in (0, NOREPLACE, EXCHANGE):
            raise PosixError(errno.EINVAL)
        self._tree.directory(parent)
        self._tree.directory(new_parent)
        node = self._tree.lookup(parent, name)
        target = self._tree.find(new_parent, new_name)
        if flags == NOREPLACE and target is not None:
            raise PosixError(errno.EEXIST)
        if flags == EXCHANGE and target is None:
            raise PosixError(errno.ENOENT)
        if self._tree.directory(new_parent).nlink == 0:
            raise PosixError(errno.ENOENT)
        self._check_loops(node, parent, target, new_parent, flags)
        if target is not None and target.ino == node.ino:
            return  # two names of one inode: nothing happens, as POSIX has it
        if flags == EXCHANGE:
            assert target is not None
            self._space.admit_free()
            self._exchange((parent, name, node), (new_parent, new_name, target))
            return
        if target is not None:
            self._check_replaceable(node, target)
        if len(new_name) > len(name):
            self._space.admit(0, 5)
        else:
            self._space.admit_free()
        self._move(node, (parent, name), (new_parent, new_name), target)

    def _check_loops(self, node: Node, parent: int, target: Node | None, new_parent: int, flags: int) -> None:
        if parent == new_parent:
            return
        if is_directory(node) and self._is_within(node.ino, new_parent):
            raise PosixError(errno.EINVAL)  # into its own subtree
        if target is not None and is_directory(target) and self._is_within(target.ino, parent):
            raise PosixError(errno.EINVAL if flags == EXCHANGE else errno.ENOTEMPTY)

    def _is_within(self, ino: int, directory: int) -> bool:
        """Whether `directory` is `ino` or lies below it."""
        while directory != ino:
            above = self._metadata.nodes.get(directory).parent
            if directory == ROOT_INO or above is None:
                return False
            directory = above
        return True

    def _check_replaceable(self, node: Node, target: Node) -> None:
        if is_directory(node):
            if not is_directory(target):
                raise PosixError(errno.ENOTDIR)
            if not self._names.empty(target.ino):
                raise PosixError(errno.ENOTEMPTY)
        elif is_directory(target):
            raise PosixError(errno.EISDIR)

    def _move(self, node: Node, old: tuple[int, bytes], new: tuple[int, bytes], target: Node | None) -> None:
        moved = 1 if is_directory(node) else 0
        replaced = 0
        if target is not None:
            replaced = 1 if is_directory(target) else 0
            self._names.remove(*new)
            self._tree.drop_name(target, *new)
        self._names.move(*old, *new)
        self._rename_node(node, old, new)
        if old[0] == new[0]:
            self._tree.touch(old[0], -replaced)
        else:
            self._tree.touch(old[0], -moved)
            self._tree.touch(new[0], moved - replaced)

    def _exchange(self, one: tuple[int, bytes, Node], other: tuple[int, bytes, Node]) -> None:
        parent, name, node = one
        new_parent, new_name, target = other
        self._names.point(parent, name, target.ino)
        self._names.point(new_parent, new_name, node.ino)
        self._rename_node(node, (parent, name), (new_parent, new_name))
        self._rename_node(target, (new_parent, new_name), (parent, name))
        if parent == new_parent:
            self._tree.touch(parent, 0)
        else:
            gained = is_directory(node) - is_directory(target)
            self._tree.touch(parent, -gained)
            self._tree.touch(new_parent, gained)

    def _rename_node(self, node: Node, old: tuple[int, bytes], new: tuple[int, bytes]) -> None:
        _, ctime = self._metadata.times()
        if (node.parent, node.name) == old:
            self._metadata.put(node._replace(parent=new[0], name=new[1], ctime=ctime))
        else:
            self._names.changed_link(*old)
            self._names.changed_link(*new)
            self._metadata.put(node._replace(ctime=ctime))
