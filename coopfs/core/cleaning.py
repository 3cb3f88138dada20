"""When to clean the log: how long it may be, and which stripes are worth emptying (design R3, R9).

The log is a chain from its head; retiring the head costs telling its still newest images again. A restore reads the
whole chain, so it downloads about twice the live metadata.
"""

from coopfs.core.rows import rows_for_images, stripe_payload
from coopfs.limits import DATA_FACTOR, LOG_FACTOR, LOG_SLACK
from coopfs.types import Layout


def heads_to_retire(layout: Layout, metas: int, live_images: int) -> int:
    """How many meta stripes the chain has too many. metas: its length; live_images: images of the present state."""
    return max(0, metas - LOG_FACTOR * rows_for_images(layout, live_images) - LOG_SLACK)


def rows_to_win(layout: Layout, stripes: int, live_bytes: int) -> int:
    """How many rows data stripes take too many. stripes: those that live; live_bytes: content that extents name."""
    worth = -(-live_bytes // stripe_payload(layout))
    return max(0, stripes - int(DATA_FACTOR * worth) - LOG_SLACK)
