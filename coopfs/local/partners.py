"""My partners: whom this node calls, under which name, and where (table `partners` of node.sqlite)."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from sqlite3 import Connection
from typing import Any

from coopfs.local.nodedb import NodeDatabase
from coopfs.types import NodeKey

_COLUMNS = "name, key, addresses, given, taken, last_seen"


@dataclass(frozen=True, slots=True)
class PartnerEntry:
    """given: bytes this node gives it; taken: bytes this node may use there; last_seen: seconds since 1970, None =
    never.
    """

    name: str
    key: NodeKey
    addresses: tuple[str, ...]
    given: int
    taken: int
    last_seen: int | None = None


def insert(connection: Connection, entry: PartnerEntry) -> PartnerEntry:
    """Add a partner inside the caller's transaction and return it under the name it got.

    A name that another partner has gets as much of the node key as makes it unique.
    """
    key = entry.key.hex()
    candidates = [entry.name] + [f"{entry.name[: 63 - digits]}-{key[:digits]}" for digits in (8, 16, 32)] + [key]
    name = next(name for name in candidates if not _exists(connection, name))
    named = replace(entry, name=name)
    connection.execute(
        f"INSERT INTO partners ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?)",
        (name, entry.key, json.dumps(entry.addresses), entry.given, entry.taken, entry.last_seen),
    )
    return named


def renew(connection: Connection, entry: PartnerEntry) -> PartnerEntry:
    """A partner is known again, or still, inside the caller's transaction: what is given and taken is as `entry` says.
    One that is here keeps its name, and its addresses if there are any."""
    query = f"SELECT {_COLUMNS} FROM partners WHERE key = ?"
    row = connection.execute(query, (entry.key,)).fetchone()
    if row is None:
        return insert(connection, entry)
    known = _entry(row)
    kept = replace(known, given=entry.given, taken=entry.taken, addresses=known.addresses or entry.addresses)
    connection.execute(
        "UPDATE partners SET given = ?, taken = ?, addresses = ? WHERE key = ?",
        (kept.given, kept.taken, json.dumps(kept.addresses), kept.key),
    )
    return kept


def amend(connection: Connection, key: NodeKey, size: int) -> None:
    """So many bytes are given and taken from now on, inside the caller's transaction."""
    connection.execute("UPDATE partners SET given = ?, taken = ? WHERE key = ?", (size, size, key))


def move(database: NodeDatabase, key: NodeKey, addresses: tuple[str, ...]) -> None:
    """The partner is reached there from now on. Not a partner: nothing happens. HomeError, StateError."""
    with database.transaction() as connection:
        connection.execute("UPDATE partners SET addresses = ? WHERE key = ?", (json.dumps(addresses), key))


def forget(database: NodeDatabase, key: NodeKey) -> None:
    """It is no partner. HomeError, StateError."""
    with database.transaction() as connection:
        connection.execute("DELETE FROM partners WHERE key = ?", (key,))


def all_partners(database: NodeDatabase) -> Sequence[PartnerEntry]:
    """By name. HomeError, StateError."""
    with database.reading() as connection:
        return [_entry(row) for row in connection.execute(f"SELECT {_COLUMNS} FROM partners ORDER BY name")]


def taken_from(database: NodeDatabase, node: NodeKey) -> int:
    """Bytes that a partner gives; 0: it is none. HomeError, StateError."""
    return next((entry.taken for entry in all_partners(database) if entry.key == node), 0)


def addresses(database: NodeDatabase) -> dict[NodeKey, tuple[str, ...]]:
    """Where each partner is, by its newest word. HomeError, StateError."""
    return {entry.key: entry.addresses for entry in all_partners(database)}


def _exists(connection: Connection, name: str) -> bool:
    return connection.execute("SELECT 1 FROM partners WHERE name = ?", (name,)).fetchone() is not None


def _entry(row: tuple[Any, ...]) -> PartnerEntry:
    name, key, addresses, given, taken, last_seen = row
    return PartnerEntry(name, NodeKey(key), tuple(json.loads(addresses)), given, taken, last_seen)
