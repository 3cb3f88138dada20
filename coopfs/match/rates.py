"""How often each client may ask: a bucket that refills steadily, one for each subnet and each node."""

from collections import OrderedDict
from collections.abc import Callable

from coopfs.limits import MATCH_BUCKETS, MATCH_BURST, MATCH_RATE


class Rates:
    """clock: seconds, steady. A client whose bucket was forgotten begins with a full one: only who waited longest is
    forgotten, and its bucket is full, unless more than MATCH_BUCKETS clients come within a minute."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._buckets: OrderedDict[str | bytes, tuple[float, float]] = OrderedDict()  # client -> content, at

    def take(self, client: str | bytes) -> float:
        """Seconds to wait before asking again; 0: this one passes."""
        now = self._clock()
        content, at = self._buckets.pop(client, (float(MATCH_BURST), now))
        content = min(float(MATCH_BURST), content + (now - at) * MATCH_RATE)
        passes = content >= 1.0
        self._buckets[client] = (content - passes, now)
        if len(self._buckets) > MATCH_BUCKETS:
            self._buckets.popitem(last=False)
        return 0.0 if passes else (1.0 - content) / MATCH_RATE
