"""Visits to nodes that are no partners yet: to accept an invitation, or to ask for one."""

from collections.abc import Callable

import trio

from coopfs.core.announcement import Announcement
from coopfs.core.invitation import Invitation
from coopfs.errors import PartnerAway, ProtocolError, UsageError
from coopfs.local.hosted.hosting import Hosting
from coopfs.local.partners import PartnerEntry
from coopfs.net.channel import LocalNode
from coopfs.net.dialer import Contact, visit
from coopfs.net.relayed import Dial
from coopfs.types import NodeKey, Proposal, StepAnswer, StepWord, Welcome


class Agreeing:
    """dial: opens streams; name, addresses: of this node; know: told of each new partner; clock: seconds since 1970."""

    def __init__(
        self,
        local: LocalNode,
        dial: Dial,
        hosting: Hosting,
        name: str,
        addresses: Callable[[], tuple[str, ...]],
        know: Callable[[PartnerEntry], None],
        clock: Callable[[], float],
    ) -> None:
        self.proposed: set[NodeKey] = set()  # inviters whose answer is awaited: they may call before it is saved
        self._local = local
        self._hosting = hosting
        self._name = name
        self._addresses = addresses
        self._know = know
        self._dial = dial
        self._clock = clock

    async def accept(self, code: Invitation) -> PartnerEntry:
        """Reserve the space, and have the inviter sign. PeerError: it cannot be reached, or refuses; UsageError: there
        is an agreement, or it is this node's own; HomeError: no room."""
        if code.inviter == self._local.identity.key:
            raise UsageError("this code is this node's own invitation: another node must accept it")
        proposal = await self._hosting.reserve(code, self._name, self._addresses(), int(self._clock()))
        self.proposed.add(code.inviter)
        try:
            signature = await self._ask(code, proposal)
        except BaseException:
            with trio.CancelScope(shield=True):
                await self._hosting.release(code)
            raise
        else:
            entry = await self._hosting.record(code, proposal, signature)
        finally:
            self.proposed.discard(code.inviter)
        self._know(entry)
        return entry

    async def _ask(self, code: Invitation, proposal: Proposal) -> bytes:
        contact, answer = Contact(code.inviter, code.addresses), self._hosting.partner(code.inviter)
        try:
            return await visit(self._local, self._dial, contact, answer, lambda partner: partner.agree(proposal))
        except (PartnerAway, ProtocolError) as trouble:
            advice = f"if nobody can reach {code.name}, let this node invite, or see coopfs-relay(8)"
            raise type(trouble)(f"{trouble}; {advice}") from None

    async def step(self, theirs: Contact, word: StepWord) -> StepAnswer:
        """Ask a node that is not known to step between it and its partner. PeerError as `offer`."""
        answer = self._hosting.partner(theirs.key)
        return await visit(self._local, self._dial, theirs, answer, lambda partner: partner.step(word))

    async def offer(self, theirs: Announcement, signed: bytes) -> Welcome:
        """Knock at a node that is not known. PeerError: nobody answers there, or it refuses."""
        contact, answer = Contact(theirs.node, theirs.addresses), self._hosting.partner(theirs.node)
        return await visit(self._local, self._dial, contact, answer, lambda partner: partner.offer(signed))
