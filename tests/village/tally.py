"""What was seen, counted; and the course of all events in one number."""

from collections import Counter

import trio
from blake3 import blake3


class Tally:
    """counts: how often what happened."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._hash = blake3()

    @property
    def digest(self) -> str:
        return self._hash.hexdigest(8)

    def note(self, what: str) -> None:
        """Something that the same seed must bring again at the same moment; its first word is counted."""
        self.counts[what.partition(" ")[0]] += 1
        self._hash.update(f"{trio.current_time():.9f} {what}\n".encode())

    def carried(self, here: str, there: str, data: bytes) -> None:
        """Something was sent."""
        self.counts["carried bytes"] += len(data)
        self._hash.update(f"{trio.current_time():.9f} {here} {there} ".encode())
        self._hash.update(data)
