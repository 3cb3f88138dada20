"""When is it safe? The design's figures, and every case of small layouts counted out (design R7)."""

from itertools import combinations

import pytest

from coopfs.core.quorum import Quorum, Reach

SMALL = [Quorum(k, m) for k in (1, 2, 3) for m in range(5)]


def masks(n: int, sizes: range) -> list[int]:
    return [sum(1 << j for j in chosen) for size in sizes for chosen in combinations(range(n), size)]


@pytest.mark.parametrize(
    ("k", "m", "f", "f_min", "answers", "written", "safe"),
    [
        (1, 0, 0, 0, 1, 1, 1),
        (1, 1, 1, 0, 2, 2, 2),
        (1, 3, 2, 1, 3, 3, 3),
        (6, 2, 1, 1, 2, 6, 7),
        (6, 6, 5, 1, 6, 6, 11),
        (3, 1, 1, 0, 2, 3, 4),
    ],
)
def test_the_figures_of_the_design(k: int, m: int, f: int, f_min: int, answers: int, written: int, safe: int) -> None:
    quorum = Quorum(k, m)
    assert (quorum.f, quorum.f_min, quorum.answers_needed) == (f, f_min, answers)
    assert (quorum.to_be_written(0), quorum.to_be_safe(0)) == (written, safe)


@pytest.mark.parametrize(
    ("away", "written", "safe"), [(0, 6, 11), (1, 6, 10), (2, 6, 9), (3, 6, 8), (4, 6, 7), (5, 6, 7), (6, 6, 7)]
)
def test_thresholds_of_6_plus_6_fall_with_columns_away_and_never_below_k_plus_f_min(
    away: int, written: int, safe: int
) -> None:
    mask = (1 << away) - 1
    assert (Quorum(6, 6).to_be_written(mask), Quorum(6, 6).to_be_safe(mask)) == (written, safe)


@pytest.mark.parametrize("quorum", SMALL, ids=str)
def test_what_is_held_survives_a_and_the_promised_number_of_others(quorum: Quorum) -> None:
    every = range(quorum.n + 1)
    for away in masks(quorum.n, every):
        losses = max(quorum.f - away.bit_count(), quorum.f_min)
        for acks in masks(quorum.n, every):
            if quorum.reach(acks, away) < Reach.HELD or acks.bit_count() == quorum.n > (acks & ~away).bit_count():
                continue
            outside = [j for j in range(quorum.n) if not away >> j & 1]
            for lost in combinations(outside, min(losses, len(outside))):
                left = acks & ~away & ~sum(1 << j for j in lost)
                assert left.bit_count() >= quorum.k, (away, acks, lost)


@pytest.mark.parametrize("quorum", SMALL, ids=str)
def test_what_is_complete_survives_any_m(quorum: Quorum) -> None:
    for acks in masks(quorum.n, range(quorum.n + 1)):
        complete = quorum.reach(acks, 0) == Reach.COMPLETE
        assert complete == (acks == (1 << quorum.n) - 1)
        if complete:
            for lost in combinations(range(quorum.n), quorum.m):
                assert (acks & ~sum(1 << j for j in lost)).bit_count() >= quorum.k


@pytest.mark.parametrize("quorum", SMALL, ids=str)
def test_what_was_held_may_always_have_been_held_and_enough_answers_meet_it(quorum: Quorum) -> None:
    every = range(quorum.n + 1)
    for away in masks(quorum.n, every):
        for acks in masks(quorum.n, every):
            if quorum.reach(acks, away) != Reach.HELD:
                continue
            for answers in masks(quorum.n, every):
                assert quorum.may_have_been_held((answers & ~acks).bit_count())
                if answers.bit_count() >= quorum.answers_needed:
                    assert answers & acks, "a restore that has enough answers overlooked it"


@pytest.mark.parametrize("quorum", SMALL, ids=str)
def test_with_enough_answers_a_stripe_nobody_saw_was_not_held(quorum: Quorum) -> None:
    assert not quorum.may_have_been_held(quorum.answers_needed)
    assert quorum.may_have_been_held(quorum.answers_needed - 1)


@pytest.mark.parametrize("quorum", SMALL, ids=str)
def test_reach_grows_with_every_ack(quorum: Quorum) -> None:
    for away in masks(quorum.n, range(quorum.n + 1)):
        for acks in masks(quorum.n, range(quorum.n)):
            for j in range(quorum.n):
                assert quorum.reach(acks | 1 << j, away) >= quorum.reach(acks, away)


def test_the_margin_is_that_of_the_weakest_stripe_outside_a() -> None:
    quorum = Quorum(2, 2)
    assert quorum.margin([], 0) is None
    assert quorum.margin([0b1111], 0) == 2
    assert quorum.margin([0b1111, 0b0111], 0) == 1
    assert quorum.margin([0b1111, 0b0111], 0b0011) == -1
