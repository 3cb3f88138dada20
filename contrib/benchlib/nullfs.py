"""A filesystem that does nothing: the ceiling of every Python filesystem on this machine.

    python nullfs.py MOUNTPOINT

The same binding, options, timeouts and answers as coopfs has, negative ones included, but names and attributes are kept
in dictionaries, written bytes are counted and forgotten, and reads give zeros. It says "ready" when it is mounted and
ends when it is unmounted.
"""

import errno
import os
import stat
import sys
import time
from collections.abc import Sequence

import pyfuse3
import trio
from pyfuse3 import EntryAttributes, FileInfo, FUSEError, RequestContext

from coopfs.fs.mounting import mount_options
from coopfs.limits import CACHE_SECONDS, FILESYSTEM_BLOCK, FUSE_TASKS, NAME_MAX, ROOT_INO

ZEROS = bytes(1 << 20)


class Nothing(pyfuse3.Operations):
    """Handlers that answer at once."""

    supports_dot_lookup = False
    enable_writeback_cache = False
    enable_acl = True

    def __init__(self) -> None:
        super().__init__()
        self._entries: dict[int, EntryAttributes] = {}
        self._names: dict[int, dict[bytes, int]] = {}
        self._add(stat.S_IFDIR | 0o755, 0, 0)
        self._absent = EntryAttributes()
        self._absent.st_ino = 0
        self._absent.entry_timeout = CACHE_SECONDS

    def _add(self, mode: int, uid: int, gid: int) -> EntryAttributes:
        entry = EntryAttributes()
        entry.st_ino = len(self._entries) + ROOT_INO
        entry.st_mode, entry.st_nlink = mode, 2 if stat.S_ISDIR(mode) else 1
        entry.st_uid, entry.st_gid = uid, gid
        entry.st_blksize = FILESYSTEM_BLOCK
        entry.st_atime_ns = entry.st_mtime_ns = entry.st_ctime_ns = time.time_ns()
        entry.entry_timeout = entry.attr_timeout = CACHE_SECONDS
        self._entries[entry.st_ino] = entry
        if stat.S_ISDIR(mode):
            self._names[entry.st_ino] = {}
        return entry

    def _name(self, parent: int, name: bytes, mode: int, ctx: RequestContext) -> EntryAttributes:
        entry = self._add(mode, ctx.uid, ctx.gid)
        self._names[parent][name] = entry.st_ino
        return entry

    async def lookup(self, parent_inode: int, name: bytes, ctx: RequestContext) -> EntryAttributes:
        ino = self._names[parent_inode].get(name)
        return self._absent if ino is None else self._entries[ino]

    async def forget(self, inode_list: Sequence[tuple[int, int]]) -> None:
        """Nothing is counted."""

    async def getattr(self, inode: int, ctx: RequestContext) -> EntryAttributes:
        return self._entries[inode]

    async def setattr(
        self, inode: int, attr: EntryAttributes, fields: pyfuse3.SetattrFields, fh: int | None, ctx: RequestContext
    ) -> EntryAttributes:
        entry = self._entries[inode]
        if fields.update_mtime:
            entry.st_mtime_ns = attr.st_mtime_ns
        return entry

    async def getxattr(self, inode: int, name: bytes, ctx: RequestContext) -> bytes:
        raise FUSEError(errno.ENODATA)

    async def mkdir(self, parent_inode: int, name: bytes, mode: int, ctx: RequestContext) -> EntryAttributes:
        return self._name(parent_inode, name, stat.S_IFDIR | stat.S_IMODE(mode), ctx)

    async def create(
        self, parent_inode: int, name: bytes, mode: int, flags: int, ctx: RequestContext
    ) -> tuple[FileInfo, EntryAttributes]:
        entry = self._name(parent_inode, name, stat.S_IFREG | stat.S_IMODE(mode), ctx)
        return FileInfo(fh=entry.st_ino), entry

    async def open(self, inode: int, flags: int, ctx: RequestContext) -> FileInfo:
        return FileInfo(fh=inode)

    async def write(self, fh: int, off: int, buf: bytes) -> int:
        entry = self._entries[fh]
        entry.st_size = max(entry.st_size, off + len(buf))
        return len(buf)

    async def read(self, fh: int, off: int, size: int) -> bytes:
        return ZEROS[: max(0, min(size, self._entries[fh].st_size - off))]

    async def flush(self, fh: int) -> None:
        raise FUSEError(errno.ENOSYS)

    async def fsync(self, fh: int, datasync: bool) -> None:
        """Nothing to keep."""

    async def release(self, fh: int) -> None:
        """Nothing is open."""

    async def opendir(self, inode: int, ctx: RequestContext) -> int:
        return inode

    async def readdir(self, fh: int, start_id: int, token: pyfuse3.ReaddirToken) -> None:
        listing = [(b".", fh), (b"..", fh), *self._names[fh].items()]
        for position in range(start_id, len(listing)):
            name, ino = listing[position]
            if not pyfuse3.readdir_reply(token, name, self._entries[ino], position + 1):
                return

    async def releasedir(self, fh: int) -> None:
        """Nothing is open."""

    async def statfs(self, ctx: RequestContext) -> pyfuse3.StatvfsData:
        data = pyfuse3.StatvfsData()
        data.f_bsize = data.f_frsize = FILESYSTEM_BLOCK
        data.f_blocks = data.f_bfree = data.f_bavail = 1 << 30
        data.f_files = data.f_ffree = data.f_favail = 1 << 30
        data.f_namemax = NAME_MAX
        return data


async def serve(mountpoint: str) -> None:
    pyfuse3.init(Nothing(), mountpoint, mount_options(()))
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lambda: pyfuse3.main(min_tasks=1, max_tasks=FUSE_TASKS))
            await trio.to_thread.run_sync(os.statvfs, mountpoint, abandon_on_cancel=True)
            print("ready", flush=True)
    finally:
        pyfuse3.close(unmount=True)


if __name__ == "__main__":
    trio.run(serve, sys.argv[1])
