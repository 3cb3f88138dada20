"""Agreements of this node: how an invitation becomes one, on either side, with the space reserved all the while.

The inviter:  invite (reserve, save, show the code) ... agree (check, save both signatures, answer).
The acceptor: reserve (reserve, save what it will propose) ... dial and ask to agree ... record (save both
signatures), or release.
Either side, later: part (save that it is over) ... tell the other side, which hears it (hear).

Either may crash anywhere: the same acceptor with the same code proposes the same again and is answered the same again.
"""

from contextlib import suppress
from pathlib import Path
from sqlite3 import Connection

from coopfs import limits
from coopfs.core import agreement as texts
from coopfs.core.agreement import MAX_GIVEN, Agreement
from coopfs.core.amending import same_partnership
from coopfs.core.identity import Identity
from coopfs.core.invitation import TOKEN, Invitation, check_contact, check_proposal
from coopfs.errors import HomeError, Refused, UsageError
from coopfs.local import partners
from coopfs.local.diskerrors import disk_errors
from coopfs.local.hosted import endings
from coopfs.local.hosted.reservation import PEER_PREFIX, TOKEN_PREFIX, peer_file, reserve, token_file
from coopfs.local.hosted.wishes import Wishes
from coopfs.local.nodedb import NodeDatabase
from coopfs.local.partners import PartnerEntry
from coopfs.types import NodeKey, Proposal, Renewal, Settlement

_AGAIN = "ask its owner for a new one"


