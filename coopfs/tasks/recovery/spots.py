"""Which stripes of a state are opened before it is believed (design R11)."""

import heapq

from coopfs.limits import RESTORE_SPOT, RESTORE_YOUNG
from coopfs.local.rebuild import Named


class Spots:
    """Claims are no proof. What was held when the END was sealed has blocks to spare, and the floor below it; what is
    younger may hang on one false claim, so it is opened. Of the others those with the least tags are: tags are known
    to nobody who could prepare for that. held: group."""

    def __init__(self, held: int) -> None:
        self._held = held
        self._young: list[Named] = []
        self._least: list[Named] = []  # by tag, twice as many as wanted at the most

    def add(self, stripe: Named) -> None:
        """One more that is doubtful; newest first."""
        if stripe.born > self._held and len(self._young) < RESTORE_YOUNG:
            self._young.append(stripe)
            return
        self._least.append(stripe)
        if len(self._least) == 2 * RESTORE_SPOT:
            self._least = self._first()

    def _first(self) -> list[Named]:
        return heapq.nsmallest(RESTORE_SPOT, self._least, key=lambda stripe: stripe.tag)

    def chosen(self) -> list[Named]:
        """Of all that were added."""
        return self._young + self._first()
