"""Stripes that cannot be repaired now: set aside together for a while, which doubles each time that is over."""

from math import inf

from coopfs.core.ids import Ids
from coopfs.limits import CLEANER_AGAIN, MEND_REST_MAX


class Aside:
    """Times are seconds of a steady clock."""

    def __init__(self) -> None:
        self.ids = Ids()
        self.until = inf  # when they are tried again
        self._rest = CLEANER_AGAIN
        self._taken_up = -inf  # when it was time for the last ones

    def put(self, id_: int, now: float) -> None:
        """Nothing is done for it for a while."""
        if not self.ids:
            if now - self._taken_up > self._rest:  # those could be had, and this is another trouble
                self._rest = CLEANER_AGAIN
            self.until = now + self._rest
        self.ids.add(id_)

    def look(self, now: float) -> None:
        """Take them up again if it is time. What cannot be had then either rests longer."""
        if now >= self.until:
            self._take_up()
            self._taken_up, self._rest = now, min(2 * self._rest, MEND_REST_MAX)

    def hope(self) -> None:
        """Something has happened that may bring any of them: take them up, and begin with a short rest."""
        self._take_up()
        self._rest = CLEANER_AGAIN

    def _take_up(self) -> None:
        self.ids, self.until = Ids(), inf
