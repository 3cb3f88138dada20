"""`coopfs restore copy`: the tree of a restored disk, written into an ordinary directory."""

import os
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from coopfs.core.units import PLAIN, Run
from coopfs.errors import ContentUnavailable, NotAuthentic, UsageError
from coopfs.fs.disk import Disk
from coopfs.limits import LISTING_PAGE, MIB, ROOT_INO
from coopfs.local.nodes import Node

CHUNK = 4 * MIB  # bytes read and written at once


class CopyOut:
    """Writes files with holes, links, devices and sockets, modes, xattrs, times; owners if this is root."""

    def __init__(self, disk: Disk, target: Path, watch: Callable[[str, int, int], None]) -> None:
        self._disk = disk
        self._metadata = disk.metadata
        self._target = target
        self._watch = watch
        self._linked: dict[int, Path] = {}  # inode with several names -> the first one written
        self._done = 0
        self._total = disk.metadata.nodes.count()

    async def run(self) -> None:
        """ContentUnavailable: too few partners for some file. UsageError: the target cannot take it."""
        try:
            await self._fill(ROOT_INO, self._target)
        except OSError as failed:
            raise UsageError(f"{failed.filename or self._target} cannot be written: {failed.strerror}") from None

    async def _fill(self, ino: int, path: Path) -> None:
        after = 0
        while page := self._metadata.names.page(ino, after, LISTING_PAGE):
            for after, name, child in page:  # noqa: B007 (the last cookie is where the next page begins)
                await self._write(self._metadata.nodes.get(child), path / os.fsdecode(name))
        self._attribute(self._metadata.nodes.get(ino), path)  # last: writing into it changed its times

    async def _write(self, node: Node, path: Path) -> None:
        self._done += 1
        self._watch("write files", self._done, self._total)
        if node.ino in self._linked:
            os.link(self._linked[node.ino], path, follow_symlinks=False)
            return
        if stat.S_ISDIR(node.mode):
            path.mkdir(mode=0o700)
            await self._fill(node.ino, path)
            return
        if stat.S_ISREG(node.mode):
            await self._write_file(node, path)
        elif stat.S_ISLNK(node.mode):
            os.symlink(os.fsdecode(node.target or b""), path)
        else:
            os.mknod(path, node.mode, node.rdev)
        if node.nlink > 1:
            self._linked[node.ino] = path
        self._attribute(node, path)

    async def _write_file(self, node: Node, path: Path) -> None:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            os.ftruncate(descriptor, node.size)
            for run in self._metadata.extents.runs(node.ino, 0, node.size):
                for start in range(run.offset, run.end, CHUNK):
                    content = await self._read(run.part(start, min(start + CHUNK, run.end)))
                    assert os.pwrite(descriptor, content, start) == len(content)
        finally:
            os.close(descriptor)

    async def _read(self, run: Run) -> bytes:
        stored = await self._disk.content.read(run.stripe, run.at, run.stored)
        try:
            return stored if run.codec == PLAIN else run.decode(stored)
        except NotAuthentic as bad:
            raise ContentUnavailable(str(bad)) from None

    def _attribute(self, node: Node, path: Path) -> None:
        for name in self._metadata.xattrs.names(node.ino):
            value = self._metadata.xattrs.get(node.ino, name)
            with suppress(PermissionError):  # trusted. and security. are root's
                os.setxattr(path, name, value or b"", follow_symlinks=False)
        if os.geteuid() == 0:
            os.chown(path, node.uid, node.gid, follow_symlinks=False)
        if not stat.S_ISLNK(node.mode):
            os.chmod(path, stat.S_IMODE(node.mode))
        os.utime(path, ns=(node.atime, node.mtime), follow_symlinks=False)
