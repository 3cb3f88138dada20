"""How far a disk's newest key has got, and what is to become of the stripes that older ones sealed (design R1): facts,
and questions to the table of stripes.
"""

from coopfs.local.database import Database
from coopfs.types import Kind

_EVERYTHING, _CARRIED = "rekey_everything", "kit_key"
_LIVES = "died IS NULL AND row IS NOT NULL AND version < ?"


class RekeyMark:
    """What is set here is durable with the next commit."""

    def __init__(self, database: Database) -> None:
        self._db = database

    @property
    def carried(self) -> int:
        """Id of the newest key that an exported kit has; 0: not known of any."""
        return int(self._db.fact(_CARRIED, 0))

    def carry(self, key: int) -> None:
        """A kit that has this key is in its owner's hands."""
        if key > self.carried:
            self._db.set_fact(_CARRIED, key)

    @property
    def everything(self) -> int:
        """Id of the newest key with which what older ones sealed is to be written again; 0: of none."""
        return int(self._db.fact(_EVERYTHING, 0))

    def want_everything(self, key: int) -> None:
        self._db.set_fact(_EVERYTHING, key)

    def has_older(self, version: int) -> bool:
        """Whether some row is still taken by a stripe of a version below this."""
        query = "SELECT 1 FROM stripes WHERE row IS NOT NULL AND version < ? LIMIT 1"
        return self._db.read(query, (version,)).fetchone() is not None

    def older_data(self, version: int, barrier: int, after: int, limit: int) -> list[tuple[int, int]]:
        """(id, length) of data stripes that live, are held, and are of a version below this, after one id."""
        query = (
            f"SELECT id, length FROM stripes WHERE kind = {Kind.DATA:d} AND {_LIVES} AND born <= ? AND id > ?"
            " ORDER BY id LIMIT ?"
        )
        return self._db.read(query, (version, barrier, after, limit)).fetchall()

    def older_heads(self, version: int, barrier: int) -> int:
        """How many meta stripes must be retired until none of a version below this, of those held, is needed."""
        query = f"SELECT count(*) FROM stripes WHERE kind != {Kind.DATA:d} AND {_LIVES} AND born <= ?"
        return int(self._db.read(query, (version, barrier)).fetchone()[0])

    def older_bytes(self, version: int) -> int:
        """Content bytes that live in data stripes of a version below this."""
        query = f"SELECT coalesce(sum(live), 0) FROM stripes WHERE kind = {Kind.DATA:d} AND {_LIVES}"
        return int(self._db.read(query, (version,)).fetchone()[0])
