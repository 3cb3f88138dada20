"""Random operations, and the two sides that carry them out: our filesystem, and a directory of the machine's own.

An operation is a name and arguments; a side answers a comparable value or an errno. Symbolic links all lead nowhere,
so that both sides resolve paths alike.
"""

import ctypes
import errno
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

from coopfs.core.acl import ACCESS, DEFAULT
from coopfs.core.units import Portion, compress, plain
from coopfs.fs.callers import Caller
from coopfs.fs.disk import Disk
from coopfs.fs.files import Changes
from coopfs.fs.posix import PosixError
from coopfs.limits import ROOT_INO
from coopfs.local.contents import Local
from coopfs.local.nodes import Node
from tests.fs.acl_values import random_acl

Operation = tuple[str, tuple[Any, ...]]
ROOT = os.geteuid() == 0
ME = Caller(os.geteuid(), os.getegid(), os.getpid())
NAMES = [b"a", b"b", b"c", b"d", b"\xff\n", b"n" * 255, b"n" * 256]
XATTRS = [b"user.one", b"user.two", b"user.three"] + ([b"trusted.four"] if ROOT else [])
SPECIAL = [stat.S_IFIFO, stat.S_IFSOCK] + ([stat.S_IFCHR, stat.S_IFBLK] if ROOT else [])
UMASKS = [0, 0o022, 0o077, 0o007] if ROOT else [0]  # what a mount by fusermount3 cannot tell apart is left out
HANDLES = 3  # files that may be held open, by number

libc = ctypes.CDLL(None, use_errno=True)


@contextmanager
def masking(umask: int) -> Iterator[None]:
    before = os.umask(umask)
    try:
        yield
    finally:
        os.umask(before)


class Chooser:
    """Operations for a small tree: names collide, directories nest, files are a few stripes long."""

    def __init__(self, random: Random) -> None:
        self.random = random

    def path(self) -> tuple[bytes, ...]:
        weights = [8, 8, 6, 6, 2, 0.3, 0.1]
        return tuple(self.random.choices(NAMES, weights, k=self.random.choice([1, 1, 2, 2, 3])))

    def offset(self) -> int:
        return self.random.choice([0, 0, self.random.randrange(100), self.random.randrange(40_000), 4096, 1 << 40])

    def creation(self, modes: list[int]) -> tuple[tuple[bytes, ...], int, int]:
        return self.path(), self.random.choice(modes), self.random.choice(UMASKS)

    def next(self) -> Operation:
        r = self.random
        kinds: dict[str, Callable[[], tuple[Any, ...]]] = {
            "create": lambda: self.creation([0o666, 0o644, 0o4755, 0o2711, 0o600]),
            "mkdir": lambda: self.creation([0o777, 0o755, 0o2775 if ROOT else 0o755]),
            "mknod": lambda: self.creation(SPECIAL),
            "symlink": lambda: (self.path(), b"nowhere/" + b"t" * r.randrange(1, 80)),
            "link": lambda: (self.path(), self.path()),
            "unlink": lambda: (self.path(),),
            "rmdir": lambda: (self.path(),),
            "rename": lambda: (self.path(), self.path(), r.choice([0, 0, 0, 1, 2, 3])),
            "open": lambda: (r.randrange(HANDLES), self.path(), r.random() < 0.2),
            "close": lambda: (r.randrange(HANDLES),),
            "write": lambda: (r.randrange(HANDLES), self.offset(), r.randbytes(r.choice([1, 10, 300, 5000, 30_000]))),
            "read": lambda: (r.randrange(HANDLES), self.offset(), r.choice([1, 4096, 50_000])),
            "ftruncate": lambda: (r.randrange(HANDLES), self.offset()),
            "truncate": lambda: (self.path(), self.offset()),
            "chmod": lambda: (self.path(), r.choice([0o600, 0o444, 0o4755, 0o2755, 0o670] if ROOT else [0o600, 0o755])),
            "chown": lambda: (self.path(), r.choice([0, 1000]), r.choice([0, 1000, 1001])),
            "utimens": lambda: (self.path(), r.randrange(1 << 60), r.randrange(1 << 60)),
            "setxattr": lambda: (self.path(), r.choice(XATTRS), r.randbytes(r.randrange(60)), r.choice([0, 0, 1, 2])),
            "setacl": lambda: (self.path(), r.choice([ACCESS, DEFAULT]), random_acl(r)),
            "removeacl": lambda: (self.path(), r.choice([ACCESS, DEFAULT])),
            "getacl": lambda: (self.path(), r.choice([ACCESS, DEFAULT])),
            "removexattr": lambda: (self.path(), r.choice(XATTRS)),
            "getxattr": lambda: (self.path(), r.choice([*XATTRS, b"user." + b"x" * 250])),
        }
        likely = {"create": 3, "mkdir": 3, "write": 8, "open": 4, "rename": 5, "link": 2, "ftruncate": 2, "unlink": 2}
        likely |= {"setacl": 4, "chmod": 2}
        if not ROOT:
            del kinds["chown"]
        (name,) = r.choices(list(kinds), [likely.get(kind, 1) for kind in kinds])
        return name, kinds[name]()


