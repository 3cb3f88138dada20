"""What `coopfs status` shows of the own disk: plain values, for people and for programs."""

from collections.abc import Mapping, Set
from datetime import UTC, datetime
from itertools import islice
from typing import Any

import trio

from coopfs.app.disk import kitwatch
from coopfs.app.disk.own_disk import OwnDisk
from coopfs.core.columnstate import ColumnState
from coopfs.core.master import Trustee
from coopfs.core.space import reserve_rows, stripe_payload
from coopfs.limits import LOST_AT_ONCE
from coopfs.local.groups import State
from coopfs.tasks.reshaping.incoming import Incoming
from coopfs.tasks.writing.column import Column
from coopfs.types import Kind, NodeKey


def describe_disk(own: OwnDisk, parted: Set[NodeKey] = frozenset()) -> dict[str, Any]:
    """The own disk: sizes in bytes, times as text, groups and stripes as counts. parted: nodes with which there was an
    agreement, and is none."""
    ledger, progress = own.ledger, own.ledger.progress
    layout = ledger.layout
    complete = progress.complete()
    held = max(progress.barrier, complete)
    sent = len(own.log.groups(State.SEALED))
    groups = {
        "open": 1,
        "closed": len(own.log.groups(State.CLOSED)),
        "sent": sent,
        "written": max(0, progress.sealed - sent - held),
        "held": held - complete,
        "complete": complete,
    }
    total, free = own.space.figures()
    data_rows, live_bytes = own.log.live_data()
    damage = own.damage()
    left = all(column.place.node in parted for column in own.columns.columns)  # and what they held is deleted
    return {
        "id": own.disk_id.hex(),
        "k": layout.k,
        "m": layout.m,
        "rows": ledger.rows.total,
        "rows_used": ledger.rows.total - ledger.rows.free,
        "row_bytes": stripe_payload(layout),
        "bytes": total,
        "bytes_free": free,
        "reserve_bytes": reserve_rows(ledger.rows.limit) * stripe_payload(layout),
        "cleaning": {"data_rows": data_rows, "live_bytes": live_bytes, "log_rows": own.log.chain.length()},
        "mounted": None if own.mountpoint is None else str(own.mountpoint),
        "epoch": own.log.epoch,
        "groups": groups,
        "held_group": progress.barrier,
        "complete_group": complete,
        "held_at": date(own.log.closed_at(progress.barrier)) if progress.barrier and not left else None,
        "cache": _describe_cache(own),
        "compression": _describe_compression(own),
        "scrub": _describe_scrub(own),
        "fsyncs_waiting": own.held_sync.waiting,
        "not_held_bytes": own.log.bytes_after(progress.barrier),
        "below_target": progress.pending,
        "lost_content": _count_lost(own),
        "repair_seconds_left": own.cleaner.seconds_left(own.columns.columns),
        "margin": progress.margin() if progress.barrier and not left else None,
        "kit": _describe_kit(own),
        "kit_wanted": kitwatch.wanted(own),
        "replacement": _describe_replacement(own),
        "reshaping": _describe_reshaping(own),
        "growth": None if own.growing.is_done or own.reshaping.is_under_way else _describe_growth(own),
        "keys": _describe_keys(own),
        "unsent": _describe_unsent(own),
        "trustees": [_describe_trustee(trustee, own) for trustee in own.keeper.block.trustees],
        "trouble": own.trouble,
        "offline": own.columns.offline and not left,
        "found": _describe_found(own),
        "columns": [_describe_column(column, own, damage, parted) for column in own.columns.columns],
    }


def _count_lost(own: OwnDisk) -> int:
    """Stripes of content that cannot be had any more and still lives, LOST_AT_ONCE at the most."""
    some = (own.log.get(id_) for id_ in islice(own.ledger.progress.lost, LOST_AT_ONCE))
    return sum(stripe is not None and stripe.kind == Kind.DATA and stripe.died is None for stripe in some)


def _describe_unsent(own: OwnDisk) -> dict[str, Any] | None:
    left, trouble = own.salvager.left, own.salvager.trouble
    return {"bytes": left, "trouble": trouble} if left or trouble is not None else None


def _describe_growth(own: OwnDisk) -> dict[str, Any]:
    """Rows that the disk is to have, and that it has, or some store still does."""
    growing = own.growing
    return {"rows": growing.rows, "from": growing.now, "waits_for": growing.hindrance()}


def _describe_trustee(trustee: Trustee, own: OwnDisk) -> dict[str, Any]:
    """Who holds the master block only, and whether it has the newest."""
    return {"partner": trustee.name, "has_newest": trustee.node in own.keeper.holders()}


def _describe_cache(own: OwnDisk) -> dict[str, Any]:
    """Content on the local disk: the cap, what is there, and the part of it that must stay until it is safe. Writers
    wait at dirty_size; null: they never do, since nothing is evicted. refill: bytes here and to be here after a
    takeover."""
    cache = own.local.cache
    figures = {"size": cache.size, "used": cache.used, "dirty": cache.dirty, "dirty_size": cache.dirty_size}
    return {**figures, "writers_waiting": own.committer.waiting, "refill": own.refill.figures()}


