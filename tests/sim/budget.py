"""How many partners may be lost besides those in A: each layout has a promise of its own (P2)."""

from collections.abc import Collection, Mapping

from coopfs.core.quorum import Quorum
from tests.sim.world import Seat, World


class Budget:
    """away: A, with which a state became held; others: further losses that it survives, by id of a layout. None: those
    that it must."""

    def __init__(self, world: World, away: Collection[Seat], others: Mapping[int, int] | None = None) -> None:
        self._left = dict(others or {each.layout.id: 0 for each in world.used})
        if others is None:
            for layout in (each.layout for each in world.used):
                quorum, gone = Quorum(layout.k, layout.m), sum(id_ == layout.id for id_, _ in away)
                self._left[layout.id] = max(quorum.f - gone, quorum.f_min)
        seats = {number: world.seats_of(number) for number in range(len(world.sites))}
        self._costs = {number: [seat[0] for seat in seats[number] if seat not in away] for number in seats}

    @property
    def gone(self) -> set[int]:
        """Sites that cost nothing: all that they hold is in A."""
        return {number for number, cost in self._costs.items() if not cost}

    @property
    def left(self) -> int:
        """Sites that may be lost at the most. Less than 0: more than promised is lost already."""
        return sum(self._left.values()) if min(self._left.values()) >= 0 else -1

    def spend(self, number: int) -> None:
        """A site is lost."""
        for id_ in self._costs[number]:
            self._left[id_] -= 1

    def may_spend(self, number: int) -> bool:
        """Lose a site, if that may be."""
        if not all(self._left[id_] > 0 for id_ in self._costs[number]):
            return False
        self.spend(number)
        return True
