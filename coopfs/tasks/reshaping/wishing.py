"""Names in the master block what the owner has asked of the disk and not got yet (design R14), so that whoever takes it
over goes on with it: a disk that is to have more rows or less, content that is to be sealed again with a new key, and
stores that are still to be given back.

Nothing waits for that: a machine that burns before its partners know of a wish has lost it, and the owner asks again.
"""

from coopfs.core.master import Wishes
from coopfs.limits import MAX_RETURNS
from coopfs.tasks.reshaping.growing import Growing
from coopfs.tasks.reshaping.rekeying import Rekeying
from coopfs.tasks.reshaping.returner import Returner
from coopfs.tasks.signal import changes
from coopfs.tasks.writing.keeper import MasterKeeper


class Wishing:
    """One for the disk."""

    def __init__(self, keeper: MasterKeeper, growing: Growing, rekeying: Rekeying, returner: Returner) -> None:
        self._keeper = keeper
        self._growing = growing
        self._rekeying = rekeying
        self._returner = returner
        keeper.wishes = self._wishes

    async def run(self) -> None:
        """Keep the master block up to date for ever. StateError: the database failed."""
        happens = self._growing.asked, self._rekeying.changed, self._returner.changed, self._keeper.changed
        while True:
            with changes(*happens) as changed:
                await self._keeper.wish()
                await changed.wait()

    def _wishes(self) -> Wishes:
        owed = tuple(self._returner.owed.items())
        return Wishes(self._rekeying.wish, self._growing.wish, owed[-MAX_RETURNS:])
