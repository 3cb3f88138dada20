"""How full a disk is: what writers may still take, and what is kept for those that free (design R9, P4).

Rows are taken by data stripes and by the log. Every write gets the rows it needs when it is accepted: a data stripe
counts from when it is opened, a group's meta stripes from its first image. What nobody asks for is

- what deleting tells: tombstones, and anew the inodes and directories that it changes, each of them once in a group;
- what retiring a head tells again. The chain is at most LOG_FACTOR times as long as its live images would fill, and
  LOG_SLACK more; but when all that lives stands at its front, all of it is told again before the first row is won, and
  each group that does so ends in a stripe that is not full.

Both are bounded by the live images, L rows. So the log has a share of rows of its own, which writers never get: what it
takes, or would take at its longest, and LOG_SPARE x L more. With that the reserve R is a matter of rounding alone, and
does not grow with the disk or with what is not held:

- while no row is free for writers, one group is under way at a time: its END is 1 row, its last data stripe 1 more;
- emptying n stripes takes up to n rows before it gives back n. It may use one half of R; the other half is left for
  what frees. To win CLEANING_GAIN rows, and those two, by n = R/2 stripes, (CLEANING_GAIN + 2) / (R/2) of what lies in
  them must be dead; so that share of all rows is never promised to anybody (`spare_rows`), or what is deleted here and
  there would not come back.

With R = 24 this is a third, and with 160 it is a twentieth: so the reserve of a large disk is larger, up to where it
costs less than it wins. With R = 6 or less no stripes can be emptied at all.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from coopfs.core.geometry import shard_capacity
from coopfs.core.meta import records_capacity
from coopfs.limits import (
    CLEANING_GAIN,
    IMAGE_BYTES,
    LARGE_IMAGE,
    LOG_FACTOR,
    LOG_SLACK,
    LOG_SPARE,
    MAX_RESERVE_ROWS,
    MIN_LOG_SLACK,
    MIN_RESERVE_ROWS,
    MIN_ROWS,
    RESERVE_SHARE,
    SHORT_SHARE,
)
from coopfs.types import Layout


@dataclass(frozen=True, slots=True)
class Usage:
    """What there is on a disk now.

    total: its rows; data_rows: those that data stripes have, or will have once they are sealed; log_rows: the same of
    meta stripes; images: bytes of the images of the present state (local/totals); content: bytes of content that
    extents keep alive, with what the directories of their blocks take; moving: rows that content which lies in another
    layout will take at the most, as far as there must be room for it now; coming: rows that it gets yet, when older
    layouts are gone.
    """

    layout: Layout
    total: int
    data_rows: int
    log_rows: int
    images: int
    content: int
    moving: int = 0
    coming: int = 0


def packed(size: int) -> int:
    """Bytes of meta stripes that a record of so many bytes may cost. A large one counts twice: stripes are filled in
    order, so that it may leave as much as itself empty in the one before."""
    return 2 * size if size > LARGE_IMAGE else size


def images_worth(size: int) -> int:
    """How many new images of IMAGE_BYTES one of so many bytes counts as, with what is kept for telling it again."""
    return packed(size) * (1 + LOG_FACTOR + LOG_SPARE) // IMAGE_BYTES


def stripe_payload(layout: Layout) -> int:
    """Bytes of a stripe's k shards: what one row takes at the most, directories included."""
    return layout.k * shard_capacity(layout.block_size)


def reserve_rows(total: int) -> int:
    """R: rows that writers never get, as a delete is a record too and must always work (P4)."""
    return min(MAX_RESERVE_ROWS, max(MIN_RESERVE_ROWS, total // RESERVE_SHARE))


def spare_rows(total: int) -> int:
    """Rows that must be dead or free, or emptying sparse stripes would not win any back."""
    reserve = reserve_rows(total)
    return -(-max(0, total - reserve) * (CLEANING_GAIN + 2) // (reserve // 2))


def log_slack(total: int) -> int:
    """Rows that even the smallest log may have."""
    return max(MIN_LOG_SLACK, min(LOG_SLACK, total // LOG_SLACK))


def rows_for_images(layout: Layout, size: int) -> int:
    """Meta stripes that images of so many bytes fill."""
    return -(-size // records_capacity(stripe_payload(layout)))


def rows_of_group(layout: Layout, sizes: Iterable[int]) -> int:
    """Meta stripes of a group whose records, in their order, have so many bytes each."""
    capacity = records_capacity(stripe_payload(layout))
    rows, filled = 1, 0
    for size in sizes:
        if filled + size > capacity:
            rows, filled = rows + 1, 0
        filled += size
    return rows


def content_rows(total: int) -> int:
    """Rows that content may fill on a disk that holds nothing else."""
    return max(0, total - reserve_rows(total) - spare_rows(total) - log_slack(total))


def budget(usage: Usage) -> int:
    """Bytes that writers may still bring; less than 0: none, and what is kept for others is touched.

    There must be rows for it now, and beside what lives there must be enough room to clean in.
    """
    payload = stripe_payload(usage.layout)
    return min(_rows_now(usage) * payload, _rows_at_best(usage) * payload - usage.content)


def fits(usage: Usage) -> bool:
    """Whether what lives would have room if the disk had `usage.total` rows, and nothing dead in them."""
    return usage.total >= MIN_ROWS and _rows_at_best(usage) * stripe_payload(usage.layout) >= usage.content


def lacks_rows(usage: Usage) -> bool:
    """Whether rows are short though there is room for more: emptying sparse stripes wins some back."""
    worth = -(-usage.content // stripe_payload(usage.layout))
    short = max(reserve_rows(usage.total), usage.total // SHORT_SHARE)
    return _rows_now(usage) < min(_rows_at_best(usage) - worth, short)


def rows_to_clean_with(usage: Usage) -> int:
    """Rows that cleaning may take before it gives any back: it leaves half of the reserve."""
    return usage.total - usage.data_rows - usage.log_rows - reserve_rows(usage.total) // 2


def _rows_now(usage: Usage) -> int:
    """That nobody has, and nothing is kept for."""
    longest = rows_for_images(usage.layout, LOG_FACTOR * usage.images) + log_slack(usage.total)
    kept = rows_for_images(usage.layout, LOG_SPARE * usage.images) + reserve_rows(usage.total)
    return usage.total - usage.data_rows - usage.moving - max(usage.log_rows, longest) - kept


def _rows_at_best(usage: Usage) -> int:
    """That content could fill, if no row held anything dead."""
    told = rows_for_images(usage.layout, (LOG_FACTOR + LOG_SPARE) * usage.images)
    return content_rows(usage.total + usage.coming) - told
