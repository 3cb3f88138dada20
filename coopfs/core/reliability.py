"""How likely is it that what partners hold can be had? (paper section 2.2). Pure arithmetic.

Everything is told as the probability that it does *not* work: 1 - 10^-12 has no digits left in a float, 10^-12 has all.

Partners fail independently in these formulas. Two at one site, with one provider or in one family do not: spread them.

- A restore at a random moment needs any k of n partners. With each up with probability p it fails with

      sum over i < k of C(n, i) p^i (1 - p)^(n - i)

- A disk loses content for good when m+1 of its n columns are lost before any of them has been filled again. With i
  columns lost, each of the n - i others is lost at the rate a, and each lost one is filled again at the rate b = 1 /
  repair window: a birth-death process. The mean time until one more than i is lost is

      T(0) = 1 / (n a),    T(i) = 1 / ((n - i) a) + T(i - 1) i b / ((n - i) a)

  and D = T(0) + ... + T(m) is the mean time to loss. One year goes wrong with 1 - exp(-year / D).
"""

import math
from collections.abc import Iterable, Sequence

YEAR = 365.25  # days
LEAST_FAILURE = 1e-10  # of which more is said than that it is less


def restore_failure(k: int, n: int, up: float) -> float:
    """The probability that fewer than k of n partners are up, each with probability `up` (0..1)."""
    assert 0 <= k <= n
    assert 0.0 <= up <= 1.0
    return math.fsum(math.comb(n, i) * up**i * (1.0 - up) ** (n - i) for i in range(k))


def mixed_failure(k: int, ups: Sequence[float]) -> float:
    """The same of partners that differ: ups has each one's probability."""
    few = [1.0] + [0.0] * max(0, k - 1)  # few[i]: the probability that exactly i < k of those so far are up
    for up in ups:
        assert 0.0 <= up <= 1.0
        for i in range(len(few) - 1, 0, -1):
            few[i] = few[i] * (1.0 - up) + few[i - 1] * up
        few[0] *= 1.0 - up
    return math.fsum(few[:k])


def weakest_failure(k: int, holders: Iterable[int], ups: Sequence[float]) -> float:
    """The probability that of some kind of stripe fewer than k blocks can be had. holders: for each kind the columns
    that have its blocks, as bits; ups: each column's probability.

    Kinds whose columns include all those of another cannot fail alone. Of those that remain the probabilities are
    added: exact for one kind, and never too low for more.
    """
    kinds = set(holders)
    minimal = (kind for kind in kinds if not any(other != kind and other & kind == other for other in kinds))
    return min(1.0, math.fsum(mixed_failure(k, [ups[c] for c in range(len(ups)) if kind >> c & 1]) for kind in minimal))


def yearly_loss(k: int, n: int, lost: float, repair: float) -> float:
    """The probability that a year loses content that only partners have: more than n - k of them at once.

    lost: the probability that one partner is lost for good within a year, below 1; repair: days until a lost column is
    filled again, above 0.
    """
    assert 1 <= k <= n
    assert 0.0 <= lost < 1.0
    assert repair > 0.0
    if lost == 0.0:
        return 0.0
    rate = -math.log1p(-lost) / YEAR  # per day
    total = step = 1.0 / (n * rate)
    for i in range(1, n - k + 1):
        left = (n - i) * rate
        step = (1.0 + step * i / repair) / left
        total += step
    return -math.expm1(-YEAR / total)


def survival(lost: float, days: float) -> float:
    """The probability that a partner is not lost for good within so many days; lost: the probability for a year."""
    assert 0.0 <= lost < 1.0
    assert days >= 0.0
    return math.exp(math.log1p(-lost) * days / YEAR)


def percent(failure: float) -> str:
    """1 - failure in per cent, with the first two digits that are not 9: 0.000432 is "99.957". Beyond ten nines the
    partners' independence is no longer what one would bet on."""
    if failure < LEAST_FAILURE:
        return f"over {100.0 - 100.0 * LEAST_FAILURE:.8f}"
    wrong = 100.0 * failure
    digits = max(0, 1 - math.floor(math.log10(wrong)))
    return f"{100.0 - round(wrong, digits):.{digits}f}"
