"""What is looked at again and again: whether every disk is well, how long those wait who have lost a partner, what it
costs to give a column to another, and whether who breaks its promise was warned of that."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import trio

from coopfs.core.columnstate import GONE_FOR_GOOD, ColumnState
from coopfs.core.geometry import block_length
from coopfs.core.promise import Keeping
from coopfs.core.stepping import COMMITTED
from coopfs.types import NodeKey
from tests.sim.trace import Violation
from tests.village.household import Household

DAY = 86_400.0
DONE = DAY  # in which a step between two is over, or a disk has another size, while all who are concerned are up
WARNING = "coopfs: this machine is down too often"


@dataclass(frozen=True, slots=True)
class Replaced:
    """A column that another partner has. waited: seconds in which somebody was there to get it; sent: bytes to the new
    one, from the look before it was the new one; column: bytes of blocks that it has of it."""

    waited: float
    sent: int
    column: int


class Census:
    """houses: by key; sent: bytes, from and to which machine; letters: when which machine told its owner what."""

    def __init__(
        self,
        houses: Mapping[NodeKey, Household],
        sent: Counter[tuple[str, str]],
        letters: Sequence[tuple[float, str, str]],
    ) -> None:
        self.replaced: list[Replaced] = []
        self.broken: set[str] = set()  # machines that broke their promise bit by bit
        self._houses = houses
        self._sent = sent
        self._letters = letters
        self._waiting: dict[tuple[NodeKey, int], float] = {}  # of lost columns
        self._seats: dict[tuple[NodeKey, int], tuple[NodeKey, Counter[tuple[str, str]]]] = {}  # who, and sent by then
        self._under_way: dict[
            tuple[NodeKey, str], float
        ] = {}  # what takes its time, and how long nothing was in the way
        self._looked = 0.0
        self._judged = 0.0

    def look(self) -> None:
        """Violation."""
        everybody = [house for house in self._houses.values() if house.is_up and not house.gone]
        passed, self._looked = trio.current_time() - self._looked, trio.current_time()
        sent = self._sent.copy()
        for house in everybody:
            if house.own is not None:
                self._check(house)
                self.check_losses(house)
                house.diary.look()
                self._count(house, everybody, passed, sent)
                self._time(house, passed)
        if trio.current_time() - self._judged >= DAY:
            self._judged = trio.current_time()
            for house in everybody:
                if house.is_careless:
                    self._judge(house)

    def _check(self, house: Household) -> None:
        assert house.own is not None
        if house.own.trouble is not None:
            raise Violation(f"the disk of {house} gave up: {house.own.trouble}")

    def check_losses(self, house: Household) -> None:
        """Violation: what somebody holds counts no more, whom nothing befell."""
        for column in () if house.own is None else house.own.columns.columns:
            holder = self._houses[column.place.node]
            if column.state in GONE_FOR_GOOD and not holder.gone and holder.key not in house.lacking:
                raise Violation(f"{house} has lost what {holder} held, whom nothing befell")

    def _count(
        self, house: Household, everybody: Iterable[Household], passed: float, sent: Counter[tuple[str, str]]
    ) -> None:
        assert house.own is not None
        for column in house.own.columns.columns:
            key, holder = (house.key, column.number), column.place.node
            before, then = self._seats.setdefault(key, (holder, sent))
            if column.state is ColumnState.LOST:
                waited = self._waiting.setdefault(key, 0.0)
                if _may_be_helped(house, everybody):
                    self._waiting[key] = waited + passed
            elif column.state is not ColumnState.COUNTED or house.own.places.spares:
                continue  # it is on its way
            elif holder != before:
                way = house.at, self._houses[holder].at
                self.replaced.append(Replaced(self._waiting.pop(key, 0.0), sent[way] - then[way], _bytes(house)))
            if column.state is ColumnState.COUNTED:
                self._seats[key] = holder, sent

    def _time(self, house: Household, passed: float) -> None:
        """Violation: a step or another size takes too long, while all are up and well."""
        assert house.node is not None
        assert house.own is not None
        own, row = house.own, house.node.matchmaking.stepping.row
        step = row is not None and row.step in COMMITTED
        for what, going_on, clear in (
            ("a step between two", step, row is not None and self._are_well(house.key, row.newcomer, row.fellow)),
            ("another size of a disk", not own.growing.is_done, self._are_well(house.key)),
        ):
            key = house.key, what
            if not going_on:
                self._under_way.pop(key, None)
                continue
            taken = self._under_way[key] = self._under_way.get(key, 0.0) + passed * clear
            if taken > DONE:
                says = row and house.node.matchmaking.stepping.describe(), own.growing.hindrance()
                raise Violation(f"{what} takes {house} {taken / DAY:.1f} days in which all are up: {says}")

    def _are_well(self, *keys: NodeKey) -> bool:
        """Whether all are up, and so are all that hold columns of theirs."""
        owns = [house.own for house in map(self._houses.__getitem__, keys) if house.own is not None]
        columns = [column for own in owns for column in own.columns.columns]
        counted = all(column.session is not None and column.state is ColumnState.COUNTED for column in columns)
        return counted and all(self._houses[key].is_up for key in keys)

    def _judge(self, house: Household) -> None:
        """Who breaks its promise has been told that it was about to."""
        assert house.node is not None
        promised = house.node.promises.worst()
        if promised is None or promised.kept.state is not Keeping.BROKEN or house.at in self.broken:
            return
        self.broken.add(house.at)
        if not any(at == house.at and title == WARNING for _, at, title in self._letters):
            raise Violation(f"{house} broke its promise of {promised.level}, and was not warned")


def _bytes(house: Household) -> int:
    """Of the blocks of one column of its disk."""
    assert house.own is not None
    log, k = house.own.log, house.wishes.geometry.k
    stripes = (log.get(id_) for id_, *_ in log.places())
    return sum(block_length(-(-stripe.length // k)) for stripe in stripes if stripe is not None)


def _may_be_helped(house: Household, everybody: Iterable[Household]) -> bool:
    """Whether somebody is there who could get its lost column."""
    partners = house.partners()
    free = (other for other in everybody if other is not house and other.key not in house.holders)
    return any(other.key in partners or other.lacks() for other in free)
