"""What lives in rows that a disk is to lose (design R14). No index has the rows: all stripes are looked through."""

from coopfs.local.database import Database
from coopfs.types import Kind


class HighRows:
    """Queries only."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def newest_meta(self, layout: int, row: int) -> int:
        """The version of the newest meta stripe of a layout that is not retired and lies in this row or beyond; 0:
        there is none. The log is short."""
        query = (
            f"SELECT max(version) FROM stripes WHERE kind != {Kind.DATA:d} AND died IS NULL AND layout = ? AND row >= ?"
        )
        return int(self._db.read(query, (layout, row)).fetchone()[0] or 0)

    def data(self, layout: int, row: int, after: int, count: int) -> tuple[list[tuple[int, int, int]], int]:
        """(id, length, born) of the data stripes of a layout that live in this row or beyond, among the next `count`
        stripes after the one of this id; and the id of the last one that was looked at, 0: there are no more."""
        query = "SELECT id, length, born, row, kind, died, layout FROM stripes WHERE id > ? ORDER BY id LIMIT ?"
        page = self._db.read(query, (after, count)).fetchall()
        found = [
            (id_, length, born)
            for id_, length, born, at, kind, died, of in page
            if kind == Kind.DATA and died is None and of == layout and at is not None and at >= row
        ]
        return found, page[-1][0] if page else 0
