"""Stripes of which a partner holds something else in the place of its block, and does not give it up (design R15). A
newer block in that row is all that it takes: so what lives of the stripe must go elsewhere, and the row be used again.
"""

from collections.abc import Collection

from coopfs.local.database import Database
from coopfs.types import Kind


class DisputedStripes:
    """ids: of all that are disputed now."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def content(self, ids: Collection[int], barrier: int) -> list[tuple[int, int]]:
        """(id, length) of the data stripes among them that live, and are held."""
        query = (
            f"SELECT id, length FROM stripes WHERE id IN ({_marks(ids)}) AND kind = {Kind.DATA:d} AND died IS NULL"
            " AND row IS NOT NULL AND born <= ? ORDER BY id"
        )
        return self._db.read(query, (*ids, barrier)).fetchall()

    def heads(self, ids: Collection[int], barrier: int) -> int:
        """How many meta stripes must be retired until none of those among them that are held is needed."""
        metas = f"FROM stripes WHERE kind != {Kind.DATA:d} AND died IS NULL"
        newest = f"SELECT max(version) {metas} AND born <= ? AND id IN ({_marks(ids)})"
        query = f"SELECT count(*) {metas} AND version <= ({newest})"
        return int(self._db.read(query, (barrier, *ids)).fetchone()[0])


def _marks(ids: Collection[int]) -> str:
    return ", ".join("?" * len(ids))
