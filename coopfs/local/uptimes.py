"""What was seen of this node's and its partners' uptime (table `uptime` of node.sqlite)."""

from collections.abc import Mapping

from coopfs.core.uptime import UptimeLog
from coopfs.errors import ProtocolError, StateError
from coopfs.local.nodedb import NodeDatabase
from coopfs.types import NodeKey


def load(database: NodeDatabase) -> dict[NodeKey, UptimeLog]:
    """By node. HomeError, StateError."""
    logs: dict[NodeKey, UptimeLog] = {}
    with database.reading() as connection:
        rows = connection.execute("SELECT node, day, slots FROM uptime").fetchall()
    try:
        for node, day, slots in rows:
            logs.setdefault(NodeKey(node), UptimeLog()).load(day, slots)
    except ProtocolError as damage:
        raise StateError(f"node.sqlite is damaged: {damage}") from None
    return logs


def save(database: NodeDatabase, logs: Mapping[NodeKey, UptimeLog], up: Mapping[NodeKey, int]) -> None:
    """What has changed, and when partners that are up were last seen (seconds since 1970). HomeError, StateError."""
    with database.transaction() as connection:
        connection.executemany(
            "UPDATE partners SET last_seen = ? WHERE key = ?", [(time, key) for key, time in up.items()]
        )
        for node, log in logs.items():
            for day in log.changed:
                slots = log.encode(day)
                if slots is None:
                    connection.execute("DELETE FROM uptime WHERE node = ? AND day = ?", (node, day))
                else:
                    connection.execute("INSERT OR REPLACE INTO uptime VALUES (?, ?, ?)", (node, day, slots))
    for log in logs.values():
        log.changed.clear()
