"""What a takeover must do before anything new is written (design R13).

1. every stripe of T is repaired at its old version (by the cleaner) until T is held; until then nothing is
   overwritten, so that a second loss leaves what the first one left;
2. a first group of the new epoch is held too. It follows on T, and so makes void what the old machine wrote after T.

Where no takeover is under way both are done at once. A restart begins where it was.
"""

from coopfs.limits import ROOT_INO
from coopfs.local.disk import LocalDisk
from coopfs.tasks.writing.committer import Committer
from coopfs.tasks.writing.ledger import Ledger


class Rehold:
    """What a takeover left to do is in the log (Log.rehold)."""

    def __init__(self, local: LocalDisk, ledger: Ledger, committer: Committer) -> None:
        self._local = local
        self._ledger = ledger
        self._committer = committer
        self._group = ledger.log.rehold

    async def hold_again(self) -> None:
        """Wait until T is held."""
        await self._held(self._group)

    async def begin_epoch(self) -> None:
        """Write the first group and wait until it is held. StateError: the database failed."""
        if not self._group:
            return
        self._local.metadata.images.mark_inode(ROOT_INO)
        first = await self._committer.close_group()
        assert first is not None
        await self._held(first)
        self._ledger.log.held_again()
        await self._committer.commit()

    async def _held(self, group: int) -> None:
        await self._ledger.changed.wait_until(lambda: self._ledger.progress.barrier >= group)
