"""Changes of who holds the columns of this node's disk, as the owner asks for them (design R7, R14)."""

from collections.abc import Sequence
from dataclasses import replace

from coopfs.app.disk.own_disk import OwnDisk
from coopfs.core.columnstate import GONE_FOR_GOOD, ColumnState, Event
from coopfs.core.master import PRIMARY, StorePlace, Trustee
from coopfs.core.space import fits
from coopfs.core.storeformat import PAGE, rows_within, slots_offset, store_size
from coopfs.errors import UsageError
from coopfs.limits import MAX_GROWTHS, MAX_TRUSTEES, MIB
from coopfs.local.partners import PartnerEntry
from coopfs.sizes import format_size
from coopfs.tasks.writing.column import Column
from coopfs.types import NodeKey


def find(entries: Sequence[PartnerEntry], name: str, own: OwnDisk | None = None) -> PartnerEntry:
    """The partner of this name, or who holds a column of the disk and is none any more. UsageError: there is none."""
    for entry in entries:
        if entry.name == name:
            return entry
    for place in () if own is None else own.keeper.stores:
        if place.role == PRIMARY and place.name == name:
            return PartnerEntry(name, place.node, place.addresses, 0, 0)
    raise UsageError(f"no partner is called {name!r}: see `coopfs partner list`")


async def lose(own: OwnDisk, entry: PartnerEntry) -> None:
    """Its store never counts again. UsageError: it has none, or it answers. StateError."""
    incoming = own.columns.incoming
    if incoming is not None and incoming.place.node == entry.key:
        await own.replacing.give_up()
        return
    column_of(own, entry)
    held = [column for column in own.columns.columns if column.place.node == entry.key]
    if any(column.session is not None and column.state is not ColumnState.AWAY for column in held):
        raise UsageError(
            f"{entry.name} answers, and what it holds counts: `coopfs partner replace` gives its column to another "
            "partner without losing any of it"
        )
    for column in held:
        own.columns.happen(column, Event.LOST)
    await own.committer.commit()


async def part(own: OwnDisk, node: NodeKey) -> None:
    """The agreement with this node is over: what it holds of the disk is gone or about to go, and counts no more, and
    nothing more is given to it. StateError."""
    incoming = own.columns.incoming
    if incoming is not None and incoming.place.node == node:
        await own.replacing.give_up()
    await own.keeper.dismiss(node)
    for column in own.columns.columns:
        if column.place.node == node and column.state is not ColumnState.LOST:
            own.columns.happen(column, Event.LOST)
            await own.committer.commit()


async def entrust(own: OwnDisk, entry: PartnerEntry) -> None:
    """A partner without a column holds the master block from now on. UsageError: it has a column, or there are too
    many. StateError."""
    if any(store.node == entry.key for store in own.keeper.stores):
        raise UsageError(f"{entry.name} holds a column of this disk, and the master block with it")
    if all(trustee.node != entry.key for trustee in own.keeper.block.trustees):
        check_trustees(own)
    await own.keeper.entrust(Trustee(entry.key, entry.name, entry.addresses))


def check_trustees(own: OwnDisk) -> None:
    """UsageError: there can be no more of them."""
    if len(own.keeper.block.trustees) >= MAX_TRUSTEES:
        raise UsageError(f"{MAX_TRUSTEES} partners hold the master block only already, the most that are allowed")


async def give(own: OwnDisk, old: PartnerEntry, new: PartnerEntry) -> None:
    """Begin to give the column of `old` to `new`; nothing, if that was begun before. UsageError, StateError."""
    column, incoming = column_of(own, old), own.columns.incoming
    if incoming is not None and (incoming.number, incoming.place.node) == (column.number, new.key):
        return
    layout = own.keeper.of(column.layout.id).columns
    taken = [store.node for j, stores in enumerate(layout) for store in stores if j != column.column]
    if new.key in taken or (column.place.node == new.key and column.state not in GONE_FOR_GOOD):
        raise UsageError(f"{new.name} holds a column of this disk already")
    check_size(own, new.name, new.taken)
    at = StorePlace(column.place.store, new.key, new.key, new.name, new.addresses)
    await own.replacing.begin(column.number, at)
    await own.keeper.dismiss(new.key)