class Agreements:
    """Synchronous, safe from any thread. Every method may raise HomeError (no room, no permission) and StateError
    (damaged).
    """

    def __init__(self, database: NodeDatabase, directory: Path, seed: bytes, wishes: Wishes) -> None:
        """directory: where reservations lie; seed: the 32-byte identity seed, with which this node signs; wishes: which
        agreements are to be amended."""
        self._database = database
        self._wishes = wishes
        self._directory = directory
        self._seed = seed
        self.key: NodeKey = Identity.from_seed(seed).key
        with database.reading() as connection:
            texts_by_peer = connection.execute("SELECT peer, text FROM agreements").fetchall()
        self._known = {NodeKey(peer): texts.decode(text) for peer, text in texts_by_peer}

    def given(self, peer: NodeKey) -> int | None:
        """Bytes this node gives `peer`; None: there is no agreement."""
        agreement = self._known.get(peer)
        return None if agreement is None else self._gives(agreement)

    def usable(self, peer: NodeKey) -> int:
        """Bytes that the stores of `peer` may take: what is given, or less if this node has asked for that."""
        wish = self._wishes.of(peer)
        given = self.given(peer) or 0
        return given if wish is None else min(given, wish.least)

    def promised(self, peer: NodeKey) -> int:
        """Bytes that are kept for `peer`: what is given, or more if this node has asked for that."""
        wish = self._wishes.of(peer)
        given = self.given(peer) or 0
        return given if wish is None else max(given, wish.most)

    def of(self, peer: NodeKey) -> Agreement | None:
        """What was agreed with `peer`; None: nothing."""
        return self._known.get(peer)

    def invite(
        self,
        size: int,
        now: int,
        token: bytes,
        name: str,
        addresses: tuple[str, ...],
        uptime: str = "",
        lifetime: int = limits.INVITATION_LIFETIME,
    ) -> Invitation:
        """Reserve `size` bytes and save an invitation to swap them for as many, good for `lifetime` seconds.

        now: seconds since 1970; token: 16 random bytes; name, addresses: of this node; uptime: the level that both
        promise, in its one text, empty for none. UsageError: a size or contact that cannot be. HomeError: there is no
        room for so much.
        """
        assert len(token) == TOKEN
        if not 1 <= size <= MAX_GIVEN:
            raise UsageError("an invitation needs a size of at least 1 byte and less than 8 EiB")
        check_contact(name, addresses)
        self.expire(now)
        reserve(token_file(self._directory, token), size)
        with self._database.transaction() as connection:
            connection.execute(
                "INSERT INTO invitations (token, given, taken, expires, uptime) VALUES (?, ?, ?, ?, ?)",
                (token, size, size, now + lifetime, uptime),
            )
        return Invitation(self.key, token, size, size, name, addresses, uptime)

    def agree(self, peer: NodeKey, proposal: Proposal, now: int) -> tuple[bytes, PartnerEntry | None]:
        """This node's signature (64 bytes) under the agreement that `peer` proposes, and the new partner (None:
        answered before).

        Refused: unknown, used or expired code, other sizes, a second agreement with one node. NotAuthentic,
        ProtocolError.
        """
        agreement = texts.of_proposal(self.key, peer, proposal)
        texts.verify(agreement, peer, proposal.signature)
        with self._database.transaction() as connection:
            row = connection.execute(
                "SELECT given, taken, expires, used_by, uptime FROM invitations WHERE token = ?", (proposal.token,)
            ).fetchone()
            if row is None:
                raise Refused(f"this invitation code is not known here, or has expired: {_AGAIN}")
            given, taken, expires, used_by, uptime = row
            if used_by is not None:
                return self._answer_again(connection, peer, used_by, agreement), None
            if now > expires:
                raise Refused(f"this invitation code has expired: {_AGAIN}")
            check_proposal(given, taken, uptime, proposal)
            if peer == self.key or self._exists(connection, peer):
                raise Refused("these two nodes have an agreement already")
            mine = texts.sign(self._seed, agreement)
            connection.execute("UPDATE invitations SET used_by = ? WHERE token = ?", (peer, proposal.token))
            contact = PartnerEntry(proposal.name, peer, proposal.addresses, given, taken)
            entry = self._save(connection, agreement, peer, mine, proposal.signature, contact)
        self._known[peer] = agreement
        # A crash before this: `reconcile` makes the one and removes the other.
        with suppress(FileNotFoundError):
            token_file(self._directory, proposal.token).rename(peer_file(self._directory, peer))
        return mine, entry

    def reserve(self, invitation: Invitation, name: str, addresses: tuple[str, ...], now: int) -> Proposal:
        """Reserve what the invitation asks of this node and return what to propose; the same again at a second try.

        UsageError: one's own code, or an agreement exists. HomeError: there is no room for so much.
        """
        inviter = invitation.inviter
        if inviter == self.key:
            raise UsageError("this invitation is your own: give the code to somebody else")
        if inviter in self._known:
            raise UsageError(f"you have an agreement with {invitation.name!r} already: see `coopfs partner list`")
        check_contact(name, addresses)
        reserve(peer_file(self._directory, inviter), invitation.taken)
        with self._database.transaction() as connection:
            start = max(now, endings.last_start(connection, inviter) + 1)  # what is over could look newer than this
            connection.execute("INSERT OR IGNORE INTO proposals VALUES (?, ?, ?)", (invitation.token, inviter, start))
            (start,) = connection.execute("SELECT start FROM proposals WHERE token = ?", (invitation.token,)).fetchone()
        given, taken = invitation.taken, invitation.given
        agreement = Agreement(inviter, self.key, taken, given, start, invitation.uptime)
        signature = texts.sign(self._seed, agreement)
        return Proposal(invitation.token, given, taken, name, addresses, start, signature, invitation.uptime)

    def record(self, invitation: Invitation, proposal: Proposal, signature: bytes) -> PartnerEntry:
        """Save the agreement that the inviter has signed. NotAuthentic: not its signature; UsageError: there is one."""
        inviter = invitation.inviter
        agreement = texts.of_proposal(inviter, self.key, proposal)
        texts.verify(agreement, inviter, signature)
        contact = PartnerEntry(invitation.name, inviter, invitation.addresses, proposal.given, proposal.taken)
        with self._database.transaction() as connection:
            if self._exists(connection, inviter):
                raise UsageError(f"you have an agreement with {invitation.name!r} already: see `coopfs partner list`")
            entry = self._save(connection, agreement, inviter, proposal.signature, signature, contact)
            connection.execute("DELETE FROM proposals WHERE token = ?", (invitation.token,))
        self._known[inviter] = agreement
        return entry

    def release(self, invitation: Invitation) -> None:
        """Give the space back that `reserve` took. The proposal stays: if the inviter did agree, a second try finds
        that out.
        """
        if invitation.inviter not in self._known:
            reserve(peer_file(self._directory, invitation.inviter), 0)

    def renewal(self, peer: NodeKey, name: str, addresses: tuple[str, ...]) -> Renewal | None:
        """What to show to a partner that has forgotten its agreement; name, addresses: of this node. None: there is
        none."""
        with self._database.reading() as connection:
            row = connection.execute("SELECT text, mine, theirs FROM agreements WHERE peer = ?", (peer,)).fetchone()
        if row is None:
            return None
        text, mine, theirs = row
        return Renewal(text, mine, theirs, name, addresses)

    def renew(self, peer: NodeKey, renewal: Renewal) -> PartnerEntry | None:
        """Know an agreement again that both had signed, as after a takeover. Its space is reserved anew; what lay there
        is gone. The partner, or None: it was known.

        Refused: it is of other nodes, or over, or there is another one between these two. NotAuthentic, ProtocolError.
        """
        agreement = texts.decode(renewal.text)
        if {agreement.inviter, agreement.acceptor} != {self.key, peer} or self.key == peer:
            raise Refused("this agreement is of other nodes")
        texts.verify(agreement, peer, renewal.mine)
        texts.verify(agreement, self.key, renewal.yours)
        given, taken = agreement.inviter_gives, agreement.acceptor_gives
        if agreement.inviter != self.key:
            given, taken = taken, given
        if peer in self._known:
            self._check_same(peer, renewal)
            return None
        with self._database.reading() as connection:
            if endings.is_over(connection, peer, agreement):
                raise Refused("this agreement is over")
        reserve(peer_file(self._directory, peer), given)
        contact = PartnerEntry(renewal.name, peer, renewal.addresses, given, taken)
        with self._database.transaction() as connection:
            _insert(connection, peer, renewal.text, renewal.yours, renewal.mine)
            entry = partners.renew(connection, contact)
        self._known[peer] = agreement
        return entry

    def _check_same(self, peer: NodeKey, renewal: Renewal) -> None:
        with self._database.reading() as connection:
            row = connection.execute("SELECT text FROM agreements WHERE peer = ?", (peer,)).fetchone()
        if row != (renewal.text,):
            raise Refused("these two nodes have another agreement")

    def part(self, peer: NodeKey) -> None:
        """End the agreement with a node, if there is one; it does not know yet. `free` what it had when nobody uses it
        any more."""
        with self._database.transaction() as connection:
            if self._exists(connection, peer):
                endings.save(connection, peer, told=False)
        self._known.pop(peer, None)
        self._wishes.load()

    def hear(self, peer: NodeKey, text: bytes) -> bool:
        """The node says that the agreement with this text is over, which may have been amended by the other side only.
        Whether it is, now or for long: else there is another one, or never was any. ProtocolError."""
        over = texts.decode(text)
        with self._database.transaction() as connection:
            known = self._known.get(peer)
            if known is None:
                return endings.hear(connection, peer, over)
            if over != known and not self._continues(connection, peer, known, over):
                return False
            endings.save(connection, peer, told=True)
        self._known.pop(peer, None)
        self._wishes.load()
        return True

    def _continues(self, connection: Connection, peer: NodeKey, known: Agreement, other: Agreement) -> bool:
        """Whether one of these two is an amendment of the other, as far as this node has agreed to it or wishes it."""
        wish = self._wishes.of(peer)
        newest = known.start if wish is None else wish.agreement.start
        if not same_partnership(known, other) or endings.is_over(connection, peer, other):
            return False
        return self._began(connection, peer, known) <= other.start <= newest

    def _began(self, connection: Connection, peer: NodeKey, known: Agreement) -> int:
        """When the first text between these two began of which the known one is an amendment."""
        (began,) = connection.execute("SELECT began FROM agreements WHERE peer = ?", (peer,)).fetchone()
        return known.start if began is None else int(began)

    def sign(self, agreement: Agreement) -> bytes:
        """This node's signature."""
        return texts.sign(self._seed, agreement)

    def settlement(self, peer: NodeKey) -> Settlement:
        """What is agreed with `peer`, which is something, with both signatures."""
        with self._database.reading() as connection:
            row = connection.execute("SELECT text, mine, theirs FROM agreements WHERE peer = ?", (peer,)).fetchone()
        return Settlement(*row)

    def replace(self, connection: Connection, peer: NodeKey, new: Agreement, mine: bytes, theirs: bytes) -> None:
        """An amended agreement is in force, inside the caller's transaction; follow it with `know`."""
        began = self._began(connection, peer, self._known[peer])
        values = (new.encode(), mine, theirs, began, peer)
        connection.execute("UPDATE agreements SET text = ?, mine = ?, theirs = ?, began = ? WHERE peer = ?", values)
        partners.amend(connection, peer, new.inviter_gives)

    def know(self, peer: NodeKey, new: Agreement) -> None:
        """What `replace` saved is durable."""
        self._known[peer] = new

    def free(self, peer: NodeKey) -> None:
        """Give back what is reserved for a node without an agreement and not used."""
        if peer not in self._known:
            reserve(peer_file(self._directory, peer), 0)

    def expire(self, now: int) -> None:
        """Withdraw invitations that nobody took up in time, and give their space back."""
        with self._database.transaction() as connection:
            old = "FROM invitations WHERE used_by IS NULL AND expires < ?"
            tokens = connection.execute(f"SELECT token {old}", (now,)).fetchall()
            connection.execute(f"DELETE {old}", (now,))
        for (token,) in tokens:
            reserve(token_file(self._directory, token), 0)

    def reconcile(self, used: dict[NodeKey, int]) -> None:
        """After a start: make the reservations be what agreements and open invitations say.

        used: bytes of each peer's stores. No room: what is missing is asked for again when a store is made.
        """
        with self._database.reading() as connection:
            open_ones = connection.execute("SELECT token, given FROM invitations WHERE used_by IS NULL").fetchall()
        wanted = {token_file(self._directory, token): given for token, given in open_ones}
        for peer in self._known:
            wanted[peer_file(self._directory, peer)] = max(0, self.promised(peer) - used.get(peer, 0))
        with disk_errors("clear", self._directory):
            for prefix in (TOKEN_PREFIX, PEER_PREFIX):
                for path in self._directory.glob(f"{prefix}*"):
                    if path not in wanted:
                        path.unlink()
        for path, size in wanted.items():
            with suppress(HomeError):
                reserve(path, size)

    def _gives(self, agreement: Agreement) -> int:
        return agreement.inviter_gives if agreement.inviter == self.key else agreement.acceptor_gives

    def _exists(self, connection: Connection, peer: NodeKey) -> bool:
        """Whether there is an agreement, asked inside the transaction that would make one."""
        return connection.execute("SELECT 1 FROM agreements WHERE peer = ?", (peer,)).fetchone() is not None

    def _save(
        self,
        connection: Connection,
        agreement: Agreement,
        peer: NodeKey,
        mine: bytes,
        theirs: bytes,
        contact: PartnerEntry,
    ) -> PartnerEntry:
        _insert(connection, peer, agreement.encode(), mine, theirs)
        return partners.insert(connection, contact)

    def _answer_again(self, connection: Connection, peer: NodeKey, used_by: bytes, agreement: Agreement) -> bytes:
        row = connection.execute("SELECT text, mine FROM agreements WHERE peer = ?", (peer,)).fetchone()
        if used_by != peer or row is None or row[0] != agreement.encode():
            raise Refused(f"this invitation code has been used: {_AGAIN}")
        return bytes(row[1])


def _insert(connection: Connection, peer: NodeKey, text: bytes, mine: bytes, theirs: bytes) -> None:
    values = (peer, text, mine, theirs)
    connection.execute("INSERT OR REPLACE INTO agreements (peer, text, mine, theirs) VALUES (?, ?, ?, ?)", values)
