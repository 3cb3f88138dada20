"""Waiting until what was written is safe with partners, for `coopfs sync`."""

from pathlib import Path

import trio

from coopfs.app.disk.own_disk import OwnDisk, Watch
from coopfs.errors import StateError
from coopfs.limits import PROGRESS_INTERVAL


async def sync(own: OwnDisk, path: Path | None, complete: bool, watch: Watch) -> None:
    """Wait until what was written so far, or what is at `path` and below, is held, or complete.

    UsageError: the path is not in the mount. StateError: nothing is sent any more.
    """
    if own.trouble is not None:
        raise StateError(own.trouble)
    metadata = own.local.metadata
    group = metadata.group if path is None else metadata.newest_group(own.inode_at(path))
    if group >= metadata.group:
        group = await own.committer.close_group() or 0
    progress = own.ledger.progress
    word = "complete" if complete else "held"
    first = None

    def is_there() -> bool:
        return (progress.complete() if complete else progress.barrier) >= group

    while not is_there():
        if own.trouble is not None:
            raise StateError(own.trouble)
        left = own.log.unsealed() + progress.pending
        first = max(first or left, left)
        watch(
            f"wait until {word} ({own.columns.reached} of {len(own.columns.columns)} partners up)",
            first - left,
            first,
        )
        with trio.move_on_after(PROGRESS_INTERVAL):  # acks come by the hundred: what is left is not counted at each
            await own.ledger.changed.wait_until(lambda: is_there() or own.trouble is not None)
