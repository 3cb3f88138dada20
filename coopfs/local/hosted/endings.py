"""Agreements that are over: kept so that who does not know it yet is told, and cannot bring them back (RENEW)."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from sqlite3 import Connection

from coopfs.core.agreement import Agreement, decode
from coopfs.core.amending import same_partnership
from coopfs.local.nodedb import NodeDatabase
from coopfs.types import NodeKey


@dataclass(frozen=True, slots=True)
class Ending:
    """text: of the agreement that is over, 113 bytes; name, addresses: how the partner was called, and where it is."""

    peer: NodeKey
    name: str
    addresses: tuple[str, ...]
    text: bytes


def save(connection: Connection, peer: NodeKey, told: bool) -> None:
    """The agreement with a node is over, inside the caller's transaction: it and the partner are gone. told: whether
    that node knows."""
    connection.execute(
        "INSERT OR REPLACE INTO endings (peer, name, addresses, text, told) "
        "SELECT peer, coalesce(name, ''), coalesce(addresses, '[]'), text, ? "
        "FROM agreements LEFT JOIN partners ON key = peer WHERE peer = ?",
        (told, peer),
    )
    for table, column in (("agreements", "peer"), ("partners", "key"), ("disks", "peer"), ("masters", "peer")):
        connection.execute(f"DELETE FROM {table} WHERE {column} = ?", (peer,))
    for table in ("grants", "wishes", "asks"):
        connection.execute(f"DELETE FROM {table} WHERE peer = ?", (peer,))


def owed(database: NodeDatabase) -> Sequence[Ending]:
    """Those whose other side does not know yet, by name. StateError."""
    with database.reading() as connection:
        rows = connection.execute("SELECT peer, name, addresses, text FROM endings WHERE NOT told ORDER BY name")
        return [Ending(NodeKey(peer), name, tuple(json.loads(where)), text) for peer, name, where, text in rows]


def note_told(database: NodeDatabase, ending: Ending) -> None:
    """The other side knows. HomeError, StateError."""
    with database.transaction() as connection:
        connection.execute("UPDATE endings SET told = 1 WHERE peer = ? AND text = ?", (ending.peer, ending.text))


def hear(connection: Connection, peer: NodeKey, agreement: Agreement) -> bool:
    """The other side says that this agreement is over, so it knows. Whether that is known here."""
    if is_over(connection, peer, agreement):
        connection.execute("UPDATE endings SET told = 1 WHERE peer = ?", (peer,))
        return True
    return False


def is_over(connection: Connection, peer: NodeKey, agreement: Agreement) -> bool:
    """Whether the last agreement with this node that ended is this one, or an amendment of it."""
    row = connection.execute("SELECT text FROM endings WHERE peer = ?", (peer,)).fetchone()
    ended = None if row is None else decode(row[0])
    return ended is not None and same_partnership(ended, agreement) and agreement.start <= ended.start


def last_start(connection: Connection, peer: NodeKey) -> int:
    """When the last agreement with this node that ended had begun, in seconds since 1970; 0: there was none."""
    row = connection.execute("SELECT text FROM endings WHERE peer = ?", (peer,)).fetchone()
    return 0 if row is None else decode(row[0]).start


def parted(database: NodeDatabase) -> frozenset[NodeKey]:
    """The nodes with which an agreement ended, and there is none now. StateError."""
    with database.reading() as connection:
        rows = connection.execute("SELECT peer FROM endings WHERE peer NOT IN (SELECT peer FROM agreements)")
        return frozenset(NodeKey(peer) for (peer,) in rows)
