"""The steps of a life. Each draws from a random of its own, so that one can be left out and those that follow are what
they were."""

from collections.abc import Set
from random import Random


class Steps:
    """without: numbers of steps that are counted, and not lived. random: reseeded by every step."""

    def __init__(self, random: Random, name: str, without: Set[int]) -> None:
        self._random = random
        self._name = name
        self._without = without
        self.count = 0

    def begin(self) -> bool:
        """The next step. False: it is left out."""
        number = self.count
        self.count += 1
        self._random.seed(f"{self._name} step {number}")
        return number not in self._without