def _describe_scrub(own: OwnDisk) -> dict[str, Any] | None:
    """Stripes of the pass under way, of all columns together; the time by which every column had had a whole one;
    blocks found wrong and blocks not shown since the pass before began. None: there is no scrub."""
    if not own.scrubber.period:
        return None
    found = own.scrubber.figures()
    return {
        "days": own.scrubber.period / 86400,
        "done": found.done,
        "of": found.done + found.left,
        "finished_at": None if found.finished_at is None else date(found.finished_at),
        "wrong": found.wrong,
        "silent": found.silent,
    }


def _describe_reshaping(own: OwnDisk) -> dict[str, Any] | None:
    """Another layout that the disk gets: what is waited for before it is used; then how many rows are
    to be emptied, and seconds that this takes at the rate so far."""
    reshaping = own.reshaping
    if not reshaping.is_under_way:
        return None
    newest = own.keeper.block.layouts[-1].layout
    coming, growing = reshaping.coming is not None, own.growing
    waits_for = reshaping.hindrance() if coming else None if growing.is_done else growing.hindrance()
    return {
        "k": newest.k,
        "m": newest.m,
        "used": not coming,
        "waits_for": waits_for,
        "rows_left": reshaping.rows_left,
        "seconds_left": reshaping.seconds_left(trio.current_time()),
    }


def _describe_replacement(own: OwnDisk) -> dict[str, Any] | None:
    """The column that is being given to another partner, blocks that are there, seconds left at the rate so far, and
    what else is waited for."""
    incoming = own.columns.incoming
    if incoming is None or not isinstance(incoming.seat, Incoming):
        return None
    return {
        "column": incoming.column,
        "from": own.columns.at(incoming.number).place.name,
        "to": incoming.place.name,
        "blocks": min(incoming.seat.has, incoming.seat.total),
        "blocks_of": incoming.seat.total,
        "seconds_left": incoming.seat.seconds_left(trio.current_time()),
        "waits_for": own.replacing.hindrance(),
        "trouble": incoming.trouble,
    }


def _describe_compression(own: OwnDisk) -> dict[str, Any]:
    """The level at which new content is compressed, null: it is not; bytes of all content, and those that it takes."""
    totals = own.local.metadata.totals
    return {"level": own.disk.compressor.level, "content_bytes": totals.length, "stored_bytes": totals.content}


def _describe_found(own: OwnDisk) -> dict[str, Any] | None:
    """The state that a takeover found, while it is made safe again: as many partners as that needs must have it; and
    how many of its stripes those who answer cannot give."""
    if not own.log.rehold:
        return None
    span = own.ledger.seats.of(own.ledger.layout.id)
    away = span.own(own.ledger.progress.away)
    return {
        "date": date(own.log.closed_at(own.log.rehold)),
        "counted": span.layout.n - away.bit_count(),
        "needed": span.quorum.to_be_safe(away),
        "unavailable": own.cleaner.unavailable,
    }


def _describe_keys(own: OwnDisk) -> dict[str, Any] | None:
    """Ids of the newest key and of older ones still needed; what the newest waits for; bytes that are still to be
    written again with it, null: nothing is. None: there is one key, in use."""
    if own.rekeying.is_done:
        return None
    newest, left = own.keys.newest, own.rekeying.bytes_left()
    older = [key.id for key in own.keys.secrets if key.id != newest]
    return {"newest": newest, "older": older, "waits_for": own.rekeying.hindrance(), "bytes_left": left}


def _describe_kit(own: OwnDisk) -> dict[str, Any] | None:
    """How good the newest kit is: of the partners it names, those that have the newest master block, and how many must;
    and who holds a column by now, or is to get one, and is not named."""
    made = kitwatch.standing(own)
    if made is None:
        return None
    return {
        "exported_at": date(made.time),
        "holders": made.holders,
        "needed": made.needed,
        "lacks": list(made.lacks),
    }


def _describe_column(column: Column, own: OwnDisk, damage: Mapping[str, int], parted: Set[NodeKey]) -> dict[str, Any]:
    missing = own.ledger.progress.count_missing(column.number)
    return {
        "column": column.column,
        "partner": column.place.name,
        "state": _state_of(column),
        "missing": missing,
        "lost": column.lost,
        "damaged": damage.get(column.place.name, 0),
        "disputed": len(column.disputed - column.foreign),
        "foreign": len(column.foreign),
        "trouble": "the agreement with it is over" if column.place.node in parted else column.trouble,
    }


def _state_of(column: Column) -> str:
    """One word or two: of the column, and of the way to its partner."""
    match column.state:
        case ColumnState.LOST:
            return "lost"
        case ColumnState.REBUILT:
            return "rebuilt"
        case ColumnState.EMPTIED:
            return "emptied"
    if column.session is None:
        return "away" if column.away else "unreachable"
    if column.takes_nothing:
        return "takes nothing"
    if column.gives_nothing:
        return "gives nothing"
    return "catching up" if column.away else "caught up"


def date(seconds: int) -> str:
    """Wall seconds as people and programs read them."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
