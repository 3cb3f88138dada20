"""What a check reads of the log's side of the database, in pieces between which operations run."""

from collections.abc import Iterator
from typing import Any

from coopfs.local.database import Database
from coopfs.types import Kind


class Survey:
    """As of now, changes included that are not committed yet."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def sealed(self, after: int, limit: int) -> list[tuple[int, int]]:
        """(id, row) of the sealed stripes that follow, by ascending id."""
        query = "SELECT id, row FROM stripes WHERE id > ? AND row IS NOT NULL ORDER BY id LIMIT ?"
        return self._db.read(query, (after, limit)).fetchall()

    def rows(self, after: int, limit: int) -> list[tuple[int, int, int]]:
        """(id, layout, row) of the sealed stripes that follow, by ascending id."""
        query = "SELECT id, layout, row FROM stripes WHERE id > ? AND row IS NOT NULL ORDER BY id LIMIT ?"
        return self._db.read(query, (after, limit)).fetchall()

    def newest(self) -> int:
        """The highest id of a sealed stripe; 0: there is none."""
        found = self._db.read("SELECT id FROM stripes WHERE row IS NOT NULL ORDER BY id DESC LIMIT 1").fetchone()
        return 0 if found is None else int(found[0])

    def count(self, after: int, limit: int) -> tuple[int, int]:
        """(how many sealed stripes follow, at most `limit`; the id of the last of them)."""
        query = "SELECT id FROM stripes WHERE id > ? AND row IS NOT NULL ORDER BY id LIMIT ?"
        found = self._db.read(f"SELECT count(*), coalesce(max(id), 0) FROM ({query})", (after, limit)).fetchone()
        return found[0], found[1]

    def sealed_count(self) -> int:
        return int(self._db.read("SELECT count(*) FROM stripes WHERE row IS NOT NULL").fetchone()[0])

    def metas(self, after: int) -> list[int]:
        """Meta stripes that are not retired, of groups after this one, newest first."""
        query = (
            f"SELECT id FROM stripes WHERE kind != {Kind.DATA:d} AND died IS NULL AND born > ? ORDER BY version DESC"
        )
        return [id_ for (id_,) in self._db.read(query, (after,))]

    def killers(self) -> Iterator[bytes]:
        """The encoded tombstones and truncates of all groups that are not sealed."""
        return (image for (image,) in self._db.read("SELECT image FROM open_images WHERE stands = 0"))

    def unsealed_images(self, after: tuple[int, int, int, int | bytes] | None, limit: int) -> list[tuple[Any, ...]]:
        """(group, type, a, b, encoded image) of those of groups that are not sealed, by key, that follow; None: from
        the first on."""
        select = "SELECT grp, type, a, b, image FROM open_images WHERE stands"
        order = " ORDER BY grp, type, a, b LIMIT ?"
        if after is None:
            return self._db.read(select + order, (limit,)).fetchall()
        return self._db.read(f"{select} AND (grp, type, a, b) > (?, ?, ?, ?){order}", (*after, limit)).fetchall()
