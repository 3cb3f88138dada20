"""The states of a column, as the table has them."""

import pytest

from coopfs.core.columnstate import ColumnState, Event, after

S, E = ColumnState, Event


@pytest.mark.parametrize(
    ("events", "state"),
    [
        ([], S.COUNTED),
        ([E.ABSENT], S.AWAY),
        ([E.ABSENT, E.CAUGHT_UP], S.AWAY),
        ([E.ABSENT, E.REACHED], S.CATCHING_UP),
        ([E.ABSENT, E.REACHED, E.CAUGHT_UP], S.COUNTED),
        ([E.LACKS], S.CATCHING_UP),
        ([E.LACKS, E.ABSENT, E.LOST], S.LOST),
        ([E.REPLACED], S.REBUILT),
        ([E.LOST, E.REPLACED], S.REBUILT),
        ([E.REPLACED, E.CAUGHT_UP], S.REBUILT),
        ([E.REPLACED, E.KNOWN], S.CATCHING_UP),
        ([E.REPLACED, E.KNOWN, E.CAUGHT_UP], S.COUNTED),
        ([E.REPLACED, E.LOST], S.LOST),
        ([E.ABSENT, E.GONE, E.CAUGHT_UP], S.EMPTIED),
        ([E.GONE, E.REPLACED, E.KNOWN, E.CAUGHT_UP], S.COUNTED),
    ],
)
def test_what_follows(events: list[Event], state: ColumnState) -> None:
    now = S.COUNTED
    for event in events:
        now = after(now, event)
    assert now is state


def test_what_is_lost_counts_again_only_when_another_store_has_taken_its_place() -> None:
    for event in set(E) - {E.REPLACED}:
        assert after(S.LOST, event) is S.LOST
    for event in set(E) - {E.REPLACED, E.LOST}:
        assert after(S.EMPTIED, event) is S.EMPTIED
    for event in set(E) - {E.KNOWN, E.LOST, E.GONE}:
        assert after(S.REBUILT, event) is S.REBUILT


def test_nothing_begins_to_count_but_what_has_caught_up() -> None:
    for state in set(S) - {S.COUNTED}:
        for event in E:
            assert after(state, event) is not S.COUNTED or (state, event) == (S.CATCHING_UP, E.CAUGHT_UP)
