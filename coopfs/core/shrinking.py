"""Which files are worth compressing: those that did not shrink are tried ever less often.

Photos, archives and what restic or borg write do not shrink. What was tried in vain costs a hop to a thread and, at
high levels, ten times more; so after each failure twice as much of a file goes by untried. One success ends that, for
a file may begin with what does not shrink.
"""

from collections import OrderedDict

from coopfs.limits import STUBBORN_FILES, UNTRIED_MAX


class Shrinking:
    """What is known of files that did not shrink. The least recently written are forgotten, and tried again."""

    def __init__(self) -> None:
        self._left: OrderedDict[int, tuple[int, int]] = OrderedDict()  # inode -> failures, bytes that go by untried

    def is_worth_trying(self, ino: int, length: int) -> bool:
        """Whether so many bytes, which are written now, should be tried."""
        known = self._left.get(ino)
        if known is None or known[1] <= 0:
            return True
        self._left[ino] = (known[0], known[1] - length)
        self._left.move_to_end(ino)
        return False

    def shrank(self, ino: int) -> None:
        """It was tried, and won."""
        self._left.pop(ino, None)

    def did_not_shrink(self, ino: int, length: int) -> None:
        """So many bytes of it were tried in vain."""
        failures, _ = self._left.get(ino, (0, 0))
        self._left[ino] = (failures + 1, min(length << min(failures, 30), UNTRIED_MAX))
        self._left.move_to_end(ino)
        if len(self._left) > STUBBORN_FILES:
            self._left.popitem(last=False)
