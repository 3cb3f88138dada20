"""Disks, claims, master blocks and stores that this node holds for others: their rows in node.sqlite."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from coopfs.core.storeformat import StoreHeader
from coopfs.local.nodedb import NodeDatabase
from coopfs.types import Claim, DiskId, Grant, Master, NodeKey, StoreId

MASTER_SLOTS = 2


@dataclass(frozen=True, slots=True)
class StoreRecord:
    """One store: whose it is and its shape."""

    peer: NodeKey
    header: StoreHeader

    def file(self, directory: Path) -> Path:
        return directory / self.header.store.hex()


def claims(database: NodeDatabase) -> dict[tuple[NodeKey, DiskId], Claim]:
    """The claim granted for each disk of each partner."""
    with database.reading() as connection:
        rows = connection.execute(
            "SELECT peer, disk, epoch, claimer, time, signing_key, signature FROM disks"
        ).fetchall()
    return {(NodeKey(peer), DiskId(disk)): Claim(DiskId(disk), *rest) for peer, disk, *rest in rows}


def save_claim(database: NodeDatabase, peer: NodeKey, claim: Claim) -> None:
    """The disk is claimed by this from now on."""
    with database.transaction() as connection:
        connection.execute(
            "INSERT OR REPLACE INTO disks (peer, disk, epoch, claimer, time, signing_key, signature) "
            "VALUES (?, ?, ?, ?, ?, ?, ?)",
            (peer, claim.disk, claim.epoch, claim.claimer, claim.time, claim.signing_key, claim.signature),
        )


def masters(database: NodeDatabase, peer: NodeKey, disk: DiskId) -> list[Master]:
    """At most two, the newest first."""
    with database.reading() as connection:
        rows = connection.execute(
            "SELECT counter, data FROM masters WHERE peer = ? AND disk = ? ORDER BY counter DESC", (peer, disk)
        ).fetchall()
    return [Master(int.from_bytes(counter, "big"), data) for counter, data in rows]


def save_master(database: NodeDatabase, peer: NodeKey, disk: DiskId, master: Master) -> None:
    """Put the newest master block into the slot of the older one."""
    with database.transaction() as connection:
        connection.execute(
            "INSERT INTO masters (peer, disk, counter, data) VALUES (?, ?, ?, ?)",
            (peer, disk, master.counter.to_bytes(8, "big"), master.data),
        )
        connection.execute(
            "DELETE FROM masters WHERE peer = ?1 AND disk = ?2 AND counter NOT IN "
            "(SELECT counter FROM masters WHERE peer = ?1 AND disk = ?2 ORDER BY counter DESC LIMIT ?3)",
            (peer, disk, MASTER_SLOTS),
        )


def stores(database: NodeDatabase) -> Sequence[StoreRecord]:
    """All of them, by partner and disk, with the rows that they were made with: what was added says the file."""
    with database.reading() as connection:
        rows = connection.execute(
            "SELECT peer, disk, store, rows, block_size FROM stores ORDER BY peer, disk, store"
        ).fetchall()
    return [
        StoreRecord(NodeKey(peer), StoreHeader(DiskId(disk), StoreId(store), store_rows, block_size))
        for peer, disk, store, store_rows, block_size in rows
    ]


def save_store(database: NodeDatabase, record: StoreRecord) -> None:
    """The store exists from now on."""
    header = record.header
    with database.transaction() as connection:
        connection.execute(
            "INSERT INTO stores (store, peer, disk, rows, block_size) VALUES (?, ?, ?, ?, ?)",
            (header.store, record.peer, header.disk, header.rows, header.block_size),
        )


def forget_store(database: NodeDatabase, store: StoreId) -> None:
    """The store is no more."""
    with database.transaction() as connection:
        connection.execute("DELETE FROM stores WHERE store = ?", (store,))


def grants(database: NodeDatabase) -> list[tuple[NodeKey, Grant]]:
    """(owner, grant) of every reader of a store."""
    with database.reading() as connection:
        rows = connection.execute("SELECT peer, disk, store, reader, until FROM grants").fetchall()
    return [
        (NodeKey(peer), Grant(DiskId(disk), StoreId(store), NodeKey(reader), until))
        for peer, disk, store, reader, until in rows
    ]


def save_grant(database: NodeDatabase, peer: NodeKey, grant: Grant, now: int) -> None:
    """This stands from now on; what has ended by `now` (seconds since 1970) goes."""
    with database.transaction() as connection:
        connection.execute(
            "INSERT OR REPLACE INTO grants (store, reader, peer, disk, until) VALUES (?, ?, ?, ?, ?)",
            (grant.store, grant.reader, peer, grant.disk, grant.until),
        )
        connection.execute("DELETE FROM grants WHERE until <= ?", (now,))


def used(records: Sequence[StoreRecord]) -> dict[NodeKey, int]:
    """Bytes that each partner's stores take here."""
    sums: dict[NodeKey, int] = {}
    for record in records:
        sums[record.peer] = sums.get(record.peer, 0) + record.header.size
    return sums
