"""Changes of who holds the columns of this node's disk, as the owner asks for them (design R7, R14)."""

from collections.abc import Sequence

from coopfs.app.own_disk import OwnDisk
from coopfs.errors import UsageError
from coopfs.local.partners import PartnerEntry
from coopfs.tasks.column import Column


def find(entries: Sequence[PartnerEntry], name: str) -> PartnerEntry:
    """The partner of this name. UsageError: there is none."""
    for entry in entries:
        if entry.name == name:
            return entry
    raise UsageError(f"no partner is called {name!r}: see `coopfs partner list`")


async def lose(own: OwnDisk, entry: PartnerEntry) -> None:
    """Its column never counts again with this store. UsageError: it has none, or it answers. StateError."""
    column = column_of(own, entry)
    if column.session is not None:
        raise UsageError(f"{entry.name} answers, and what it holds counts: only who cannot be reached can be lost")
    own.columns.lose(column)
    await own.committer.commit()


def column_of(own: OwnDisk, entry: PartnerEntry) -> Column:
    """The column that a partner holds. UsageError: none."""
    for column in own.columns.columns:
        if column.place.node == entry.key:
            return column
    raise UsageError(f"{entry.name} holds no column of this disk")
