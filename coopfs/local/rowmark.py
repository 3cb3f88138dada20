"""How many rows of its stores a disk uses, and how many it is to have: facts of the disk (design R14)."""

from coopfs.local.database import Database

_USED, _WANTED = "rows", "rows_wanted"


class RowMark:
    """Both durable with the next commit."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def used(self, named: int) -> int:
        """Rows that stripes may take, as it was noted last. named: by the master block, if nothing was noted."""
        return int(self._database.fact(_USED, named))

    def use(self, rows: int) -> None:
        """So many from now on."""
        self._database.set_fact(_USED, rows)

    @property
    def wanted(self) -> int:
        """Rows that the owner wants; 0: no more than there are."""
        return int(self._database.fact(_WANTED, 0))

    def want(self, rows: int) -> None:
        self._database.set_fact(_WANTED, rows)
