"""Changes of who holds the columns of this node's disk, as the owner asks for them (design R7, R14)."""

from collections.abc import Sequence

from coopfs.app.own_disk import OwnDisk
from coopfs.core.columnstate import Event
from coopfs.core.master import StorePlace
from coopfs.core.storeformat import store_size
from coopfs.errors import UsageError
from coopfs.local.partners import PartnerEntry
from coopfs.sizes import format_size
from coopfs.tasks.column import Column


def find(entries: Sequence[PartnerEntry], name: str) -> PartnerEntry:
    """The partner of this name. UsageError: there is none."""
    for entry in entries:
        if entry.name == name:
            return entry
    raise UsageError(f"no partner is called {name!r}: see `coopfs partner list`")


async def lose(own: OwnDisk, entry: PartnerEntry) -> None:
    """Its store never counts again. UsageError: it has none, or it answers. StateError."""
    incoming = own.columns.incoming
    if incoming is not None and incoming.place.node == entry.key:
        await own.replacing.give_up()
        return
    column = column_of(own, entry)
    if column.session is not None:
        raise UsageError(
            f"{entry.name} answers, and what it holds counts: `coopfs partner replace` gives its column to another "
            "partner without losing any of it"
        )
    own.columns.happen(column, Event.LOST)
    await own.committer.commit()


async def give(own: OwnDisk, old: PartnerEntry, new: PartnerEntry) -> None:
    """Begin to give the column of `old` to `new`; nothing, if that was begun before. UsageError, StateError."""
    column, incoming = column_of(own, old), own.columns.incoming
    if incoming is not None and (incoming.number, incoming.place.node) == (column.number, new.key):
        return
    if any(store.node == new.key for stores in own.places.columns for store in stores):
        raise UsageError(f"{new.name} holds a column of this disk already")
    check_size(own, new.name, new.taken)
    at = StorePlace(column.place.store, new.key, new.key, new.name, new.addresses)
    await own.replacing.begin(column.number, at)


def check_size(own: OwnDisk, name: str, given: int) -> None:
    """UsageError: a column does not fit into so many bytes."""
    needed = store_size(own.ledger.rows.total, own.ledger.layout.block_size)
    if given < needed:
        raise UsageError(f"{name} gives {format_size(given)}, a column of this disk needs {format_size(needed)}")


def column_of(own: OwnDisk, entry: PartnerEntry) -> Column:
    """The column that a partner holds. UsageError: none."""
    for column in own.columns.columns:
        if column.place.node == entry.key:
            return column
    raise UsageError(f"{entry.name} holds no column of this disk")
