"""How far a new machine has fetched the content of the disk that it took over."""

from coopfs.local.database import Database

_FACT = "refill"


class RefillMark:
    """A fact of the disk."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @property
    def below(self) -> int:
        """Content of stripes with lower ids is still to be fetched; 0: of none."""
        return int(self._database.fact(_FACT, 0))

    def move(self, below: int) -> None:
        """Durable with the next commit."""
        self._database.set_fact(_FACT, below)
