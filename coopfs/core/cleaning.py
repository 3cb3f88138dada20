"""When to clean the log: how long it may be, and which stripes are worth emptying (design R3, R9).

The log is a chain from its head; retiring the head costs telling its still newest images again. A restore reads the
whole chain, so it downloads about twice the live metadata. Either kind of cleaning writes, and so adds a row itself:
it begins only when it can win several, or an idle disk would clean for ever.
"""

from collections.abc import Sequence

from coopfs.core.space import Usage, lacks_rows, log_slack, rows_for_images, rows_to_clean_with, stripe_payload
from coopfs.limits import (
    CLEANING_GAIN,
    COMPACT_STRIPES,
    DATA_FACTOR,
    HEADS_BYTES,
    HEADS_PER_GROUP,
    LOG_FACTOR,
    LOG_SLACK,
    SPARSE_SHARE,
)
from coopfs.types import Layout


def heads_to_retire(usage: Usage, metas: int) -> int:
    """How many heads one group may retire, of a chain of so many stripes; 0: it is not too long.

    A group adds up to u rows of its own, and of the heads that it retires about half lives: twice as many as the chain
    is too long by bring that to an end at u.
    """
    longest = rows_for_images(usage.layout, LOG_FACTOR * usage.images) + log_slack(usage.total)
    excess = metas - longest
    if excess <= 0:
        return 0
    most = max(HEADS_PER_GROUP, HEADS_BYTES // stripe_payload(usage.layout))
    return min(metas // 2, max(HEADS_PER_GROUP, 2 * excess), most)


def data_is_sparse(layout: Layout, stripes: int, live_bytes: int) -> bool:
    """Whether data stripes take too many rows. stripes: those that live; live_bytes: content that extents name."""
    worth = -(-live_bytes // stripe_payload(layout))
    return stripes > DATA_FACTOR * worth + LOG_SLACK


def stripes_to_empty(usage: Usage, stripes: int) -> tuple[int, int]:
    """(how many at the most, most bytes that may live in each); 0 stripes: none. stripes: of data, that live.

    Where rows are short every one that is won counts, and half of the reserve may be used to win it.
    """
    room, payload = rows_to_clean_with(usage) - CLEANING_GAIN, stripe_payload(usage.layout)
    if lacks_rows(usage):
        return max(0, room), payload
    if data_is_sparse(usage.layout, stripes, usage.content):
        return max(0, min(room, COMPACT_STRIPES)), int(payload * SPARSE_SHARE)
    return 0, 0


def stripes_to_move(usage: Usage) -> int:
    """How many stripes that must go, whatever lives in them, may be emptied at once."""
    return max(0, min(rows_to_clean_with(usage) - CLEANING_GAIN, COMPACT_STRIPES))


def is_worth_emptying(layout: Layout, live: Sequence[int]) -> bool:
    """Whether enough rows are won by emptying stripes in which so many bytes live each."""
    return len(live) + sum(live) // -stripe_payload(layout) >= CLEANING_GAIN
