"""The rows of a disk's database that the log does not tell, though they say so: the other way round than comparison.

Whoever replays the log notes the newest image of each key that stands, in a table on the local disk that goes with the
connection: 10^7 keys take 150 MB there, and CACHE_KIB of memory. Then each table is asked for rows that name another
group as that of their newest image. Of a group that is not sealed the records are in the database itself.

A row's group only ever becomes the open one. So a row that names a group which was sealed before the log was read names
it since then, and that group tells it, or something is wrong: whatever goes on meanwhile. Groups that were sealed since
are left to the next check.
"""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from coopfs.core.records import Type
from coopfs.errors import NotAsked
from coopfs.limits import FINDINGS_MAX
from coopfs.local.chain import Key
from coopfs.local.database import CACHE_KIB
from coopfs.local.groups import State
from coopfs.types import Kind

_TOLD = "CREATE TEMP TABLE told (type INTEGER, a INTEGER, b, grp INTEGER, PRIMARY KEY (type, a, b)) WITHOUT ROWID"
_NEWEST = "(SELECT max(id) FROM groups)"


def _untold(table: str, type_: Type, a: str, b: str) -> str:
    """Which rows of a table nothing tells that stands in the group they name."""
    changed = f"{table}.changed"
    # with a plus, since no index would be used for a column of any type beside one of integers
    key = f"type = {type_:d} AND a = {a} AND b = +{b} AND grp = {changed}"
    born = f" AND {changed} != born" if type_ is Type.STRIPE else ""  # which is told when its group is sealed
    return (
        f"({changed} > {_NEWEST}"
        f" OR {changed} > :after AND {changed} <= :newest AND NOT EXISTS (SELECT 1 FROM told WHERE {key})"
        f" OR {changed} IN (SELECT groups.id FROM groups WHERE state < {State.SEALED:d}){born}"
        f" AND NOT EXISTS (SELECT 1 FROM open_images WHERE {key} AND stands))"
    )


# What belongs to an inode that is not there is told by those who look for orphans; so is an extent in no stripe.
_ROWS: tuple[tuple[Type, str], ...] = (
    (
        Type.INODE,
        f"SELECT ino, 0, changed, changed > {_NEWEST} FROM inodes WHERE {_untold('inodes', Type.INODE, 'ino', '0')}",
    ),
    (
        Type.NAME,
        f"SELECT names.parent, names.name, names.changed, names.changed > {_NEWEST} FROM names JOIN inodes USING (ino)"
        " WHERE (inodes.parent IS NOT names.parent OR inodes.name IS NOT names.name)"
        f" AND {_untold('names', Type.NAME, 'names.parent', 'names.name')}",
    ),
    (
        Type.EXTENT,
        f"SELECT extents.ino, extents.offset, extents.changed, extents.changed > {_NEWEST}"
        " FROM extents JOIN inodes ON inodes.ino = extents.ino JOIN stripes ON id = stripe AND died IS NULL"
        " LEFT JOIN graves ON graves.ino = extents.ino"
        " WHERE extents.offset > 0 AND (graves.offset IS NULL OR extents.offset < graves.offset)"
        f" AND {_untold('extents', Type.EXTENT, 'extents.ino', 'extents.offset')}",
    ),
    (
        Type.XATTR,
        f"SELECT xattrs.ino, xattrs.name, xattrs.changed, xattrs.changed > {_NEWEST}"
        " FROM xattrs JOIN inodes USING (ino)"
        f" WHERE {_untold('xattrs', Type.XATTR, 'xattrs.ino', 'xattrs.name')}",
    ),
    (
        Type.STRIPE,
        f"SELECT id, 0, changed, changed > {_NEWEST} FROM stripes"
        f" WHERE kind = {Kind.DATA:d} AND died IS NULL AND row IS NOT NULL"
        f" AND {_untold('stripes', Type.STRIPE, 'stripes.id', '0')}",
    ),
)
TABLES = tuple(type_ for type_, _ in _ROWS)


@dataclass(frozen=True, slots=True)
class Walked:
    """The log was read from group `newest` down to the one after `after`, whole."""

    newest: int
    after: int


@dataclass(frozen=True, slots=True)
class Untold:
    """A row that the log does not tell. a, b: as in open_images; group: that it names; is_to_come: there is no such
    group yet."""

    type: Type
    a: int
    b: int | bytes
    group: int
    is_to_come: bool


class ToldKeys:
    """A connection that only reads, and its table. Its methods wait: they are for a thread, one at a time. NotAsked: no
    room for the table, or the like."""

    def __init__(self, path: Path) -> None:
        uri = f"{path.absolute().as_uri()}?mode=ro"
        self._connection = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False)
        try:
            self._connection.execute("PRAGMA temp_store = FILE")
            self._connection.execute(f"PRAGMA temp.cache_size = -{CACHE_KIB}")
            self._connection.execute(_TOLD)
        except sqlite3.DatabaseError as bad:
            self._connection.close()
            raise NotAsked(str(bad)) from bad

    def note(self, group: int, keys: Sequence[Key]) -> None:
        """The images that stand in this group. Groups come newest first: the first of every key counts."""
        try:
            self._connection.execute("BEGIN")
            told = ((*key, group) for key in keys)
            self._connection.executemany("INSERT OR IGNORE INTO told VALUES (?, ?, ?, ?)", told)
            self._connection.execute("COMMIT")
        except sqlite3.DatabaseError as bad:
            raise NotAsked(str(bad)) from bad

    def untold(self, type_: Type, walked: Walked) -> list[Untold]:
        """The rows of one table that are not told, as of the last commit; FINDINGS_MAX at the most."""
        values = {"newest": walked.newest, "after": walked.after}
        try:
            with closing(self._connection.execute(dict(_ROWS)[type_], values)) as rows:
                found = rows.fetchmany(FINDINGS_MAX)
        except sqlite3.DatabaseError as bad:
            raise NotAsked(str(bad)) from bad
        return [Untold(type_, a, b, group, bool(is_to_come)) for a, b, group, is_to_come in found]

    def interrupt(self) -> None:
        """What is being asked ends: from any thread."""
        self._connection.interrupt()

    def close(self) -> None:
        self._connection.close()