LETTERS = bytes(b"abcd"[byte % 4] for byte in range(256))


def shrinking(operation: Operation) -> Operation:
    """The same operation; what it writes shrinks to a third, in two of three cases."""
    name, arguments = operation
    if name != "write" or arguments[2][0] % 3 == 0:
        return operation
    return name, (*arguments[:2], arguments[2].translate(LETTERS))


class Side:
    """Carries out operations."""

    def apply(self, operation: Operation) -> Any:
        """What the operation answers: a value, or ("errno", its name)."""
        name, arguments = operation
        try:
            return getattr(self, name)(*arguments)
        except (OSError, PosixError) as refused:
            return "errno", errno.errorcode[refused.errno or 0]


class RealSide(Side):
    """The machine's own filesystem."""

    def __init__(self, root: Path) -> None:
        self.root = os.fsencode(root)
        self.handles: dict[int, int] = {}

    def at(self, path: tuple[bytes, ...]) -> bytes:
        return os.path.join(self.root, *path)

    def create(self, path: tuple[bytes, ...], mode: int, umask: int = 0) -> None:
        with masking(umask):
            descriptor = os.open(self.at(path), os.O_CREAT | os.O_EXCL | os.O_RDWR, mode)
        os.close(descriptor)

    def mkdir(self, path: tuple[bytes, ...], mode: int, umask: int = 0) -> None:
        with masking(umask):
            os.mkdir(self.at(path), mode & 0o777)
        if mode & 0o7000:
            os.chmod(self.at(path), mode)

    def mknod(self, path: tuple[bytes, ...], kind: int, umask: int = 0) -> None:
        device = os.makedev(1, 3) if kind in (stat.S_IFCHR, stat.S_IFBLK) else 0
        with masking(umask):
            os.mknod(self.at(path), kind | 0o664, device)

    def symlink(self, path: tuple[bytes, ...], target: bytes) -> None:
        os.symlink(target, self.at(path))

    def link(self, path: tuple[bytes, ...], new: tuple[bytes, ...]) -> None:
        os.link(self.at(path), self.at(new), follow_symlinks=False)

    def unlink(self, path: tuple[bytes, ...]) -> None:
        os.unlink(self.at(path))

    def rmdir(self, path: tuple[bytes, ...]) -> None:
        os.rmdir(self.at(path))

    def rename(self, path: tuple[bytes, ...], new: tuple[bytes, ...], flags: int) -> None:
        if libc.renameat2(-100, self.at(path), -100, self.at(new), flags):
            raise OSError(ctypes.get_errno(), "renameat2")

    def open(self, number: int, path: tuple[bytes, ...], cut: bool) -> None:
        if number in self.handles or not stat.S_ISREG(os.lstat(self.at(path)).st_mode):
            return
        self.handles[number] = os.open(self.at(path), os.O_RDWR | (os.O_TRUNC if cut else 0))

    def close(self, number: int) -> None:
        if number in self.handles:
            os.close(self.handles.pop(number))

    def close_all(self) -> None:
        for number in list(self.handles):
            self.close(number)

    def write(self, number: int, offset: int, data: bytes) -> int | None:
        return os.pwrite(self.handles[number], data, offset) if number in self.handles else None

    def read(self, number: int, offset: int, size: int) -> bytes | None:
        return os.pread(self.handles[number], size, offset) if number in self.handles else None

    def ftruncate(self, number: int, size: int) -> None:
        if number in self.handles:
            os.ftruncate(self.handles[number], size)

    def truncate(self, path: tuple[bytes, ...], size: int) -> None:
        os.truncate(self.at(path), size)

    def chmod(self, path: tuple[bytes, ...], mode: int) -> None:
        os.chmod(self.at(path), mode)

    def chown(self, path: tuple[bytes, ...], uid: int, gid: int) -> None:
        os.lchown(self.at(path), uid, gid)

    def utimens(self, path: tuple[bytes, ...], atime: int, mtime: int) -> None:
        os.utime(self.at(path), ns=(atime, mtime), follow_symlinks=False)

    def setxattr(self, path: tuple[bytes, ...], name: bytes, value: bytes, flags: int) -> None:
        os.setxattr(self.at(path), name, value, flags, follow_symlinks=False)

    def setacl(self, path: tuple[bytes, ...], name: bytes, value: bytes) -> None:
        self.setxattr(path, name, value, 0)

    def removeacl(self, path: tuple[bytes, ...], name: bytes) -> None:
        self.removexattr(path, name)

    def getacl(self, path: tuple[bytes, ...], name: bytes) -> bytes:
        return self.getxattr(path, name)

    def removexattr(self, path: tuple[bytes, ...], name: bytes) -> None:
        os.removexattr(self.at(path), name, follow_symlinks=False)

    def getxattr(self, path: tuple[bytes, ...], name: bytes) -> bytes:
        return os.getxattr(self.at(path), name, follow_symlinks=False)


