"""mount(2) itself, for the one flag that libfuse and fusermount3 do not know.

The kernel takes the umask off a new file's mode before it asks us, unless the mount carries MS_POSIXACL. With it the
mode comes whole and the umask beside it, so that a default ACL can count instead, as POSIX.1e wants it. libfuse then
takes over the descriptor of /dev/fuse, by the name /dev/fd/N in place of a mountpoint.

Only root may do so. Others mount by way of fusermount3, and there the umask is applied first (mount.coopfs(8)).
"""

import ctypes
import os
import select
import stat
from collections.abc import Set
from pathlib import Path

DEVICE = "/dev/fuse"
POSIXACL = 1 << 16  # <linux/mount.h>, like those below
NOSUID, NODEV = 2, 4
FLAGS = {"ro": 1, "noexec": 8, "sync": 16, "dirsync": 128, "noatime": 1024}
DETACH = 2  # umount2(2)

_libc = ctypes.CDLL(None, use_errno=True)


class KernelMount:
    """One mount that we made. name: what pyfuse3 is to be given as mountpoint; it closes the descriptor in the end."""

    def __init__(self, source: str, mountpoint: Path, options: Set[str]) -> None:
        """OSError: EPERM if this is not root, or not allowed to mount; ENOENT: no fuse module."""
        self._mountpoint = os.fsencode(mountpoint)
        self._descriptor = os.open(DEVICE, os.O_RDWR | os.O_CLOEXEC)
        flags = POSIXACL | sum(flag for option, flag in FLAGS.items() if option in options)
        flags |= (0 if "suid" in options else NOSUID) | (0 if "dev" in options else NODEV)
        data = f"fd={self._descriptor},rootmode={stat.S_IFDIR:o},user_id={os.geteuid()},group_id={os.getegid()}"
        data += "".join(f",{option}" for option in ("default_permissions", "allow_other") if option in options)
        if _libc.mount(os.fsencode(source), self._mountpoint, b"fuse.coopfs", ctypes.c_ulong(flags), data.encode()):
            number = ctypes.get_errno()
            os.close(self._descriptor)
            raise OSError(number, os.strerror(number))

    @property
    def name(self) -> str:
        return f"/dev/fd/{self._descriptor}"

    def unmount(self) -> None:
        """Before the descriptor is closed; at once, though somebody uses it still. One that is unmounted already, so
        that there may be another one in its place, is left alone."""
        poll = select.poll()
        poll.register(self._descriptor, 0)
        if not poll.poll(0):
            _libc.umount2(self._mountpoint, DETACH)
