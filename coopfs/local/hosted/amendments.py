"""How an agreement over one size becomes one over another, with both owners' consent (paper section 2.6).

Who asks:  wish (reserve what it takes more, save) ... request, sent until it is answered ... settle (check, save, give
           back what it takes less)
The other: answer (check; its owner does not want that: save that it was asked for, refuse) ... its owner wishes for
           the same ... answer (reserve what it takes more, save, give back what it takes less)

A wish for a size is the consent to that size; the size that stands needs none, and so a wish is taken back by a wish
for it. Each side says which text it knows, and is shown a newer one if there is one: a crash anywhere, or an answer
that got lost, is made good by asking again.
"""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from coopfs.core import agreement as texts
from coopfs.core.agreement import Agreement
from coopfs.core.amending import amended, check_successor, rank
from coopfs.errors import HomeError, NoAgreement, Refused, UsageError
from coopfs.local.hosted.agreements import Agreements
from coopfs.local.hosted.hostedstores import HostedStores
from coopfs.local.hosted.reservation import peer_file, reserve
from coopfs.local.hosted.wishes import Wish, Wishes
from coopfs.local.nodedb import NodeDatabase
from coopfs.sizes import format_size
from coopfs.types import Amendment, NodeKey, Settlement


class Amendments:
    """Synchronous, safe from any thread. Every method may raise HomeError and StateError."""

    def __init__(
        self,
        database: NodeDatabase,
        directory: Path,
        agreements: Agreements,
        wishes: Wishes,
        stores: HostedStores,
        consents: Callable[[NodeKey, int], bool],
    ) -> None:
        """directory: where reservations lie; consents: whether this node's owner has agreed to so many bytes with that
        partner in advance."""
        self._database = database
        self._directory = directory
        self._agreements = agreements
        self._wishes = wishes
        self._stores = stores
        self._consents = consents

    def wish(self, peer: NodeKey, size: int, now: int) -> None:
        """Ask for `size` bytes each way from now on, and agree to it if that is asked for. now: seconds since 1970.

        UsageError: no agreement, what is stored here takes more, or no such size. HomeError: no room for so much.
        """
        with self._stores.still(peer) as used:
            agreement, wish = self._agreements.of(peer), self._wishes.of(peer)
            if agreement is None:
                raise UsageError("there is no agreement with this node")
            standing = agreement.inviter_gives == agreement.acceptor_gives == size
            if (wish is None and standing) or (wish is not None and wish.size == size):
                return
            if size < used:
                raise UsageError(f"what this partner stores here takes {format_size(used)}")
            anew = amended(agreement if wish is None else wish.agreement, size, max(now, agreement.start + 1))
            least = min(size, self._agreements.usable(peer))
            most = max(size, self._agreements.promised(peer))
            reserve(peer_file(self._directory, peer), most - used)
            with self._database.transaction() as connection:
                self._wishes.save(connection, peer, Wish(anew, least, most))
            self._wishes.load()

    def request(self, peer: NodeKey) -> Amendment | None:
        """What to ask this partner; None: nothing."""
        agreement, wish = self._agreements.of(peer), self._wishes.of(peer)
        if agreement is None or wish is None:
            return None
        return Amendment(agreement.encode(), wish.agreement.encode(), self._agreements.sign(wish.agreement))

    def settle(self, peer: NodeKey, settlement: Settlement) -> None:
        """What the partner answered. NotAuthentic, ProtocolError, Refused: it is no agreement of these two."""
        new = texts.decode(settlement.text)
        texts.verify(new, peer, settlement.mine)
        texts.verify(new, self._agreements.key, settlement.yours)
        with self._stores.still(peer) as used:
            old = self._known(peer)
            check_successor(old, new)
            if rank(new) > rank(old):
                with suppress(HomeError):  # both have signed it; what is missing is asked for when a store is made
                    self._reserve(peer, new.inviter_gives, used)
                self._adopt(peer, new, settlement.yours, settlement.mine, used)

    def answer(self, peer: NodeKey, amendment: Amendment) -> Settlement:
        """The agreement in force with a node that asks for another one. Refused: its stores here take more, the owner
        has not agreed yet, or no room. NotAuthentic, ProtocolError, NoAgreement."""
        new, before = texts.decode(amendment.text), texts.decode(amendment.before)
        texts.verify(new, peer, amendment.signature)
        size = new.inviter_gives
        with self._stores.still(peer) as used:
            old = self._known(peer)
            check_successor(old, new)
            if rank(new) > rank(old) <= rank(before):
                self._check(peer, old, size, used)
                self._reserve(peer, size, used)
                self._adopt(peer, new, self._agreements.sign(new), amendment.signature, used)
        return self._agreements.settlement(peer)

    def _check(self, peer: NodeKey, old: Agreement, size: int, used: int) -> None:
        if size < used:
            raise Refused(f"{format_size(used)} are in use there, more than {format_size(size)}")
        wish = self._wishes.of(peer)
        agreed = size == wish.size if wish is not None else self._consents(peer, size)
        if size != old.inviter_gives and not agreed:
            self._wishes.ask(peer, size)
            raise Refused(f"its owner has not agreed to {format_size(size)} yet")

    def _known(self, peer: NodeKey) -> Agreement:
        agreement = self._agreements.of(peer)
        if agreement is None:
            raise NoAgreement("there is no agreement between these two nodes")
        return agreement

    def _reserve(self, peer: NodeKey, size: int, used: int) -> None:
        reserve(peer_file(self._directory, peer), max(size, self._agreements.promised(peer)) - used)

    def _adopt(self, peer: NodeKey, new: Agreement, mine: bytes, theirs: bytes, used: int) -> None:
        """A crash before the rest is given back: the next start does it."""
        with self._database.transaction() as connection:
            self._agreements.replace(connection, peer, new, mine, theirs)
            self._wishes.follow(connection, peer, new)
        self._wishes.load()
        self._agreements.know(peer, new)
        with suppress(HomeError):
            self._reserve(peer, 0, used)
