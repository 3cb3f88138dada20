"""Who has which stripe: a bit in `acks` for each seat (core/seats), and one more for a store that is being filled."""

from collections.abc import Iterable, Iterator, Sequence

from coopfs.core.seats import ALL_SEATS, Span
from coopfs.limits import MAX_COLUMNS
from coopfs.local.database import Database

INCOMING = MAX_COLUMNS  # the bit of a store that is being filled: no column's
ACKS = ALL_SEATS


class Acks:
    """Of the sealed stripes. All changes belong to the transaction of the caller's next commit."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def of_layout(self, layout: int | None, after: int, limit: int) -> list[tuple[int, int, int, int]]:
        """Log.places, of the stripes of one layout."""
        query = (
            "SELECT id, row, version, acks FROM stripes WHERE id > ? AND layout = ? AND row IS NOT NULL"
            " ORDER BY id LIMIT ?"
        )
        return self._db.read(query, (after, layout, limit)).fetchall()

    def below(self, span: Span) -> Iterator[tuple[int, int, int, int | None, int]]:
        """(id, layout, born, died, acks) of the sealed stripes of this layout that some of its columns lacks."""
        query = (
            "SELECT id, layout, born, died, acks & ?1 FROM stripes"
            " WHERE row IS NOT NULL AND acks & ?1 != ?1 AND layout = ?2"
        )
        return iter(self._db.read(query, (span.mask, span.layout.id)))

    def of_seat(self, seat: int, after: int, limit: int) -> list[int]:
        """The sealed stripes after this one that the column of this seat has, by ascending id."""
        query = "SELECT id FROM stripes WHERE id > ? AND row IS NOT NULL AND acks & ? ORDER BY id LIMIT ?"
        return [id_ for (id_,) in self._db.read(query, (after, 1 << seat, limit))]

    def lives(self, ids: Sequence[int]) -> dict[int, tuple[int, int, int | None, int]]:
        """Sealed stripe -> (layout, born, died, acks); all these, of which there are at most LOST_AT_ONCE."""
        marks = ", ".join("?" * len(ids))
        query = f"SELECT id, layout, born, died, acks & {ACKS} FROM stripes WHERE id IN ({marks}) AND row IS NOT NULL"
        found = {id_: (layout, born, died, acks) for id_, layout, born, died, acks in self._db.read(query, ids)}
        assert len(found) == len(ids)
        return found

    def add(self, ids: Iterable[int], seat: int) -> None:
        """The column of this seat has these stripes."""
        self._db.write_many("UPDATE stripes SET acks = acks | ? WHERE id = ?", [(1 << seat, id_) for id_ in ids])

    def take(self, ids: Iterable[int], seat: int) -> None:
        """It has them no more."""
        self._db.write_many("UPDATE stripes SET acks = acks & ~? WHERE id = ?", [(1 << seat, id_) for id_ in ids])
