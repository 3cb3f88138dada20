"""When to clean the log: how long it may be, and which stripes are worth emptying (design R3, R9).

The log is a chain from its head; retiring the head costs telling its still newest images again. A restore reads the
whole chain, so it downloads about twice the live metadata. Either kind of cleaning writes, and so adds a row itself:
it begins only when it can win several, or an idle disk would clean for ever.
"""

from collections.abc import Sequence

from coopfs.core.rows import rows_for_images, stripe_payload
from coopfs.limits import CLEANING_GAIN, DATA_FACTOR, LOG_FACTOR, LOG_SLACK, RECOUNT_SHARE, TURNOVER_SHARE
from coopfs.types import Layout


def log_is_long(layout: Layout, metas: int, live_images: int) -> bool:
    """Whether heads should be retired. metas: stripes in the chain; live_images: images of the present state."""
    return metas > LOG_FACTOR * rows_for_images(layout, live_images) + LOG_SLACK


def counts_again(metas: int, counted_at: int) -> bool:
    """Whether live images are to be counted anew, with so many stripes in the chain, and when they were counted last.

    Counting reads whole tables, 0.1 s with 10^6 files. What changed since stands in the stripes that came since: so
    a count is as old as a part of the log at most, and all counts together cost no more than writing it.
    """
    return abs(metas - counted_at) * RECOUNT_SHARE >= counted_at


def sums_again(turnover: int, live_bytes: int) -> bool:
    """Whether data stripes and their live bytes are to be summed up anew, when so many bytes came to life or died since
    that was done last, and so many lived then. Summing reads an entry for each row, 0.15 s with 10^6 rows."""
    return turnover * TURNOVER_SHARE >= live_bytes


def data_is_sparse(layout: Layout, stripes: int, live_bytes: int) -> bool:
    """Whether data stripes take too many rows. stripes: those that live; live_bytes: content that extents name."""
    worth = -(-live_bytes // stripe_payload(layout))
    return stripes > DATA_FACTOR * worth + LOG_SLACK


def is_worth_emptying(layout: Layout, live: Sequence[int]) -> bool:
    """Whether enough rows are won by emptying stripes in which so many bytes live each."""
    return len(live) + sum(live) // -stripe_payload(layout) >= CLEANING_GAIN
