"""A filesystem that passes everything on to a directory, and knows what a power loss would leave of it.

    python -m campaignlib.layer BACKING MOUNTPOINT

It says "mounted", and serves until it is unmounted; then it reads one line. A number is the seed of a power loss, after
which the directory BACKING is what a machine would find that is switched on again; an empty one, or none, leaves all as
it was. unsynced.py has the rules. What is needed to undo changes lies in memory, and in BACKING.aside.

Attributes other than the size are safe at once. There are no extended attributes and no symbolic links: a home of
coopfs needs none. Locks and shared mappings are the kernel's affair; what was written to a mapping alone counts as
written when the kernel writes it back. Room that is asked for in advance is what glibc makes of it where a filesystem
cannot give it: zeros that are written.
"""

import errno
import functools
import os
import resource
import stat
import sys
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from random import Random
from typing import Any, Concatenate, ParamSpec, TypeVar

import pyfuse3
import trio
from pyfuse3 import EntryAttributes, FileInfo, FUSEError, RequestContext

from campaignlib.inodes import Inode, Inodes

P = ParamSpec("P")
R = TypeVar("R")
FIGURES = ("f_bsize", "f_frsize", "f_blocks", "f_bfree", "f_bavail", "f_files", "f_ffree", "f_favail", "f_namemax")


