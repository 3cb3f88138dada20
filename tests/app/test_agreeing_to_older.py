"""What is said and asked of a state that may not be the newest."""

from pathlib import Path

import pytest

from coopfs.app.recovery.dialogue import Dialogue
from coopfs.app.recovery.restoring import agree
from coopfs.app.recovery.takeover import SWITCH_OFF
from coopfs.errors import NotRestorable
from coopfs.tasks.recovery.recovery import State
from coopfs.types import Place

DATE = "1970-01-01 00:01:00 UTC"
DOUBT = "only 1 of 3 partners answers"


def state(doubt: str | None) -> State:
    return State(Place(1, 1), 1, 60 * 10**9, frozenset(), frozenset(), b"", Path("x"), doubt)


def dialogue(said: list[str], answer: bool | None, *, accept_older: bool = False) -> Dialogue:
    """answer: None: nothing may be asked."""

    def ask(question: str) -> bool:
        assert answer is not None
        said.append(question)
        return answer

    return Dialogue(accept_older, 0, ask, said.append, lambda step, done, total: None)


def test_the_newest_state_needs_no_answer() -> None:
    said: list[str] = []
    agree(state(None), dialogue(said, None), SWITCH_OFF)
    assert said == [f"the newest whole state is of {DATE}"]


def test_a_restore_asks_and_nothing_has_to_be_done_first() -> None:
    said: list[str] = []
    agree(state(DOUBT), dialogue(said, answer=True))
    question = f"{DOUBT}. What was written after {DATE} may be missing. Take the state of {DATE} all the same?"
    assert said[1:] == [question]
    with pytest.raises(NotRestorable, match=r"only 1 of 3 partners answers \(--accept-older takes it\)"):
        agree(state(DOUBT), dialogue([], answer=False))


def test_a_takeover_says_that_the_old_machine_has_to_be_off() -> None:
    said: list[str] = []
    agree(state(DOUBT), dialogue(said, answer=True), SWITCH_OFF)
    assert f"What was written after {DATE} may be missing. Before you say yes, switch the old machine off" in said[1]
    with pytest.raises(NotRestorable, match=r"switch the old machine off.*; then --accept-older takes it"):
        agree(state(DOUBT), dialogue([], answer=False), SWITCH_OFF)


def test_who_accepted_before_is_told_what_may_be_missing() -> None:
    said: list[str] = []
    agree(state(DOUBT), dialogue(said, None, accept_older=True), SWITCH_OFF)
    assert f"as --accept-older says: {DOUBT}. What was written after {DATE} may be missing" in said[1]
