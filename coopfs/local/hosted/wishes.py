"""Agreements that are to be amended: what this node has asked its partners for, and what they ask of it.

While an answer may be on its way nobody knows which size is in force. So what is reserved for a partner is the most
that it may have agreed to, and what its stores may take the least.
"""

from dataclasses import dataclass
from sqlite3 import Connection

from coopfs.core import agreement as texts
from coopfs.core.agreement import Agreement
from coopfs.core.amending import amended, rank
from coopfs.local.nodedb import NodeDatabase
from coopfs.types import NodeKey


@dataclass(frozen=True, slots=True)
class Wish:
    """least, most: bytes, over all that was asked for and may have been agreed to."""

    agreement: Agreement
    least: int
    most: int

    @property
    def size(self) -> int:
        """Bytes each way."""
        return self.agreement.inviter_gives


class Wishes:
    """One of each kind per partner. Changes are made inside the caller's transaction; call `load` after it."""

    def __init__(self, database: NodeDatabase) -> None:
        self._database = database
        self._wishes: dict[NodeKey, Wish] = {}
        self._asks: dict[NodeKey, int] = {}
        self.load()

    def load(self) -> None:
        """Know what the tables say. StateError."""
        with self._database.reading() as connection:
            wishes = connection.execute("SELECT peer, text, least, most FROM wishes").fetchall()
            asks = connection.execute("SELECT peer, size FROM asks").fetchall()
        self._wishes = {NodeKey(peer): Wish(texts.decode(text), least, most) for peer, text, least, most in wishes}
        self._asks = {NodeKey(peer): size for peer, size in asks}

    def all(self) -> dict[NodeKey, int]:
        """Bytes that each partner is asked for."""
        return {peer: wish.size for peer, wish in self._wishes.items()}

    def asks(self) -> dict[NodeKey, int]:
        """Bytes that each partner asks this node's owner for."""
        return dict(self._asks)

    def of(self, peer: NodeKey) -> Wish | None:
        """What this partner is asked for."""
        return self._wishes.get(peer)

    def save(self, connection: Connection, peer: NodeKey, wish: Wish) -> None:
        """Ask for this, and nothing else."""
        values = (peer, wish.agreement.encode(), wish.least, wish.most)
        connection.execute("INSERT OR REPLACE INTO wishes VALUES (?, ?, ?, ?)", values)

    def ask(self, peer: NodeKey, size: int) -> None:
        """The partner asks for this. HomeError, StateError."""
        if self._asks.get(peer) != size:
            with self._database.transaction() as connection:
                connection.execute("INSERT OR REPLACE INTO asks VALUES (?, ?)", (peer, size))
            self._asks[peer] = size

    def follow(self, connection: Connection, peer: NodeKey, agreed: Agreement) -> None:
        """This was agreed: what it settles is asked for no more, and what it passed by is asked for anew."""
        connection.execute("DELETE FROM asks WHERE peer = ?", (peer,))
        wish = self._wishes.get(peer)
        if wish is None or rank(wish.agreement) > rank(agreed):
            return  # it is asked for as before, since it may have been agreed to as well
        if wish.size == agreed.inviter_gives:
            connection.execute("DELETE FROM wishes WHERE peer = ?", (peer,))
        else:
            sizes = wish.size, agreed.inviter_gives
            anew = amended(agreed, wish.size, wish.agreement.start)
            self.save(connection, peer, Wish(anew, min(sizes), max(sizes)))
