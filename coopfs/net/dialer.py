"""Dialling a peer: its address candidates in order, the first that proves to be it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

import trio

from coopfs.core.candidates import in_order
from coopfs.errors import CoopfsError, PartnerAway, PeerError
from coopfs.limits import HANDSHAKE_TIMEOUT
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
    """A link to the contact, not yet running. PeerError: what the last address answered, if none led to it."""
    trouble: PeerError = PartnerAway("no address of this node is known: it must call")
    for candidate in in_order(contact.addresses):
        patience = 2 * HANDSHAKE_TIMEOUT if candidate.relayed else HANDSHAKE_TIMEOUT  # there are two handshakes
        try:
            with trio.move_on_after(patience):
                stream = await dial(candidate.address)
                if candidate.relayed:
                    stream = await through(stream, node, contact.key)
                return Link(*await initiate(stream, node, contact.key), str(candidate))
            trouble = PartnerAway(f"{candidate} did not answer within {patience:.0f} s")
        except PeerError as error:
            trouble = type(error)(f"{candidate}: {error}")
    raise trouble


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
