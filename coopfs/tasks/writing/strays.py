"""Strays of the stage: content that no commit named when the daemon started (local/stocktaking).

They are of use only if the database is an old one. That is told by whoever has taken what it does not know (R12): where
a group that was sealed since the start lies on all columns, every partner was compared, and none has. Then they go.
"""

import logging

import trio

from coopfs.local.stage import Stage
from coopfs.tasks.writing.ledger import Ledger

logger = logging.getLogger(__name__)


async def remove_strays(stage: Stage, ledger: Ledger) -> None:
    """Wait until nobody can need them, and remove them."""
    progress = ledger.progress
    first = progress.sealed + 1
    await ledger.changed.wait_until(lambda: progress.complete() >= first)
    try:
        while stage.remove_stray() is not None:
            await trio.lowlevel.checkpoint()
    except OSError as failed:  # the next start meets them again
        logger.warning("a stage file that is not needed any more stays: %s", failed)
