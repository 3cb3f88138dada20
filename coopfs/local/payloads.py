"""The payloads of sealed meta stripes, from which these are sealed again, byte for byte (design R5)."""

from collections.abc import Iterable

from coopfs.local.database import Database


class Payloads:
    """Each as long as its stripe is not complete, or its group not held: until then nobody else need have it. All
    changes belong to the transaction of the caller's next commit."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def add(self, id_: int, payload: bytes) -> None:
        """Of a new meta stripe."""
        self._db.write("INSERT INTO meta_payloads VALUES (?, ?)", (id_, payload))

    def get(self, id_: int) -> bytes | None:
        """None: it is not here any more."""
        row = self._db.read("SELECT payload FROM meta_payloads WHERE stripe = ?", (id_,)).fetchone()
        return None if row is None else row[0]

    def drop_held(self, complete: Iterable[int], held: int) -> None:
        """Of these stripes, data stripes too perhaps, those that were born in the group `held` or before."""
        query = "DELETE FROM meta_payloads WHERE stripe = (SELECT id FROM stripes WHERE id = ? AND born <= ?)"
        self._db.write_many(query, [(id_, held) for id_ in complete])

    def forget(self, ids: Iterable[int]) -> None:
        """Stripes that are dead for good."""
        self._db.write_many("DELETE FROM meta_payloads WHERE stripe = ?", [(id_,) for id_ in ids])
