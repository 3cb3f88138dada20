"""The states of a column: whether its acks count, and what changes that (design R7, R12, R14). Pure: one table.

A is the columns in any state but COUNTED. Whether the partner is reached at this moment is another matter: one that is
away for an hour counts, and one that is back after a week does not, until it has caught up.
"""

from enum import Enum, IntEnum


class ColumnState(IntEnum):
    """The numbers stand in the database."""

    COUNTED = 0  # has acked every live stripe up to the barrier, or had when it was last reached
    CATCHING_UP = 1  # reached, but lacks some of them
    AWAY = 2  # unreachable for AWAY_AFTER
    LOST = 3  # declared lost, by its owner or after GRACE_PERIOD: its store is never looked at again
    REBUILT = 4  # a new store has all of them; too few partners know that it is this column's store now
    EMPTIED = 5  # its partner answers, and has that store no more: it is to get a new one (R16)


class Event(Enum):
    """What happens to a column."""

    ABSENT = "its partner has been unreachable for AWAY_AFTER"
    REACHED = "its store is open, and was compared with what it should hold"
    LACKS = "its store lacks what it had acked"
    CAUGHT_UP = "its store has acked every live stripe up to the barrier"
    LOST = "it was declared lost"
    GONE = "its partner says that it has no such store"
    REPLACED = "another store has taken its place, with all that is held"
    KNOWN = "enough partners have the master block that names that store (R14)"


_S, _E = ColumnState, Event

TRANSITIONS: dict[tuple[ColumnState, Event], ColumnState] = {
    (_S.COUNTED, _E.ABSENT): _S.AWAY,
    (_S.COUNTED, _E.LACKS): _S.CATCHING_UP,
    (_S.COUNTED, _E.LOST): _S.LOST,
    (_S.COUNTED, _E.GONE): _S.EMPTIED,
    (_S.COUNTED, _E.REPLACED): _S.REBUILT,
    (_S.CATCHING_UP, _E.ABSENT): _S.AWAY,
    (_S.CATCHING_UP, _E.CAUGHT_UP): _S.COUNTED,
    (_S.CATCHING_UP, _E.LOST): _S.LOST,
    (_S.CATCHING_UP, _E.GONE): _S.EMPTIED,
    (_S.CATCHING_UP, _E.REPLACED): _S.REBUILT,
    (_S.AWAY, _E.REACHED): _S.CATCHING_UP,
    (_S.AWAY, _E.LACKS): _S.CATCHING_UP,
    (_S.AWAY, _E.LOST): _S.LOST,
    (_S.AWAY, _E.GONE): _S.EMPTIED,
    (_S.AWAY, _E.REPLACED): _S.REBUILT,
    (_S.LOST, _E.REPLACED): _S.REBUILT,
    (_S.EMPTIED, _E.REPLACED): _S.REBUILT,
    (_S.EMPTIED, _E.LOST): _S.LOST,
    (_S.REBUILT, _E.KNOWN): _S.CATCHING_UP,
    (_S.REBUILT, _E.LOST): _S.LOST,
    (_S.REBUILT, _E.GONE): _S.EMPTIED,
}


GONE_FOR_GOOD = frozenset({_S.LOST, _S.EMPTIED})  # the store is never looked at again


def after(state: ColumnState, event: Event) -> ColumnState:
    """The state that follows; what the table does not name changes nothing."""
    return TRANSITIONS.get((state, event), state)
