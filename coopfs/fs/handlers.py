"""The thin adapter between pyfuse3's requests and the filesystem.

atime is what it was at creation or was set to: reading changes nothing, as with the mount option noatime.
"""

import errno
import os
import stat
from collections.abc import Sequence

import pyfuse3
import trio
from pyfuse3 import EntryAttributes, FileInfo, RequestContext

from coopfs.errors import ContentUnavailable
from coopfs.fs.boundary import modifies, modifies_now, reads
from coopfs.fs.callers import Caller
from coopfs.fs.disk import Disk
from coopfs.fs.entries import Entries, absent
from coopfs.fs.files import Changes
from coopfs.fs.handles import Handle
from coopfs.fs.ports import Committer, SyncInode
from coopfs.fs.posix import PosixError
from coopfs.fs.unitreader import Missing
from coopfs.limits import FILESYSTEM_BLOCK, NAME_MAX
from coopfs.local.contents import Local

DOT, DOTDOT = 1, 2  # positions in a listing; entries follow at cookie + 2


class Handlers(pyfuse3.Operations):
    """One mounted disk."""

    supports_dot_lookup = False
    enable_writeback_cache = False  # it reorders rename and data (P1)
    enable_acl = True

    def __init__(self, disk: Disk, committer: Committer, fsync: SyncInode | None = None) -> None:
        """fsync: None: what is durable here is safe enough."""
        super().__init__()
        self.disk = disk
        self.committer = committer
        self._fsync = fsync or (lambda ino: committer.commit())
        self._entry = Entries().of
        self._absent = absent()

    # --- names ----------------------------------------------------------------------------------------------------

    @reads
    async def lookup(self, parent_inode: int, name: bytes, ctx: RequestContext) -> EntryAttributes:
        node = self.disk.tree.find(parent_inode, name)
        return self._absent if node is None else self._entry(node)

    @modifies
    async def mknod(self, parent_inode: int, name: bytes, mode: int, rdev: int, ctx: RequestContext) -> EntryAttributes:
        return self._entry(self.disk.tree.create(parent_inode, name, mode, ctx.uid, ctx.gid, ctx.umask, rdev))

    @modifies
    async def mkdir(self, parent_inode: int, name: bytes, mode: int, ctx: RequestContext) -> EntryAttributes:
        directory = stat.S_IFDIR | stat.S_IMODE(mode)
        return self._entry(self.disk.tree.create(parent_inode, name, directory, ctx.uid, ctx.gid, ctx.umask))

    @modifies
    async def symlink(self, parent_inode: int, name: bytes, target: bytes, ctx: RequestContext) -> EntryAttributes:
        mode = stat.S_IFLNK | 0o777
        return self._entry(self.disk.tree.create(parent_inode, name, mode, ctx.uid, ctx.gid, target=target))

    @modifies
    async def link(self, inode: int, new_parent_inode: int, new_name: bytes, ctx: RequestContext) -> EntryAttributes:
        return self._entry(self.disk.tree.link(inode, new_parent_inode, new_name))

    @modifies
    async def unlink(self, parent_inode: int, name: bytes, ctx: RequestContext) -> None:
        self.disk.tree.unlink(parent_inode, name)

    @modifies
    async def rmdir(self, parent_inode: int, name: bytes, ctx: RequestContext) -> None:
        self.disk.tree.rmdir(parent_inode, name)

    @modifies
    async def rename(
        self,
        parent_inode_old: int,
        name_old: bytes,
        parent_inode_new: int,
        name_new: bytes,
        flags: int,
        ctx: RequestContext,
    ) -> None:
        self.disk.renaming.rename(parent_inode_old, name_old, parent_inode_new, name_new, flags)

    @reads
    async def readlink(self, inode: int, ctx: RequestContext) -> bytes:
        target = self.disk.tree.node(inode).target
        if target is None:
            raise PosixError(errno.EINVAL)
        return target

    async def forget(self, inode_list: Sequence[tuple[int, int]]) -> None:
        """Lookups are not counted."""

    # --- attributes -----------------------------------------------------------------------------------------------

    @reads
    async def getattr(self, inode: int, ctx: RequestContext) -> EntryAttributes:
        return self._entry(self.disk.tree.node(inode))

    @modifies
    async def setattr(
        self,
        inode: int,
        attr: EntryAttributes,
        fields: pyfuse3.SetattrFields,
        fh: int | None,
        ctx: RequestContext,
    ) -> EntryAttributes:
        changes = Changes(
            mode=stat.S_IMODE(attr.st_mode) if fields.update_mode else None,
            uid=attr.st_uid if fields.update_uid else None,
            gid=attr.st_gid if fields.update_gid else None,
            size=attr.st_size if fields.update_size else None,
            atime=attr.st_atime_ns if fields.update_atime else None,
            mtime=attr.st_mtime_ns if fields.update_mtime else None,
        )
        return self._entry(self.disk.files.set_attributes(inode, changes, Caller.of(ctx)))

    @reads
    async def getxattr(self, inode: int, name: bytes, ctx: RequestContext) -> bytes:
        return self.disk.attributes.get(inode, name)

    @reads
    async def listxattr(self, inode: int, ctx: RequestContext) -> Sequence[bytes]:
        return self.disk.attributes.list(inode)

    @modifies_now
    async def setxattr(self, inode: int, name: bytes, value: bytes, ctx: RequestContext) -> None:
        """pyfuse3 has asked getxattr first when XATTR_CREATE or XATTR_REPLACE was given, without an await between."""
        self.disk.attributes.set(inode, name, value, 0, Caller.of(ctx))

    @modifies
    async def removexattr(self, inode: int, name: bytes, ctx: RequestContext) -> None:
        self.disk.attributes.remove(inode, name)

    @reads
    async def statfs(self, ctx: RequestContext) -> pyfuse3.StatvfsData:
        total, free = self.disk.space.figures()
        data = pyfuse3.StatvfsData()
        data.f_bsize = data.f_frsize = FILESYSTEM_BLOCK
        data.f_blocks = total // FILESYSTEM_BLOCK
        data.f_bfree = data.f_bavail = free // FILESYSTEM_BLOCK
        data.f_files = total // FILESYSTEM_BLOCK
        data.f_ffree = data.f_favail = free // FILESYSTEM_BLOCK
        data.f_namemax = NAME_MAX
        return data

    # --- files ----------------------------------------------------------------------------------------------------

    @modifies
    async def create(
        self, parent_inode: int, name: bytes, mode: int, flags: int, ctx: RequestContext
    ) -> tuple[FileInfo, EntryAttributes]:
        regular = stat.S_IFREG | stat.S_IMODE(mode)
        node = self.disk.tree.create(parent_inode, name, regular, ctx.uid, ctx.gid, ctx.umask)
        self.disk.attributes.note_incapable(node.ino)
        handle = self.disk.open(node, flags & ~os.O_TRUNC, Caller.of(ctx))
        self.committer.hurry()
        return FileInfo(fh=handle), self._entry(node)

    @modifies
    async def open(self, inode: int, flags: int, ctx: RequestContext) -> FileInfo:
        node = self.disk.tree.node(inode)
        return FileInfo(fh=self.disk.open(node, flags, Caller.of(ctx)))

    @reads
    async def read(self, fh: int, off: int, size: int) -> bytes:
        ino = self.disk.handles.get(fh).ino
        whole, missing = self.disk.files.read(ino, off, size)
        while missing:
            try:
                await self._fill(missing)
                break
            except ContentUnavailable:  # unless it has moved meanwhile to a stripe that can be had
                places = [(part.stripe, part.at) for part in missing]
                whole, missing = self.disk.files.read(ino, off, size)
                if [(part.stripe, part.at) for part in missing] == places:
                    raise
        return whole.view()  # type: ignore[return-value]  # pyfuse3 takes any buffer; a copy to bytes would cost

    async def _fill(self, missing: list[Missing]) -> None:
        for part in missing:
            if part.here:
                view = part.room.view()
                found = await trio.to_thread.run_sync(self.disk.stage.wait_into, part.stripe, part.at, view)
                if found is Local.READ and part.finish():
                    continue
            content = await self.disk.content.read(part.stripe, part.at, part.room.length)
            part.room.view()[:] = content
            if not part.finish():
                raise ContentUnavailable(f"stripe {part.stripe} holds content that cannot be decoded")

    @modifies
    async def write(self, fh: int, off: int, buf: bytes) -> int:
        handle = self.disk.handles.get(fh)
        content = await self.disk.compressor.portions(handle.ino, buf)
        while not self.disk.files.make_way(handle.ino, off + len(buf)):
            await trio.lowlevel.checkpoint()
        if not self.committer.may_append(len(buf)):
            await self.committer.until_may_append(len(buf))
        written = self.disk.files.write(handle, off, content)
        self.committer.hurry()
        return written

    async def flush(self, fh: int) -> None:
        """close(2) promises nothing; fsync does. The kernel need not ask again: that is a fifth of its requests for
        each small file that is written."""
        raise pyfuse3.FUSEError(errno.ENOSYS)

    @reads
    async def fsync(self, fh: int, datasync: bool) -> None:
        await self._fsync(self.disk.handles.get(fh).ino)

    @modifies
    async def release(self, fh: int) -> None:
        self.disk.release(fh)

    # --- directories ----------------------------------------------------------------------------------------------

    @reads
    async def opendir(self, inode: int, ctx: RequestContext) -> int:
        node = self.disk.tree.directory(inode)
        return self.disk.handles.open(Handle(node.ino, os.O_RDONLY, Caller.of(ctx)))

    @reads
    async def readdir(self, fh: int, start_id: int, token: pyfuse3.ReaddirToken) -> None:
        directory = self.disk.tree.directory(self.disk.handles.get(fh).ino)
        if directory.nlink == 0:
            return
        above = directory if directory.parent is None else self.disk.tree.node(directory.parent)
        for position, name, node in ((DOT, b".", directory), (DOTDOT, b"..", above)):
            if start_id < position and not pyfuse3.readdir_reply(token, name, self._entry(node), position):
                return
        entry, node_of = self._entry, self.disk.metadata.nodes.get
        for cookie, name, ino in self.disk.metadata.names.listing(directory.ino, max(start_id - DOTDOT, 0)):
            if not pyfuse3.readdir_reply(token, name, entry(node_of(ino)), cookie + DOTDOT):
                return  # a reply holds about 25

    @reads
    async def fsyncdir(self, fh: int, datasync: bool) -> None:
        await self._fsync(self.disk.handles.get(fh).ino)

    @modifies
    async def releasedir(self, fh: int) -> None:
        self.disk.release(fh)
