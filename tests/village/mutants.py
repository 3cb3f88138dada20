"""One rule of stepping between two partners broken at a time: what a village must notice (core/stepping)."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any
from unittest.mock import patch

from coopfs.app.partners import stepping
from coopfs.app.partners.handover import Handover
from coopfs.core.stepping import TRANSITIONS, Event, Step

Mutant = Callable[[], AbstractContextManager[object]]


def a_partner_is_let_go_before_another_one_has_its_column() -> Any:
    """MOVED is who has nothing at the other one any more."""
    return patch.object(Handover, "is_done", lambda *_: True)


def an_agreement_ends_while_the_other_disk_is_still_there() -> Any:
    """OVER is who has heard that the other one has moved too."""
    return patch.dict(TRANSITIONS, {(Step.MOVING, Event.EMPTY): Step.OVER})


def who_is_moving_is_taken_for_moved() -> Any:
    """The agreement ends when neither has anything at the other."""
    answered = stepping.answered

    def mutant(step: Step, theirs: Step, waited: float) -> Event | None:
        return answered(step, Step.MOVED if theirs is Step.MOVING else theirs, waited)

    return patch.object(stepping, "answered", mutant)


MUTANTS: list[Mutant] = [
    a_partner_is_let_go_before_another_one_has_its_column,
    an_agreement_ends_while_the_other_disk_is_still_there,
    who_is_moving_is_taken_for_moved,
]
