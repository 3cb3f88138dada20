"""Mounting: checks with clear words, the session, and its end.

    async with trio.open_nursery() as nursery:
        mount = Mount(handlers, mountpoint, options)
        await nursery.start(mount.run)      # returns when the mount answers
        ...
        await mount.unmount()               # run ends, its task too

pyfuse3 keeps its session in module globals: one process has one mount at a time.
"""

import contextlib
import errno
import os
import select
import subprocess
from collections.abc import Iterable
from pathlib import Path

import pyfuse3
import trio

from coopfs.errors import MountError
from coopfs.fs.background import allow_background
from coopfs.fs.disk import nobody_remembers
from coopfs.fs.handlers import Handlers
from coopfs.fs.kernelcache import KernelCache
from coopfs.fs.kernelmount import KernelMount
from coopfs.fs.mounttable import device_at, mountpoints_of
from coopfs.fs.readahead import widen_read_ahead
from coopfs.limits import FUSE_TASKS

ANSWER_TIMEOUT = 30.0  # seconds for the first statvfs of a new mount
NAMELESS = "coopfs"  # what is mounted, if it has no name
OURS = frozenset({"subtype=coopfs", "default_permissions"})
KIND = "fuse.coopfs"  # in the table of mounts
DEAD = (errno.ENOTCONN, errno.ECONNABORTED)  # what a mount answers whose process is gone


def mount_options(given: Iterable[str]) -> set[str]:
    """Options for FUSE: ours, and those of the command line that FUSE knows (ro, nodev, nosuid, noexec, noatime,
    allow_other)."""
    options = set(OURS) | set(given)
    if os.geteuid() == 0:  # as any filesystem that root mounts
        options |= {"allow_other"} | {option for option in ("dev", "suid") if f"no{option}" not in options}
    return options


def check_mountpoint(mountpoint: Path) -> None:
    """Make sure that something can be mounted here; one that a dead process left behind is taken away first.

    MountError: missing, not a directory, or in use. Waits for other filesystems: for a thread.
    """
    try:
        os.statvfs(mountpoint)  # the kernel may still know the attributes of a dead mount's root
        status = os.stat(mountpoint)
    except FileNotFoundError:
        raise MountError(f"the mountpoint {mountpoint} does not exist: create it") from None
    except OSError as bad:
        if bad.errno not in DEAD:
            raise MountError(f"the mountpoint {mountpoint} cannot be used: {bad.strerror}") from None
        _umount(mountpoint, lazily=True)
        check_mountpoint(mountpoint)
        return
    if not os.path.isdir(mountpoint):
        raise MountError(f"the mountpoint {mountpoint} is not a directory")
    if os.path.ismount(mountpoint):
        raise MountError(f"something is mounted on {mountpoint} already: unmount it or choose another directory")
    if not os.access(mountpoint, os.W_OK) and status.st_uid != os.geteuid():
        raise MountError(f"the mountpoint {mountpoint} belongs to somebody else: choose a directory of your own")


def clear_dead(source: str) -> list[Path]:
    """Take away what processes that died have left mounted of this source; returns where that was. The caller knows
    that nobody serves it now. MountError: it stays. For a thread."""
    dead = [mountpoint for mountpoint in mountpoints_of(KIND, source) if _is_dead(mountpoint)]
    for mountpoint in dead:
        _umount(mountpoint, lazily=True)
    return dead


def _is_dead(mountpoint: Path) -> bool:
    try:
        os.statvfs(mountpoint)
    except OSError as bad:
        return bad.errno in DEAD
    return False


class Mount:
    """One mounted disk."""

    def __init__(
        self, handlers: Handlers, mountpoint: Path, options: Iterable[str] = (), source: str = NAMELESS
    ) -> None:
        """source: what the kernel's table of mounts says is mounted; mount(8) compares it with fstab(5)."""
        self._handlers = handlers
        self._mountpoint = mountpoint
        self._options = mount_options(options)
        self._source = source
        self._ended = trio.Event()

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Mount, report when the mount answers, serve until it is unmounted (by anybody) or this is cancelled.

        MountError: it cannot be mounted here. Operations that nobody committed are the caller's affair.
        """
        await trio.to_thread.run_sync(check_mountpoint, self._mountpoint)
        own, cache = self._mount(), KernelCache()
        device = device_at(self._mountpoint)
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(pyfuse3.main, 1, FUSE_TASKS)
                nursery.start_soon(self._until_disconnected, nursery.cancel_scope)
                nursery.start_soon(cache.run)
                await self._wait_for_answer()
                self._handlers.disk.on_change = cache.forget
                if device is not None:
                    allow_background(device)
                    widen_read_ahead(device)
                task_status.started()
        finally:
            self._handlers.disk.on_change = nobody_remembers
            ours = device_at(self._mountpoint) == device  # else it was unmounted, and something else may be there
            if own is not None and ours:
                own.unmount()
            pyfuse3.close(unmount=ours or own is not None)  # of an own mount this closes the descriptor only
            self._handlers.disk.release_all()
            self._ended.set()

    def _mount(self) -> KernelMount | None:
        """Mount by ourselves if we may, else by way of libfuse."""
        own = None
        with contextlib.suppress(OSError):
            own = KernelMount(self._source, self._mountpoint, self._options)
        try:
            options = self._options | {_named(self._source)}
            pyfuse3.init(self._handlers, str(self._mountpoint) if own is None else own.name, options)
        except RuntimeError:
            if own is not None:
                own.unmount()
            self._ended.set()
            raise MountError(
                f"{self._mountpoint} cannot be mounted: is the fuse module loaded, /dev/fuse open?"
            ) from None
        return own

    async def _until_disconnected(self, serving: trio.CancelScope) -> None:
        """End what is served when the last user is gone after an unmount: also requests that wait for partners."""
        with select.epoll() as gone:
            gone.register(_fuse_descriptor(), 0)  # nothing but the error, which comes in any case
            await trio.lowlevel.wait_readable(gone.fileno())
        serving.cancel()

    async def _wait_for_answer(self) -> None:
        with trio.move_on_after(ANSWER_TIMEOUT) as patience:
            await trio.to_thread.run_sync(os.statvfs, self._mountpoint, abandon_on_cancel=True)
        if patience.cancelled_caught:
            raise MountError(f"the mount at {self._mountpoint} did not answer within {ANSWER_TIMEOUT:.0f} s")

    async def unmount(self) -> None:
        """Unmount, and return when the session has ended. MountError: somebody uses it."""
        await trio.to_thread.run_sync(_umount, self._mountpoint, False)
        await self._ended.wait()


def _named(source: str) -> str:
    """The option of libfuse for that. pyfuse3 passes ASCII only."""
    escaped = source.replace("\\", "\\\\").replace(",", "\\,")
    return f"fsname={escaped if escaped.isascii() else NAMELESS}"


def _fuse_descriptor() -> int:
    """The session's descriptor, which pyfuse3 does not tell."""
    for descriptor in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # the one that lists them
            if os.readlink(descriptor) == "/dev/fuse":
                return int(descriptor.name)
    raise AssertionError("mounted without /dev/fuse")


def _umount(mountpoint: Path, lazily: bool) -> None:
    program = ["umount"] if os.geteuid() == 0 else ["fusermount3", "-u"]
    if lazily:
        program.append("-l" if os.geteuid() == 0 else "-z")
    done = subprocess.run([*program, str(mountpoint)], capture_output=True, text=True)
    if done.returncode:
        reason = done.stderr.strip().splitlines()
        raise MountError(f"{mountpoint} cannot be unmounted: {reason[-1] if reason else 'unknown reason'}")