def passing(
    handler: Callable[Concatenate["Layer", P], Coroutine[Any, Any, R]],
) -> Callable[Concatenate["Layer", P], Coroutine[Any, Any, R]]:
    """What the directory below refuses, this refuses."""

    @functools.wraps(handler)
    async def answer(self: "Layer", /, *args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return await handler(self, *args, **kwargs)
        except OSError as error:
            raise FUSEError(error.errno or errno.EIO) from None

    return answer


class Layer(pyfuse3.Operations):
    """The requests of the kernel."""

    supports_dot_lookup = False
    enable_writeback_cache = False  # it reorders writes

    def __init__(self, inodes: Inodes) -> None:
        super().__init__()
        self._inodes = inodes
        self._listings: dict[int, tuple[Inode, list[bytes]]] = {}
        self._opened = 0

    # --- names ----------------------------------------------------------------------------------------------------

    @passing
    async def lookup(self, parent_inode: int, name: bytes, ctx: RequestContext) -> EntryAttributes:
        return self._inodes.found(self._inodes[parent_inode], name)

    @passing
    async def mknod(self, parent_inode: int, name: bytes, mode: int, rdev: int, ctx: RequestContext) -> EntryAttributes:
        parent = self._inodes[parent_inode]
        os.mknod(name, mode & ~ctx.umask, rdev, dir_fd=parent.descriptor)
        return self._inodes.added(parent, name)

    @passing
    async def mkdir(self, parent_inode: int, name: bytes, mode: int, ctx: RequestContext) -> EntryAttributes:
        parent = self._inodes[parent_inode]
        os.mkdir(name, mode & ~ctx.umask, dir_fd=parent.descriptor)
        return self._inodes.added(parent, name)

    @passing
    async def link(self, inode: int, new_parent_inode: int, new_name: bytes, ctx: RequestContext) -> EntryAttributes:
        parent = self._inodes[new_parent_inode]
        os.link(self._inodes[inode].path, new_name, dst_dir_fd=parent.descriptor, follow_symlinks=True)
        return self._inodes.added(parent, new_name)

    @passing
    async def unlink(self, parent_inode: int, name: bytes, ctx: RequestContext) -> None:
        self._inodes.remove(self._inodes[parent_inode], name)

    @passing
    async def rmdir(self, parent_inode: int, name: bytes, ctx: RequestContext) -> None:
        self._inodes.remove(self._inodes[parent_inode], name)

    @passing
    async def rename(
        self,
        parent_inode_old: int,
        name_old: bytes,
        parent_inode_new: int,
        name_new: bytes,
        flags: int,
        ctx: RequestContext,
    ) -> None:
        if flags:
            raise FUSEError(errno.EINVAL)
        self._inodes.move(self._inodes[parent_inode_old], name_old, self._inodes[parent_inode_new], name_new)

    async def forget(self, inode_list: Sequence[tuple[int, int]]) -> None:
        for inode, lookups in inode_list:
            self._inodes.forget(inode, lookups)

    # --- attributes -----------------------------------------------------------------------------------------------

    @passing
    async def getattr(self, inode: int, ctx: RequestContext) -> EntryAttributes:
        return self._inodes.attributes(os.fstat(self._inodes[inode].descriptor))

    @passing
    async def setattr(
        self,
        inode: int,
        attr: EntryAttributes,
        fields: pyfuse3.SetattrFields,
        fh: int | None,
        ctx: RequestContext,
    ) -> EntryAttributes:
        file = self._inodes[inode]
        if fields.update_size:
            file.cut(attr.st_size)
        if fields.update_mode:
            os.chmod(file.path, stat.S_IMODE(attr.st_mode))
        if fields.update_uid or fields.update_gid:
            os.chown(file.path, attr.st_uid if fields.update_uid else -1, attr.st_gid if fields.update_gid else -1)
        if fields.update_atime or fields.update_mtime:
            was = os.fstat(file.descriptor)
            atime = attr.st_atime_ns if fields.update_atime else was.st_atime_ns
            os.utime(file.path, ns=(atime, attr.st_mtime_ns if fields.update_mtime else was.st_mtime_ns))
        return self._inodes.attributes(os.fstat(file.descriptor))

    @passing
    async def statfs(self, ctx: RequestContext) -> pyfuse3.StatvfsData:
        data, below = pyfuse3.StatvfsData(), os.fstatvfs(self._inodes[pyfuse3.ROOT_INODE].descriptor)
        for field in FIGURES:
            setattr(data, field, getattr(below, field))
        return data

    # --- files ----------------------------------------------------------------------------------------------------

    @passing
    async def create(
        self, parent_inode: int, name: bytes, mode: int, flags: int, ctx: RequestContext
    ) -> tuple[FileInfo, EntryAttributes]:
        parent = self._inodes[parent_inode]
        os.mknod(name, stat.S_IFREG | (stat.S_IMODE(mode) & ~ctx.umask), dir_fd=parent.descriptor)
        attributes = self._inodes.added(parent, name)
        return FileInfo(fh=attributes.st_ino, keep_cache=True), attributes

    @passing
    async def open(self, inode: int, flags: int, ctx: RequestContext) -> FileInfo:
        if flags & os.O_TRUNC:
            self._inodes[inode].cut(0)
        return FileInfo(fh=inode, keep_cache=True)

    @passing
    async def read(self, fh: int, off: int, size: int) -> bytes:
        return os.pread(self._inodes[fh].descriptor, size, off)

    @passing
    async def write(self, fh: int, off: int, buf: bytes) -> int:
        return self._inodes[fh].write(off, buf)

    async def flush(self, fh: int) -> None:
        """close(2) makes nothing safe. The kernel need not ask again."""
        raise FUSEError(errno.ENOSYS)

    async def fsync(self, fh: int, datasync: bool) -> None:
        self._inodes[fh].settle()

    async def release(self, fh: int) -> None:
        """An open file is its inode."""

    # --- directories ----------------------------------------------------------------------------------------------

    @passing
    async def opendir(self, inode: int, ctx: RequestContext) -> int:
        directory = self._inodes[inode]
        self._opened += 1
        self._listings[self._opened] = (directory, directory.listing())
        return self._opened

    @passing
    async def readdir(self, fh: int, start_id: int, token: pyfuse3.ReaddirToken) -> None:
        """What was there when it was opened, and still is."""
        directory, names = self._listings[fh]
        for position, name in enumerate(names[start_id:], start_id + 1):
            if directory.holds(name):
                attributes = self._inodes.found(directory, name)
                if not pyfuse3.readdir_reply(token, name, attributes, position):
                    self._inodes.forget(attributes.st_ino, 1)
                    return

    async def fsyncdir(self, fh: int, datasync: bool) -> None:
        self._inodes.settle(self._listings[fh][0])

    async def releasedir(self, fh: int) -> None:
        del self._listings[fh]


def main() -> None:
    """Entry point."""
    backing, mountpoint = map(Path, sys.argv[1:])
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    os.umask(0)
    inodes = Inodes(backing, backing.with_name(f"{backing.name}.aside"))
    pyfuse3.init(Layer(inodes), str(mountpoint), {"fsname=platter", "default_permissions", "allow_other"})
    print("mounted", flush=True)
    trio.run(pyfuse3.main, 1, 2)
    pyfuse3.close()
    seed = sys.stdin.readline().strip()
    inodes.end(Random(int(seed)) if seed else None)


if __name__ == "__main__":
    main()
