"""A disk's database from replayed images: what a restore view reads, and a takeover starts from (design R4).

Images come newest first; the first of every key stays. Secondary indexes are dropped meanwhile and made at the end,
and nothing is synced: a rebuild that was cut short begins again.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgpack

from coopfs.core.header import Header
from coopfs.core.meta import MetaHead
from coopfs.core.records import Extent, Image, Inode, Name, Record, Stripe, Tombstone, Truncate, Xattr, key_of
from coopfs.core.units import CHARGE
from coopfs.local.database import Database
from coopfs.local.groups import State
from coopfs.types import Kind, Place

_INODE = "INSERT OR IGNORE INTO inodes VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0)"
_NAME = "INSERT OR IGNORE INTO names (parent, name, ino, changed) VALUES (?, ?, ?, ?)"
_FIRST_NAMES = (
    "INSERT OR IGNORE INTO names (parent, name, ino, changed)"
    " SELECT parent, name, ino, changed FROM inodes WHERE name IS NOT NULL ORDER BY parent, name"
)
_EXTENT = "INSERT OR IGNORE INTO extents VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_NOTHING = (0,) * 7  # stands where the newest image of an inode has no first extent, so that no older one comes there
_XATTR = "INSERT OR IGNORE INTO xattrs VALUES (?, ?, ?, ?)"
_META = (
    "INSERT INTO stripes (id, kind, born, length, live, layout, slices, tag, row, version, end_row, end_version, grp)"
    " VALUES (?, ?, ?, ?, 0, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_STRIPE = (
    "INSERT OR IGNORE INTO stripes (id, kind, born, length, live, layout, slices, tag, row, version, grp, changed)"
    " VALUES (?, ?, ?, ?, 0, ?, ?, ?, ?, ?, ?, ?)"
)


@dataclass(frozen=True, slots=True)
class Named:
    """A data stripe that the state names: where it lies, the tag of its content, the group it was born in. layout: its
    id."""

    layout: int
    place: Place
    tag: bytes
    born: int


class Rebuild:
    """A database being filled. Call `insert` group by group, newest first, then `finish`."""

    def __init__(self, path: Path) -> None:
        self._db = Database.create(path)
        self._db.read("PRAGMA temp_store = FILE")  # sorting 10^6 names for an index would take 100 MB
        named = "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL"
        self._indexes = dict(self._db.read(named).fetchall())
        for name in self._indexes:
            self._db.write(f"DROP INDEX {name}")
        self.metas = 0

    def add_meta(self, first_id: int, head: MetaHead, header: Header, found: Iterable[Record]) -> None:
        """One meta stripe of the chain, which nothing in the log tells of. Ids of meta stripes are this machine's own:
        they count on from `first_id`, which no data stripe has."""
        id_ = first_id + self.metas
        self.metas += 1
        place, end = head.place, header.end
        keys = [_key(record) for record in found if not isinstance(record, Tombstone | Truncate)]
        sizes = (header.payload_length, header.layout, msgpack.packb(()))
        values = (id_, header.kind, head.group, *sizes, header.tag, place.row, place.version, end.row, end.version)
        self._db.write(_META, (*values, head.group))
        self._db.write("INSERT INTO meta_keys VALUES (?, ?)", (id_, msgpack.packb(keys)))

    def insert(self, group: int, images: Iterable[Image]) -> None:
        """The images of one group that newer groups left standing (core/replay)."""
        rows: defaultdict[str, list[tuple[Any, ...]]] = defaultdict(list)  # statement -> values
        for image in images:
            match image:
                case Inode():
                    rows[_INODE].append((*_attributes(image), group, group))
                    first = image.extent
                    rows[_EXTENT].append((image.ino, 0, *(_NOTHING if first is None else first.values), group))
                case Name(parent, name, ino):
                    rows[_NAME].append((parent, name, ino, group))
                case Extent(ino, offset):
                    rows[_EXTENT].append((ino, offset, *image.values, group))
                case Xattr(ino, name, value):
                    rows[_XATTR].append((ino, name, value, group))
                case Stripe():
                    rows[_STRIPE].append(_stripe(group, image))
        for sql, values in rows.items():
            self._db.write_many(sql, values)

    def stripes(self) -> Iterator[Named]:
        """The stripes that the state names, newest first."""
        query = "SELECT layout, version, row, tag, born FROM stripes ORDER BY version DESC"
        found = self._db.read(query)
        return (Named(layout, Place(version, row), tag, born) for layout, version, row, tag, born in found)

    def ends(self) -> Iterator[Place]:
        """Where each group in the log of the state ends."""
        found = self._db.read("SELECT version, row FROM stripes WHERE kind = ?", (Kind.END,))
        return (Place(version, row) for version, row in found)

    def finish(self, group: int, closed_at: int, facts: Mapping[str, int]) -> None:
        """The whole database, at the end of `group`; closed_at: wall seconds. Inodes that were unlinked while open have
        no name; whoever writes the disk next buries them, which takes a tombstone."""
        self._db.write(_FIRST_NAMES)
        self._db.write("DELETE FROM extents WHERE length = 0")
        self._db.write(
            f"UPDATE inodes SET stored = total FROM (SELECT ino AS i, sum({CHARGE}) AS total FROM extents GROUP BY ino)"
            " WHERE ino = i"
        )
        self._db.write(
            "UPDATE stripes SET live = total"
            f" FROM (SELECT stripe AS s, sum({CHARGE}) AS total FROM extents GROUP BY stripe) WHERE id = s"
        )
        for sql in self._indexes.values():
            self._db.write(sql)
        written = "INSERT INTO groups (id, state, closed_at) VALUES (?, ?, ?)"
        self._db.write(written, (group, State.WRITTEN, closed_at))
        self._db.write("INSERT INTO groups (id, state) VALUES (?, ?)", (group + 1, State.OPEN))
        for key, value in facts.items():
            self._db.set_fact(key, value)
        self._db.commit()

    def close(self) -> None:
        """Without `finish`: give up."""
        self._db.close()


def _attributes(i: Inode) -> tuple[Any, ...]:
    return i.ino, i.mode, i.uid, i.gid, i.nlink, i.rdev, i.size, i.atime, i.mtime, i.ctime, i.parent, i.name, i.target


def _stripe(group: int, s: Stripe) -> tuple[Any, ...]:
    sizes = (s.length, s.layout, msgpack.packb(s.slices), s.tag)
    return s.id, Kind.DATA, s.born, *sizes, s.place.row, s.place.version, s.born, group


def _key(record: Record) -> tuple[int, int, int | bytes]:
    """As in open_images."""
    type_, a, *b = key_of(record)
    return int(type_), a, b[0] if b else 0
