"""Passes of the scrub over the blocks of one store: how far they are, and when the next block is due. Pure.

A pass takes a period; block i of n is due at i/n of it, so that traffic is even and a restart changes nothing. Who was
away, or switched off, is behind, and goes at SCRUB_HASTE times that pace until it is not.
"""

from dataclasses import dataclass, replace

from coopfs.limits import SCRUB_HASTE


@dataclass(frozen=True, slots=True)
class Pass:
    """begun, ended, at: wall seconds of its begin, its end (0: not yet) and its newest step; until: the newest stripe
    when it began, after: up to which all are done, both ids; done: how many those are. Of their blocks: how many were
    looked at, were wrong, or were not shown when asked for."""

    begun: int = 0
    ended: int = 0
    at: float = 0.0
    until: int = 0
    after: int = 0
    done: int = 0
    looked: int = 0
    wrong: int = 0
    silent: int = 0

    @property
    def is_under_way(self) -> bool:
        return self.begun > 0 and not self.ended

    @property
    def latest(self) -> float:
        """Wall seconds of the newest of what it has done."""
        return max(self.begun, self.at)

    def has_time(self, period: float, now: float) -> bool:
        """Whether what came after it began can still be looked at in it."""
        return now < self.begun + period

    def pause(self, left: int, period: float, now: float) -> float:
        """Seconds until the next of the `left` stripes that remain is due; not above 0: it is."""
        share = period / (self.done + left)
        return max(self.begun + share * self.done, self.at + share / SCRUB_HASTE) - now

    def over(self, id_: int, now: float, *, looked: int = 0, wrong: int = 0, silent: int = 0) -> "Pass":
        """After one more stripe, of which so many blocks were looked at, wrong, or not shown."""
        counts = {"looked": self.looked + looked, "wrong": self.wrong + wrong, "silent": self.silent + silent}
        return replace(self, at=now, after=id_, done=self.done + 1, **counts)


@dataclass(frozen=True, slots=True)
class Scrub:
    """The newest pass over a store, and the one before it."""

    now: Pass = Pass()
    last: Pass = Pass()

    @property
    def finished(self) -> Pass:
        """The newest pass that is finished; ended 0: none is."""
        return self.last if self.now.is_under_way else self.now

    def is_due(self, period: float, now: float) -> bool:
        """Whether the next pass is to begin."""
        return not self.now.is_under_way and not self.now.has_time(period, now)

    def begin(self, until: int, now: int) -> "Scrub":
        """A new pass."""
        return Scrub(Pass(begun=now, until=until), self.now)

    def end(self, now: int) -> "Scrub":
        """Nothing is left to look at."""
        return replace(self, now=replace(self.now, ended=now))

    def not_before(self, now: float) -> "Scrub":
        """The same, if it should have begun, or made its newest step, later than now: somebody set the clock back."""
        if self.now.latest <= now:
            return self
        return replace(self, now=replace(self.now, begun=min(self.now.begun, int(now)), at=min(self.now.at, now)))