def short_of(own: OwnDisk, entries: Sequence[PartnerEntry], size: int) -> list[PartnerEntry]:
    """Who holds a column and gives less than `size` bytes. UsageError: somebody who is no partner any more holds
    one, or the disk is getting another layout."""
    check_layouts(own)
    known = {entry.key: entry for entry in entries}
    for column in own.columns.columns:
        if column.place.node not in known:
            raise UsageError(f"{column.place.name} is no partner any more: replace it with `coopfs partner replace`")
    holders = [known[column.place.node] for column in own.columns.columns]
    return [entry for entry in holders if entry.taken < size]


async def resize(own: OwnDisk, entries: Sequence[PartnerEntry], size: int | None) -> int:
    """Begin to give the disk as many rows as fit into `size` bytes at each partner, None: into what they all give, but
    not less than it has. The rows. UsageError: what is there does not fit, or the disk is getting another layout.
    StateError."""
    check_layouts(own)
    given = {entry.key: entry.taken for entry in entries}
    least = min(given.get(column.place.node, 0) for column in own.columns.columns)
    now, block_size = own.places.rows, own.ledger.layout.block_size
    if size is not None and rows_within(size, block_size) < now:
        rows = rows_after_cutting(size, now, block_size)
        if not fits(replace(own.space.usage(), total=rows)):
            needed = f"{_least_size(own, now, block_size) // MIB}M"
            raise UsageError(
                f"what is on the disk does not fit into {format_size(size)} at each partner: it needs {needed} now"
            )
    else:
        rows = max(now, rows_after_growing(least if size is None else size, block_size))
    own.growing.want(rows)
    await own.committer.commit()
    return rows


def _least_size(own: OwnDisk, now: int, block_size: int) -> int:
    """Bytes of each partner that what is on the disk needs now, in whole MiB: what may be said to `resize`."""
    usage, few, enough = own.space.usage(), 0, now
    while enough - few > 1:
        rows = (few + enough) // 2
        few, enough = (few, rows) if fits(replace(usage, total=rows)) else (rows, enough)
    size = enough * block_size + slots_offset(now) + MAX_GROWTHS * PAGE
    return -(-size // MIB) * MIB


def check_layouts(own: OwnDisk) -> None:
    """UsageError: there are two, and how many rows both have together follows from what is on the disk."""
    if own.reshaping.is_under_way:
        raise UsageError("the disk is getting another layout: wait until that is done, as `coopfs status` tells")


def rows_after_cutting(size: int, now: int, block_size: int) -> int:
    """The most rows of a store that fits into `size` bytes after it had `now`: the index of the others stays."""
    return max(0, size - slots_offset(now) - MAX_GROWTHS * PAGE) // block_size


def rows_after_growing(size: int, block_size: int) -> int:
    """The most rows of a store that fits into `size` bytes however often it has grown: each time costs up to a page."""
    return rows_within(max(0, size - MAX_GROWTHS * PAGE), block_size)


def column_size(own: OwnDisk) -> int:
    """Bytes that a new partner must give to get a column, now and when the disk has as many rows as are wanted."""
    return store_size(max(own.ledger.rows.total, own.growing.rows), own.ledger.layout.block_size)


def check_size(own: OwnDisk, name: str, given: int) -> None:
    """UsageError: a column does not fit into so many bytes."""
    needed = store_size(own.ledger.rows.total, own.ledger.layout.block_size)
    if given < needed:
        raise UsageError(f"{name} gives {format_size(given)}, a column of this disk needs {format_size(needed)}")


def column_of(own: OwnDisk, entry: PartnerEntry) -> Column:
    """The column that a partner holds; of two, that of the newer layout, as the other one goes. UsageError: none."""
    for column in reversed(own.columns.columns):
        if column.place.node == entry.key:
            return column
    raise UsageError(f"{entry.name} holds no column of this disk")
