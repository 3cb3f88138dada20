"""The present figure for `coopfs status`: how likely a restore works, what is weakest, how far held lags behind."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from coopfs.app.disk.own_disk import OwnDisk
from coopfs.core.columnstate import GONE_FOR_GOOD, ColumnState
from coopfs.core.outlook import Help, Holder, Outlook, look_out
from coopfs.core.reliability import survival
from coopfs.core.seats import Span
from coopfs.limits import DEFAULT_LOST, GRACE_PERIOD
from coopfs.tasks.writing.column import Column
from coopfs.types import NodeKey

DAYS = GRACE_PERIOD / 86400  # a restore can wait for whom one would wait for before giving it up


@dataclass(frozen=True, slots=True)
class _Weakest:
    """So many stripes with so few blocks, and how many of these are beyond the k that are needed."""

    stripes: int
    blocks: int
    to_spare: int


def describe_outlook(own: OwnDisk, up: Callable[[NodeKey], float], now: int) -> dict[str, Any] | None:
    """Probabilities that a restore fails at a random moment and in the whole window; seconds that what was held last
    took to get there, and that what is not held waits. None: nothing is held. up: the share of the time that a partner
    is expected to be up; now: wall seconds."""
    progress = own.ledger.progress
    if not progress.barrier or own.log.rehold:
        return None
    kinds = progress.kinds()
    looks = [_look(own, span, kinds, up) for span in progress.seats]
    seen = max((outlook for outlook, _ in looks), key=lambda outlook: outlook.now)
    weakest = min((weak for _, weak in looks if weak is not None), key=lambda weak: weak.to_spare, default=None)
    held_since, waiting = (
        own.chronicle.held_since(progress.barrier),
        own.local.metadata.groups.next_closed(progress.barrier),
    )
    lag = None if held_since is None else held_since - own.log.closed_at(progress.barrier)
    return {
        "now": seen.now,
        "within": seen.within,
        "within_days": DAYS,
        "weakest": None if weakest is None else {"stripes": weakest.stripes, "blocks": weakest.blocks},
        "lag_seconds": None if lag is None else max(0, lag),
        "waiting_seconds": None if waiting is None or waiting.closed_at is None else max(0, now - waiting.closed_at),
        "help": _describe_help(seen.help),
    }


def _look(
    own: OwnDisk, span: Span, kinds: Mapping[int, int], up: Callable[[NodeKey], float]
) -> tuple[Outlook, _Weakest | None]:
    """Of the stripes of one layout."""
    columns = [column for column in own.columns.columns if column.number in span.seats]
    gone = sum(1 << column.number for column in columns if column.state in GONE_FOR_GOOD)
    mine = {span.own(kind & ~gone): n for kind, n in kinds.items() if own.ledger.progress.seats.lacked_by(kind) == span}
    seen = look_out(span.quorum, [span.own(~gone), *mine], [_holder(column, up) for column in columns])
    least = min(mine, key=int.bit_count, default=None)
    if least is None:
        return seen, None
    return seen, _Weakest(mine[least], least.bit_count(), least.bit_count() - span.layout.k)


def _describe_help(best: Help | None) -> dict[str, Any] | None:
    return None if best is None else {"partner": best.partner, "now": best.failure}


def _holder(column: Column, up: Callable[[NodeKey], float]) -> Holder:
    """Who has been away for long is not counted on now, and as usual within the window."""
    name, share = column.place.name, up(column.place.node)
    if column.state in GONE_FOR_GOOD:
        return Holder(name, 0.0, 0.0)
    if column.state == ColumnState.AWAY:
        return Holder(name, 0.0, share)
    return Holder(name, share, max(share, survival(DEFAULT_LOST, DAYS)))
