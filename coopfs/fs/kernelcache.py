"""What the kernel remembers of a mount, for CACHE_SECONDS: it forgets what did not change through the mount itself.

Telling it so may block until a request of the same directory is answered, so a thread does it. Of an inode only the
attributes and ACLs are forgotten: for pages it would wait for reads of them, which may wait for partners. They go when
the file is opened next, or its size or mtime turns out to be another one.
"""

import contextlib

import pyfuse3
import trio

from coopfs.limits import FORGET_MAX


class KernelCache:
    """Of one mount."""

    def __init__(self) -> None:
        self._send, self._receive = trio.open_memory_channel[tuple[int, bytes | None]](FORGET_MAX)

    def forget(self, ino: int, name: bytes | None) -> None:
        """Soon: an inode's attributes, and a name in it. What there is no room for expires by itself."""
        with contextlib.suppress(trio.WouldBlock):
            self._send.send_nowait((ino, name))

    async def run(self) -> None:
        """Tell the kernel for ever, while the session lasts."""
        async for ino, name in self._receive:
            await trio.to_thread.run_sync(_tell, ino, name, abandon_on_cancel=True)


def _tell(ino: int, name: bytes | None) -> None:
    with contextlib.suppress(OSError):  # it does not know it
        pyfuse3.invalidate_inode(ino, attr_only=True)
    if name is not None:
        with contextlib.suppress(OSError):
            pyfuse3.invalidate_entry(ino, name)
