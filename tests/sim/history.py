"""What was done to the disk, and what was promised about it."""

from dataclasses import dataclass, field

from tests.sim.picture import STORED, Facts, Picture, difference
from tests.sim.trace import Violation
from tests.sim.world import Seat, Stripe


@dataclass(slots=True)
class History:
    """moments: (open group, tree) after each change; durable: index of the newest moment that a sync has returned for;
    held: group -> A when it became held; named: group -> the stripes that the state at its end needs."""

    moments: list[tuple[int, Picture]] = field(default_factory=list)
    durable: int = 0
    held: dict[int, frozenset[Seat]] = field(default_factory=dict)
    named: dict[int, list[Stripe]] = field(default_factory=dict)

    def add(self, group: int, picture: Picture) -> None:
        self.moments.append((group, picture))

    def close(self, group: int, picture: Picture) -> None:
        """A group ends. Compaction may have moved content since the last change: that may take more or less of the
        partners' space than before, and nothing else may differ."""
        before = self.moments[-1][1]
        if not _look_alike(before, picture):
            raise Violation(f"P1: a change at the end of group {group}: {difference(before, picture)}")
        self.moments.append((group, picture))

    def synced(self, moment: int) -> None:
        self.durable = max(self.durable, moment)

    def restart(self, group: int, picture: Picture) -> None:
        """The disk was opened again, and looks like this: a moment that is not older than the last sync (P3).
        Compaction may have begun since."""
        for index in range(len(self.moments) - 1, self.durable - 1, -1):
            if self.moments[index][0] <= group and _look_alike(self.moments[index][1], picture):
                self.moments[index + 1 :] = [(group, picture)]
                return
        why = difference(self.moments[self.durable][1], picture)
        raise Violation(f"P3: after a crash the disk shows no moment since the last sync; {why}")

    def up_to(self, group: int) -> "History":
        """That of a machine which goes on from the end of `group`: what came after it has never been."""
        last = max(index for index, (number, _) in enumerate(self.moments) if number <= group)
        held = {number: away for number, away in self.held.items() if number <= group}
        named = {number: places for number, places in self.named.items() if number <= group}
        return History(self.moments[: last + 1], last, held, named)

    @property
    def newest_held(self) -> int:
        return max(self.held, default=0)

    @property
    def newest_versions(self) -> frozenset[int]:
        """All that it needs."""
        return frozenset(stripe.place.version for stripe in self.named.get(self.newest_held, ()))

    @property
    def newest_named(self) -> int:
        """The highest version that it needs."""
        return max(self.newest_versions, default=0)

    def end_of(self, group: int) -> Picture:
        """The tree at the end of a group."""
        return next(picture for number, picture in reversed(self.moments) if number <= group)


def _look_alike(one: Picture, other: Picture) -> bool:
    return all(_seen(one, path) == _seen(other, path) for path in one.keys() | other.keys())


def _seen(picture: Picture, path: tuple[bytes, ...]) -> Facts | None:
    """What a program sees of a path, less st_blocks."""
    facts = picture.get(path)
    return facts and (*facts[:STORED], *facts[STORED + 1 :])
