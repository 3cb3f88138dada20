"""The chain of meta stripes: its head, how long it is, and what stands in it (design R3, R4)."""

import msgpack

from coopfs.local.database import Database
from coopfs.types import Kind, Place

Key = tuple[int, int, int | bytes]  # of an image: type, a, b as in open_images

# SQLite uses the index of a part of a table where a query says the same in the same words, without parameters.
_META = f"kind != {Kind.DATA:d}"


class Chain:
    """Questions to the table of stripes, and the keys of the images in each that is not retired."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def of(self, group: int) -> list[Place]:
        """The places of all meta stripes from the head on, oldest first, as they are at the end of `group`."""
        query = (
            f"SELECT version, row FROM stripes WHERE {_META} AND row IS NOT NULL AND (died IS NULL OR died > ?)"
            " ORDER BY version"
        )
        return [Place(version, row) for version, row in self._db.read(query, (group,))]

    def rows_before(self, limit: int) -> dict[int, int]:
        """Layout -> its meta stripes that have a row before `limit`, retired ones whose death is not held too."""
        return dict(self._db.read(f"SELECT layout, count(*) FROM stripes WHERE {_META} AND row < {limit:d} GROUP BY 1"))

    def length(self) -> int:
        """Meta stripes that are not retired."""
        return int(self._db.read(f"SELECT count(*) FROM stripes WHERE {_META} AND died IS NULL").fetchone()[0])

    def head(self) -> tuple[int, int] | None:
        """(id, group) of the oldest meta stripe that is not retired: the head."""
        query = f"SELECT id, born FROM stripes WHERE {_META} AND died IS NULL ORDER BY version LIMIT 1"
        return self._db.read(query).fetchone()  # type: ignore[no-any-return]

    def keys(self, id_: int) -> list[Key]:
        """The keys of the images in a live meta stripe."""
        (keys,) = self._db.read("SELECT keys FROM meta_keys WHERE stripe = ?", (id_,)).fetchone()
        return [tuple(key) for key in msgpack.unpackb(keys, use_list=False)]

    def retire(self, id_: int, group: int) -> None:
        """Every image of this meta stripe that still stands is told again, in `group` at the latest."""
        self._db.write("UPDATE stripes SET died = ? WHERE id = ?", (group, id_))
        self._db.write("DELETE FROM meta_keys WHERE stripe = ?", (id_,))