class OurSide(Side):
    """The filesystem's core, by inode, as the kernel would call it."""

    def __init__(self, disk: Disk) -> None:
        self.disk = disk
        self.handles: dict[int, int] = {}
        self.portions: Callable[[bytes], Sequence[Portion]] = lambda data: [plain(data)]
        self.evicted: dict[int, bytes] = {}  # content of stripes that are not here any more, for who must not wait

    def compress(self, level: int) -> None:
        """Compress what is written from now on."""
        self.portions = partial(compress, unit=self.disk.stage.unit, level=level)

    def resolve(self, path: tuple[bytes, ...]) -> Node:
        node = self.disk.tree.node(ROOT_INO)
        for name in path:
            if stat.S_ISLNK(node.mode):
                raise PosixError(errno.ENOENT)
            node = self.disk.tree.lookup(node.ino, name)
        return node

    def parent(self, path: tuple[bytes, ...]) -> int:
        node = self.resolve(path[:-1])
        if stat.S_ISLNK(node.mode):
            raise PosixError(errno.ENOENT)
        return self.disk.tree.directory(node.ino).ino

    def follow(self, path: tuple[bytes, ...]) -> Node:
        node = self.resolve(path)
        if stat.S_ISLNK(node.mode):
            raise PosixError(errno.ENOENT)
        return node

    def _new(self, path: tuple[bytes, ...], mode: int, **more: Any) -> None:
        self.disk.tree.create(self.parent(path), path[-1], mode, os.geteuid(), os.getegid(), **more)

    def create(self, path: tuple[bytes, ...], mode: int, umask: int = 0) -> None:
        self._new(path, stat.S_IFREG | mode, umask=umask)

    def mkdir(self, path: tuple[bytes, ...], mode: int, umask: int = 0) -> None:
        self._new(path, stat.S_IFDIR | mode & 0o777, umask=umask)
        if mode & 0o7000:
            self.chmod(path, mode)

    def mknod(self, path: tuple[bytes, ...], kind: int, umask: int = 0) -> None:
        self._new(path, kind | 0o664, umask=umask, rdev=os.makedev(1, 3))

    def symlink(self, path: tuple[bytes, ...], target: bytes) -> None:
        self._new(path, stat.S_IFLNK | 0o777, target=target)

    def link(self, path: tuple[bytes, ...], new: tuple[bytes, ...]) -> None:
        node = self.resolve(path)
        self.disk.tree.link(node.ino, self.parent(new), new[-1])

    def unlink(self, path: tuple[bytes, ...]) -> None:
        self.disk.tree.unlink(self.parent(path), path[-1])

    def rmdir(self, path: tuple[bytes, ...]) -> None:
        self.disk.tree.rmdir(self.parent(path), path[-1])

    def rename(self, path: tuple[bytes, ...], new: tuple[bytes, ...], flags: int) -> None:
        if flags == 3:
            raise PosixError(errno.EINVAL)  # the kernel looks at the flags before it looks at the paths
        old_parent, new_parent = self.parent(path), self.parent(new)
        self.disk.renaming.rename(old_parent, path[-1], new_parent, new[-1], flags)

    def open(self, number: int, path: tuple[bytes, ...], cut: bool) -> None:
        if number in self.handles or not stat.S_ISREG((node := self.resolve(path)).mode):
            return
        self.handles[number] = self.disk.open(node, os.O_RDWR | (os.O_TRUNC if cut else 0), ME)

    def close(self, number: int) -> None:
        if number in self.handles:
            self.disk.release(self.handles.pop(number))

    def close_all(self) -> None:
        for number in list(self.handles):
            self.close(number)

    def write(self, number: int, offset: int, data: bytes) -> int | None:
        if number not in self.handles:
            return None
        return self.disk.files.write(self.disk.handles.get(self.handles[number]), offset, self.portions(data))

    def read(self, number: int, offset: int, size: int) -> bytes | None:
        if number not in self.handles:
            return None
        return self.content(self.disk.handles.get(self.handles[number]).ino, offset, size)

    def content(self, ino: int, offset: int, size: int) -> bytes:
        whole, missing = self.disk.files.read(ino, offset, size)
        for part in missing:
            if self.disk.stage.wait_into(part.stripe, part.at, part.room.view()) is Local.ABSENT:
                part.room.view()[:] = self.evicted[part.stripe][part.at : part.at + part.room.length]
            assert part.finish()
        return bytes(whole.view())

    def ftruncate(self, number: int, size: int) -> None:
        if number in self.handles:
            now, _ = self.disk.metadata.times()
            ino = self.disk.handles.get(self.handles[number]).ino
            self.disk.files.set_attributes(ino, Changes(size=size, mtime=now), ME)

    def truncate(self, path: tuple[bytes, ...], size: int) -> None:
        self.disk.files.set_attributes(self.follow(path).ino, Changes(size=size), ME)

    def chmod(self, path: tuple[bytes, ...], mode: int) -> None:
        self.disk.files.set_attributes(self.follow(path).ino, Changes(mode=mode), ME)

    def chown(self, path: tuple[bytes, ...], uid: int, gid: int) -> None:
        self.disk.files.set_attributes(self.resolve(path).ino, Changes(uid=uid, gid=gid), ME)

    def utimens(self, path: tuple[bytes, ...], atime: int, mtime: int) -> None:
        self.disk.files.set_attributes(self.resolve(path).ino, Changes(atime=atime, mtime=mtime), ME)

    def setxattr(self, path: tuple[bytes, ...], name: bytes, value: bytes, flags: int) -> None:
        self.disk.attributes.set(self.resolve(path).ino, name, value, flags, ME)

    def setacl(self, path: tuple[bytes, ...], name: bytes, value: bytes) -> None:
        self.setxattr(path, name, value, 0)

    def removeacl(self, path: tuple[bytes, ...], name: bytes) -> None:
        self.removexattr(path, name)

    def getacl(self, path: tuple[bytes, ...], name: bytes) -> bytes:
        return self.getxattr(path, name)

    def removexattr(self, path: tuple[bytes, ...], name: bytes) -> None:
        self.disk.attributes.remove(self.resolve(path).ino, name)

    def getxattr(self, path: tuple[bytes, ...], name: bytes) -> bytes:
        return self.disk.attributes.get(self.resolve(path).ino, name)
