"""How long repair will take, from how fast it has gone (design R7).

Columns are repaired side by side, each at the rate of its own link, so the slowest one says when it is done. Only what
was done lately counts: limits follow the hours of the week, and links have their days.
"""

from collections import deque
from collections.abc import Iterable

from coopfs.limits import RATE_NOTES, RATE_WINDOW


class Rate:
    """Blocks and when they were done, seconds of a steady clock; the newest RATE_NOTES of the last RATE_WINDOW."""

    def __init__(self) -> None:
        self._notes: deque[tuple[float, int]] = deque(maxlen=RATE_NOTES)

    def note(self, now: float, blocks: int) -> None:
        """So many more are done."""
        self._notes.append((now, blocks))

    def rest(self) -> None:
        """There is nothing to do: the time until there is must not count."""
        self._notes.clear()

    def per_second(self, now: float) -> float:
        """0: nothing is known. What the first note tells was done before the time that counts."""
        while self._notes and self._notes[0][0] < now - RATE_WINDOW:
            self._notes.popleft()
        if not self._notes or now <= self._notes[0][0]:
            return 0.0
        done = sum(blocks for _, blocks in self._notes) - self._notes[0][1]
        return done / (now - self._notes[0][0])


def seconds_left(columns: Iterable[tuple[int, float]]) -> int | None:
    """Until the last of these columns has all that it lacks. columns: blocks that are missing, blocks per second. None:
    nothing is missing, or of one of them nothing is known."""
    left = [(missing, rate) for missing, rate in columns if missing]
    if not left or not all(rate > 0 for _, rate in left):
        return None
    return round(max(missing / rate for missing, rate in left))
