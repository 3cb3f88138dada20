"""Dialling a peer: its address candidates in order, the first that proves to be it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

import trio

from coopfs.core.candidates import Candidate, in_order
from coopfs.errors import CoopfsError, PartnerAway, PeerError
from coopfs.limits import HANDSHAKE_TIMEOUT, HEAD_START
from coopfs.net.channel import LocalNode, initiate
from coopfs.net.link import Link
from coopfs.net.partner import RemotePartner
from coopfs.net.relayed import Dial, through
from coopfs.net.serve import serve
from coopfs.types import NodeKey, Partner

Gain = TypeVar("Gain")


@dataclass(frozen=True, slots=True)
class Contact:
    """Whom to dial and where (core/candidates); no addresses: it can only be waited for."""

    key: NodeKey
    addresses: tuple[str, ...]


async def call(node: LocalNode, dial: Dial, contact: Contact) -> Link:
    """A link to the contact, not yet running. Each candidate has HEAD_START for itself before the next is tried too:
    one that leads nowhere holds up those behind it no longer. PeerError: what the last one answered, if none led there.
    """
    links: list[Link] = []
    candidates = in_order(contact.addresses)
    troubles: dict[Candidate, PeerError] = {}
    async with trio.open_nursery() as nursery:

        async def attempt(candidate: Candidate, over: trio.Event) -> None:
            try:
                link = await _call_at(node, dial, contact.key, candidate)
            except PeerError as error:
                troubles[candidate] = error
                over.set()
                return
            nursery.cancel_scope.cancel()
            if links:  # both at the same moment
                with trio.CancelScope(shield=True):
                    await link.turn_away("another way was as quick")
            else:
                links.append(link)

        for candidate in candidates:
            over = trio.Event()
            nursery.start_soon(attempt, candidate, over)
            with trio.move_on_after(HEAD_START):
                await over.wait()
    if links:
        return links[0]
    raise troubles[candidates[-1]] if candidates else PartnerAway("no address of this node is known: it must call")


async def _call_at(node: LocalNode, dial: Dial, key: NodeKey, candidate: Candidate) -> Link:
    """PeerError: names the candidate."""
    patience = 2 * HANDSHAKE_TIMEOUT if candidate.relayed else HANDSHAKE_TIMEOUT  # there are two handshakes
    try:
        with trio.move_on_after(patience):
            stream = await dial(candidate.address)
            if candidate.relayed:
                stream = await through(stream, node, key)
            return Link(*await initiate(stream, node, key), str(candidate))
    except PeerError as error:
        raise type(error)(f"{candidate}: {error}") from None
    raise PartnerAway(f"{candidate} did not answer within {patience:.0f} s")


async def visit(
    node: LocalNode, dial: Dial, contact: Contact, partner: Partner, errand: Callable[[RemotePartner], Awaitable[Gain]]
) -> Gain:
    """One connection for one errand, such as AGREE; `partner` answers what the other side asks meanwhile.
    What the errand returns or raises (a CoopfsError); PeerError if nobody answers."""
    link = await call(node, dial, contact)
    gained: list[Gain] = []
    trouble: CoopfsError | None = None
    async with trio.open_nursery() as nursery:
        await nursery.start(serve, link, partner)
        try:
            gained.append(await errand(RemotePartner(link)))
        except CoopfsError as error:
            trouble = error  # raised outside, where no nursery wraps it
        await link.close("the visit is over")
    if trouble is not None:
        raise trouble
    return gained[0]
