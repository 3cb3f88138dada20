"""The present figure for `coopfs status`: how likely a restore works, what is weakest, how far held lags behind."""

from collections.abc import Callable
from typing import Any

from coopfs.app.own_disk import OwnDisk
from coopfs.core.columnstate import GONE_FOR_GOOD, ColumnState
from coopfs.core.outlook import Help, Holder, look_out
from coopfs.core.reliability import survival
from coopfs.limits import DEFAULT_LOST, GRACE_PERIOD
from coopfs.tasks.column import Column
from coopfs.types import NodeKey

DAYS = GRACE_PERIOD / 86400  # a restore can wait for whom one would wait for before giving it up


def describe_outlook(own: OwnDisk, up: Callable[[NodeKey], float], now: int) -> dict[str, Any] | None:
    """Probabilities that a restore fails at a random moment and in the whole window; seconds that what was held last
    took to get there, and that what is not held waits. None: nothing is held. up: the share of the time that a partner
    is expected to be up; now: wall seconds."""
    progress = own.ledger.progress
    if not progress.barrier or own.log.rehold:
        return None
    columns = own.columns.columns
    gone = sum(1 << column.number for column in columns if column.state in GONE_FOR_GOOD)
    everything = (1 << progress.quorum.n) - 1
    kinds = {kind & ~gone: count for kind, count in progress.kinds().items()}
    seen = look_out(progress.quorum, [everything & ~gone, *kinds], [_holder(column, up) for column in columns])
    held_since, waiting = (
        own.chronicle.held_since(progress.barrier),
        own.local.metadata.groups.next_closed(progress.barrier),
    )
    lag = None if held_since is None else held_since - own.log.closed_at(progress.barrier)
    weakest = min(kinds, key=int.bit_count, default=None)
    return {
        "now": seen.now,
        "within": seen.within,
        "within_days": DAYS,
        "weakest": None if weakest is None else {"stripes": kinds[weakest], "blocks": weakest.bit_count()},
        "lag_seconds": None if lag is None else max(0, lag),
        "waiting_seconds": None if waiting is None or waiting.closed_at is None else max(0, now - waiting.closed_at),
        "help": _describe_help(seen.help),
    }


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
