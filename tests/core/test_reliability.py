"""Reliability against sums in exact fractions, and against a walk through the states of a disk."""

import math
from fractions import Fraction
from itertools import product

import pytest

from coopfs.core.reliability import (
    YEAR,
    mixed_failure,
    percent,
    restore_failure,
    survival,
    weakest_failure,
    yearly_loss,
)

NINE = Fraction(9, 10)


def exact(k: int, n: int, up: Fraction) -> Fraction:
    """The probability that k of n are up, counted one by one."""
    return sum((math.comb(n, i) * up**i * (1 - up) ** (n - i) for i in range(k, n + 1)), Fraction(0))


# What Figures 2 and 3 of the paper are about. Its printed digits were not at hand: these are of its formula, and each
# is counted again in exact fractions.
# Partners that are each up 90 % of the time, and as much redundancy as data.
DOUBLE = {
    **{1: "99.00", 2: "99.63", 3: "99.87", 4: "99.957", 5: "99.985", 6: "99.9950", 7: "99.9983"},
    **{8: "99.99941", 9: "99.99980", 10: "99.999929", 12: "99.9999914", 16: "99.99999987"},
}
# The redundancy that k data partners need for this per cent, and bytes stored for each byte.
NEEDED = {
    **{(1, "99"): (1, "2.00"), (2, "99"): (2, "2.00"), (4, "99"): (3, "1.75"), (6, "99"): (3, "1.50")},
    **{(1, "99.9"): (2, "3.00"), (4, "99.9"): (4, "2.00"), (6, "99.9"): (5, "1.83"), (8, "99.9"): (5, "1.62")},
    **{(6, "99.99"): (6, "2.00"), (12, "99.99"): (8, "1.67"), (6, "99.9999"): (9, "2.50")},
    **{(24, "99.9999"): (15, "1.62"), (48, "99.9999"): (21, "1.44")},
}


@pytest.mark.parametrize("k", DOUBLE)
def test_the_reliability_of_doubling_to_the_printed_digit(k: int) -> None:
    assert percent(restore_failure(k, 2 * k, 0.9)) == DOUBLE[k]
    digits = len(DOUBLE[k].partition(".")[2])
    assert f"{float(round(100 * exact(k, 2 * k, NINE), digits)):.{digits}f}" == DOUBLE[k]


@pytest.mark.parametrize(("k", "target"), NEEDED)
def test_the_redundancy_that_reaches_a_target(k: int, target: str) -> None:
    wanted = Fraction(target) / 100
    m = next(m for m in range(k + 62) if restore_failure(k, k + m, 0.9) <= float(1 - wanted) * (1 + 1e-9))
    assert (m, f"{(k + m) / k:.2f}") == NEEDED[k, target]
    assert exact(k, k + m, NINE) >= wanted > exact(k, k + m - 1, NINE)


def test_tiny_probabilities_keep_their_digits() -> None:
    failure = restore_failure(10, 40, 0.95)
    assert failure == pytest.approx(float(1 - exact(10, 40, Fraction(95, 100))), rel=1e-9)
    assert 0 < failure < 1e-29


def test_partners_that_differ_are_counted_one_by_one() -> None:
    ups = (0.5, 0.9, 0.99, 0.75)
    for k in range(5):
        failing = 0.0
        for states in product((False, True), repeat=4):
            if sum(states) < k:
                failing += math.prod(up if there else 1 - up for up, there in zip(ups, states, strict=True))
        assert mixed_failure(k, ups) == pytest.approx(failing)
    assert mixed_failure(3, [0.9] * 7) == pytest.approx(restore_failure(3, 7, 0.9))
    assert mixed_failure(2, [1.0, 1.0, 0.0]) == 0.0
    assert mixed_failure(1, []) == 1.0


def test_the_weakest_stripes_decide() -> None:
    ups = [0.9] * 4
    whole, short = 0b1111, 0b0111
    assert weakest_failure(2, [whole], ups) == pytest.approx(restore_failure(2, 4, 0.9))
    assert weakest_failure(2, [whole, short], ups) == pytest.approx(restore_failure(2, 3, 0.9))
    other = 0b1110  # cautious: which of the two fails is not told apart
    assert weakest_failure(2, [whole, short, other], ups) == pytest.approx(2 * restore_failure(2, 3, 0.9))
    assert weakest_failure(2, [0b0001, 0b0010], ups) == 1.0
    assert weakest_failure(2, [], ups) == 0.0


def walked(k: int, n: int, lost: float, repair: float, steps: int) -> float:
    """The same process in small steps of time, from a disk of which nothing is lost."""
    rate, step = -math.log(1 - lost) / YEAR, YEAR / steps
    shares = [1.0] + [0.0] * (n - k + 1)
    for _ in range(steps):
        flows = [(n - i) * rate * step * shares[i] for i in range(n - k + 1)]
        backs = [i / repair * step * shares[i] for i in range(n - k + 1)]
        for i, (flow, back) in enumerate(zip(flows, backs, strict=True)):
            shares[i] -= flow + back
            shares[i + 1] += flow
            shares[i - 1 if i else 0] += back
    return shares[-1]


@pytest.mark.parametrize(("k", "m"), [(1, 1), (2, 2), (6, 2), (4, 4)])
def test_a_year_without_loss(k: int, m: int) -> None:
    told = yearly_loss(k, k + m, 0.1, 21.0)
    # The mean is that of a disk which has been running for long: the first weeks are safer.
    assert told == pytest.approx(walked(k, k + m, 0.1, 21.0, 20_000), rel=0.2)
    assert told > walked(k, k + m, 0.1, 21.0, 20_000)
    assert yearly_loss(k, k + m, 0.1, 42.0) > told
    assert yearly_loss(k, k + m, 0.2, 21.0) > told


def test_without_redundancy_one_loss_is_enough() -> None:
    assert yearly_loss(1, 1, 0.1, 21.0) == pytest.approx(0.1)
    assert yearly_loss(3, 3, 0.1, 21.0) == pytest.approx(1 - 0.9**3)
    assert yearly_loss(1, 4, 0.0, 21.0) == 0.0


def test_a_partner_survives_a_part_of_a_year() -> None:
    assert survival(0.1, YEAR) == pytest.approx(0.9)
    assert survival(0.1, 0.0) == survival(0.0, 100.0) == 1.0


@pytest.mark.parametrize(
    ("failure", "text"),
    [
        (0.000432, "99.957"),
        (0.5, "50"),
        (0.019, "98.1"),
        (1.0, "0"),
        (0.0, "over 99.99999999"),
        (9e-11, "over 99.99999999"),
        (1.2e-10, "99.999999988"),
    ],
)
def test_percent_shows_two_digits_after_the_nines(failure: float, text: str) -> None:
    assert percent(failure) == text
