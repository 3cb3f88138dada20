"""Which losses a village may suffer: those that every disk in it promises to survive (design R7)."""

from collections.abc import Mapping

from coopfs.core.columnstate import ColumnState
from coopfs.types import NodeKey
from tests.village.household import Household


class Budget:
    """houses: all that ever were, by node key."""

    def __init__(self, houses: Mapping[NodeKey, Household]) -> None:
        self._houses = houses

    def look(self) -> None:
        """Who holds whose columns by now, and has again what it had lost."""
        for house in self._houses.values():
            own = house.own
            if own is None:
                continue
            house.holders = tuple(place.node for place in own.places.primaries)
            for column in own.columns.columns:
                holder = self._houses[column.place.node]
                if holder.is_up and column.session is not None and column.state is ColumnState.COUNTED:
                    house.lacking.discard(holder.key)

    def unwell(self, house: Household) -> set[NodeKey]:
        """Holders of its columns that a restore cannot count on now."""
        missing = {key for key in house.holders if not self._houses[key].is_up}
        own = house.own
        if own is not None:
            missing |= {c.place.node for c in own.columns.columns if c.away or c.session is None}
        return missing | (house.lacking & set(house.holders))

    def may_lose(self, victim: Household) -> bool:
        """Whether all whose columns it holds can do without it, for now or for good."""
        self.look()
        return all(
            len(self.unwell(house) | {victim.key}) <= house.wishes.geometry.quorum.f
            for house in self._houses.values()
            if not house.gone and victim.key in house.holders
        )

    def is_restorable(self, house: Household) -> bool:
        """Whether what it holds must come back if its machine is lost now."""
        self.look()
        f = house.wishes.geometry.quorum.f
        return house.kit is not None and bool(house.diary.held) and len(self.unwell(house)) <= f

    def lose(self, victim: Household) -> None:
        """What it stored for others is gone."""
        for house in self._houses.values():
            if victim.key in house.holders:
                house.lacking.add(victim.key)
