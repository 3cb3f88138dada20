"""Another layout for this node's disk, as the owner asks for it: who holds it, and how many rows it has (paper 2.6)."""

from collections.abc import Sequence
from dataclasses import replace

from coopfs.app.disk.own_disk import OwnDisk
from coopfs.core.geometry import check_layout
from coopfs.core.master import StorePlace
from coopfs.core.slicing import rows_beside
from coopfs.core.storeformat import store_size
from coopfs.errors import UsageError
from coopfs.limits import MAX_ROWS, MIN_ROWS
from coopfs.local.partners import PartnerEntry
from coopfs.sizes import format_size
from coopfs.types import Layout, StoreId


async def reshape(
    own: OwnDisk, entries: Sequence[PartnerEntry], k: int, m: int, add: Sequence[str], leave_out: Sequence[str]
) -> int:
    """Begin to give the disk k + m columns: on those that hold one now, without some, and with others. The rows that it
    will have. UsageError: it cannot be. StateError."""
    old = own.ledger.layout
    new = replace(old, k=k, m=m)
    check_layout(new)
    if not old.m:
        raise UsageError("a disk without redundancy cannot move: nothing of it may leave this machine")
    if not m:
        raise UsageError("a disk cannot move to a layout without redundancy: --redundancy 1 is the least")
    size, least = own.local.cache.size, own.local.least_cache_for(new)
    if size is not None and size < least:
        raise UsageError(f"a disk of {k}+{m} needs a cache of {format_size(least)}: set that, and start the daemon")
    if own.log.rehold:
        raise UsageError("what a takeover found is being made safe again: wait until that is done")
    if not own.growing.is_done:
        raise UsageError("the disk is getting more rows, or less: wait until that is done, as `coopfs status` tells")
    chosen = choose(own, entries, k + m, add, leave_out)
    if (k, m) == (old.k, old.m) and [p.key for p in chosen] == [s.node for s in own.places.primaries]:
        raise UsageError(f"the disk is {k}+{m} on these partners already")
    rows = rows_for(own, new, chosen)
    draw = own.reshaping.draw
    await own.reshaping.begin(
        k, m, rows, [StorePlace(StoreId(draw(16)), p.key, p.key, p.name, p.addresses) for p in chosen]
    )
    for partner in chosen:
        await own.keeper.dismiss(partner.key)
    return rows


def choose(
    own: OwnDisk, entries: Sequence[PartnerEntry], needed: int, add: Sequence[str], leave_out: Sequence[str]
) -> list[PartnerEntry]:
    """Who gets a column, in order: those that have one, then others. UsageError: not so many, or unknown names."""
    by_name, by_key = {entry.name: entry for entry in entries}, {entry.key: entry for entry in entries}
    holders = {store.name: store.node for store in own.places.primaries}
    for name in add:
        if name not in by_name:
            raise UsageError(f"no partner is called {name!r}: see `coopfs partner list`")
        if by_name[name].key in holders.values():
            raise UsageError(f"{name} holds a column of this disk already")
    for name in leave_out:
        if name not in holders:
            raise UsageError(f"{name!r} holds no column of this disk: see `coopfs status`")
    staying = [(name, node) for name, node in holders.items() if name not in leave_out]
    for name, node in staying:
        if node not in by_key:
            raise UsageError(f"{name} is no partner any more: leave it out with --without {name}")
    chosen = [by_key[node] for _, node in staying] + [by_name[name] for name in dict.fromkeys(add)]
    if len(chosen) != needed:
        raise UsageError(
            f"{needed} partners are needed, these are {len(chosen)}: name more with --with, or fewer with --without"
        )
    return chosen


def rows_for(own: OwnDisk, new: Layout, chosen: Sequence[PartnerEntry]) -> int:
    """As many as there is room for beside what the disk takes now; it gets more as it moves. UsageError: what it holds
    would not fit, or there is no room to begin with."""
    holders, block_size = {store.node for store in own.places.primaries}, new.block_size

    def room(entry: PartnerEntry) -> int:
        return rows_beside(entry.taken, block_size, own.places.rows if entry.key in holders else 0)

    least = min(chosen, key=room)
    rows = min(room(least), MAX_ROWS)
    end = max(rows, min(rows_beside(entry.taken, block_size, 0) for entry in chosen))
    if rows < MIN_ROWS or not own.space.would_fit(new, rows, end):
        left = max(0, least.taken - (store_size(own.places.rows, block_size) if least.key in holders else 0))
        raise UsageError(
            f"{least.name} has {format_size(left)} left beside what the disk takes there, too little to begin with, or "
            "for what it holds: `coopfs resize SIZE` makes the disk smaller if it is not full, and `coopfs partner "
            "resize` asks for more"
        )
    return rows
