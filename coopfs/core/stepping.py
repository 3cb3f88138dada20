"""Stepping between: a newcomer becomes the partner of two nodes that are partners of each other, and those two part
(paper, section 2.1). Pure: what each of the two does, and when; one table.

    newcomer            member A                  member B
    asks A, asks B      ASKED                     ASKED         space is reserved for the newcomer, nothing else
                        tells B, hears: PLEDGED   PLEDGED       both were asked, so both welcome it
    agrees with both    JOINED                    JOINED        three agreements are in force
                        tells B, hears: MOVING    MOVING        each gives its column at the other to the newcomer
                        MOVED                     MOVED         nothing of A is at B, or of B at A
                        tells B, hears: OVER      OVER          their agreement ends

The two members tell each other how far they are, again and again, and each answers how far it is: what is lost is told
again. Each saves where it stands before it says so, so a crash is a pause. Until MOVING either may stop, and the
newcomer uses no agreement before that; from MOVING on nobody ends an agreement with the newcomer, and a member that
stops keeps both partners. MOVED is not taken back by itself: only when the other answers that it has stopped. So the
agreement between the two ends only where neither has anything at the other.
"""

from dataclasses import dataclass
from enum import Enum, IntEnum

from coopfs.limits import STEP_PATIENCE, STEP_UNDO


class Step(IntEnum):
    """How far a member is. The numbers stand in the database and on the wire; more is further."""

    NONE = 0  # in no such step: not yet, or not any more
    UNDONE = 1  # the agreement with the newcomer is to end: the other one did not join
    ASKED = 2  # by the newcomer, whose space is reserved
    PLEDGED = 3  # the other one was asked too: the newcomer may agree
    JOINED = 4  # the agreement with the newcomer is made
    MOVING = 5  # the other one has joined too: the column at it goes to the newcomer
    MOVED = 6  # nothing of the own disk is at the other one any more
    OVER = 7  # the same is true of the other one: the agreement with it is to end


class Event(Enum):
    """What happens to a member."""

    FELLOW_ASKED = "the other one was asked too"
    FELLOW_JOINED = "the other one has an agreement with the newcomer"
    FELLOW_MOVED = "nothing of the other one's disk is here any more"
    FELLOW_BEHIND = "the other one has not joined for long"
    FELLOW_QUIT = "the other one is in no such step any more"
    FELLOW_GONE = "the agreement with the other one is over, or it is lost"
    AGREED = "there is an agreement with the newcomer"
    NEWCOMER_GONE = "there is none any more, or the newcomer is lost"
    EMPTY = "nothing of the own disk is at the other one"
    LATE = "the newcomer did not agree in time"


_S, _E = Step, Event

TRANSITIONS: dict[tuple[Step, Event], Step] = {
    (_S.ASKED, _E.FELLOW_ASKED): _S.PLEDGED,
    (_S.ASKED, _E.FELLOW_GONE): _S.NONE,
    (_S.ASKED, _E.LATE): _S.NONE,
    (_S.PLEDGED, _E.AGREED): _S.JOINED,
    (_S.PLEDGED, _E.FELLOW_GONE): _S.NONE,
    (_S.PLEDGED, _E.LATE): _S.NONE,
    (_S.JOINED, _E.FELLOW_JOINED): _S.MOVING,
    (_S.JOINED, _E.FELLOW_BEHIND): _S.UNDONE,
    (_S.JOINED, _E.FELLOW_GONE): _S.NONE,  # the newcomer follows it
    (_S.JOINED, _E.NEWCOMER_GONE): _S.NONE,
    (_S.MOVING, _E.EMPTY): _S.MOVED,
    (_S.MOVING, _E.FELLOW_QUIT): _S.NONE,
    (_S.MOVING, _E.FELLOW_GONE): _S.NONE,
    (_S.MOVING, _E.NEWCOMER_GONE): _S.NONE,
    (_S.MOVED, _E.FELLOW_MOVED): _S.OVER,
    (_S.MOVED, _E.FELLOW_QUIT): _S.NONE,
    (_S.MOVED, _E.FELLOW_GONE): _S.NONE,
    (_S.OVER, _E.FELLOW_GONE): _S.NONE,
    (_S.UNDONE, _E.NEWCOMER_GONE): _S.NONE,
}

WELCOMING = frozenset({_S.PLEDGED, _S.JOINED, _S.MOVING})  # the newcomer may agree, again if it missed the answer
TELLING = frozenset({_S.ASKED, _S.PLEDGED, _S.JOINED, _S.MOVING, _S.MOVED})  # the other one is asked how far it is
COMMITTED = frozenset({_S.MOVING, _S.MOVED, _S.OVER})  # the agreement with the newcomer stays, whatever comes


def after(step: Step, event: Event | None) -> Step:
    """The state that follows; what the table does not name changes nothing."""
    return step if event is None else TRANSITIONS.get((step, event), step)


@dataclass(frozen=True, slots=True)
class Facts:
    """What a member sees by itself. fellow, newcomer: there is an agreement with the other one, with the newcomer, and
    it is not lost; empty: nothing of the own disk is at the other one, and what was there counts elsewhere; waited:
    seconds since the newcomer asked, or since it agreed."""

    fellow: bool
    newcomer: bool
    empty: bool
    waited: float


def noticed(step: Step, facts: Facts) -> Event | None:
    """What follows from that, the gravest first."""
    seen = {
        _E.FELLOW_GONE: not facts.fellow,
        _E.NEWCOMER_GONE: not facts.newcomer,
        _E.AGREED: facts.newcomer,
        _E.EMPTY: facts.empty,
        _E.LATE: not 0 <= facts.waited <= STEP_PATIENCE,
    }
    return next((event for event, so in seen.items() if so and (step, event) in TRANSITIONS), None)


def told(step: Step, theirs: Step) -> Event | None:
    """What it means that the other one has been so far at some time."""
    said = {_E.FELLOW_MOVED: _S.MOVED, _E.FELLOW_JOINED: _S.JOINED, _E.FELLOW_ASKED: _S.ASKED}
    return next((event for event, far in said.items() if theirs >= far and (step, event) in TRANSITIONS), None)


def answered(step: Step, theirs: Step, waited: float) -> Event | None:
    """What it means that the other one was so far after this one had asked it in its present state. waited: as in
    Facts."""
    if (event := told(step, theirs)) is not None:
        return event
    if theirs <= _S.UNDONE and (step, _E.FELLOW_QUIT) in TRANSITIONS:
        return _E.FELLOW_QUIT
    if step is _S.JOINED and theirs < _S.JOINED and not 0 <= waited <= STEP_UNDO:
        return _E.FELLOW_BEHIND
    return None


class Bid(Enum):
    """How far the newcomer is with one of the two."""

    ASKING = "it has not been heard yet, or waits for the other one"
    WELCOME = "it welcomes the newcomer"
    AGREED = "there is an agreement, which may not be used yet"
    SETTLED = "there is one to stay"
    REFUSED = "there is none, and will be none"


def bid(now: Bid, agreed: bool, theirs: Step | None) -> Bid:
    """What follows when a member answers. agreed: whether there is an agreement with it; theirs: how far it says it is,
    None: it refuses."""
    if now in (Bid.SETTLED, Bid.REFUSED):
        return now
    if not agreed:
        if now is Bid.AGREED or theirs is None:
            return Bid.REFUSED
        return Bid.WELCOME if theirs in WELCOMING else Bid.ASKING
    if theirs is None or theirs is _S.NONE or theirs in COMMITTED:
        return Bid.SETTLED
    return Bid.AGREED
