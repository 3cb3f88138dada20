"""The roster: who is connected now. One live link per peer, dialled or accepted, found again when it is lost.

    contact -> dialling task: addresses in order, back-off -> link -> admitted or turned away -> served until it ends
    listener -> accept: handshake (bounded)                -> link -> the same

Two links of one pair of running nodes are one too many. One that needs no relay is better than one that does, and is
looked for while there is none. When
both sides dialled at once, both keep the one whose dialler has the lower node key; when the same side dialled again,
the newer one, since it gave up the older.
A second machine with the same identity (a restore view of a living node) shows another incarnation and may stay.
"""

import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from math import inf

import trio

from coopfs.core.candidates import in_order
from coopfs.core.wire.address_requests import TellAddresses
from coopfs.core.wire.session import Standing
from coopfs.errors import NoAgreement, PeerError
from coopfs.limits import (
    DIRECT_AGAIN,
    MAX_LINKS_PER_PEER,
    MAX_PENDING_CONNECTIONS,
    RECONNECT_MAX,
    RECONNECT_MIN,
    STRANGER_TIMEOUT,
)
from coopfs.net.channel import LocalNode, respond
from coopfs.net.dialer import Contact, call
from coopfs.net.link import Link
from coopfs.net.relayed import Dial
from coopfs.net.serve import serve
from coopfs.net.whereabouts import Whereabouts
from coopfs.types import NodeKey, Partner

_log = logging.getLogger(__name__)
_DUPLICATE = "another connection between these two nodes is kept"


class Roster:
    """Keeps links while `run` runs.

    authorize: the standing of a node that calls; partner_for: what answers the requests of a peer, strangers
    included; dial: opens streams; jitter: numbers 0..1 that spread reconnections; whereabouts: for partners to know
    where they are, None for a node that is none.
    """

    def __init__(
        self,
        node: LocalNode,
        authorize: Callable[[NodeKey], Standing],
        partner_for: Callable[[NodeKey], Partner],
        dial: Dial,
        jitter: Callable[[], float],
        whereabouts: Whereabouts | None = None,
    ) -> None:
        self.trouble: dict[NodeKey, str] = {}  # why the last call to a contact failed, for status
        self._node = node
        self._authorize = authorize
        self._partner_for = partner_for
        self._dial = dial
        self._jitter = jitter
        self._whereabouts = whereabouts
        self._links: dict[NodeKey, list[Link]] = {}  # newest last
        self._contacts: dict[NodeKey, Contact] = {}
        self._callers: dict[NodeKey, trio.CancelScope] = {}
        self._pending = 0
        self._changed = trio.Event()
        self._nursery: trio.Nursery | None = None

    def live(self, peer: NodeKey) -> Link | None:
        """The newest link to the peer that can serve, if there is one now."""
        serving = [link for link in self._links.get(peer, ()) if link.session.remote.serves]
        return serving[-1] if serving else None

    async def link(self, peer: NodeKey) -> Link:
        """Wait until the peer is connected."""
        while (link := self.live(peer)) is None:
            await self.changed()
        return link

    async def changed(self) -> None:
        """Wait until a link comes up or goes down, or a call fails. Look at `live` first, with no await in between."""
        await self._changed.wait()

    def add(self, contact: Contact) -> None:
        """Keep calling this contact, as long as `run` runs; replaces an older entry with the same key."""
        self.remove(contact.key)
        self._contacts[contact.key] = contact
        if self._nursery is not None:
            self._start(self._nursery, contact)

    def knows(self, key: NodeKey) -> bool:
        """Whether this node is a contact."""
        return key in self._contacts

    def addresses(self, key: NodeKey) -> tuple[str, ...]:
        """Where this node is called; nothing if it is no contact."""
        contact = self._contacts.get(key)
        return () if contact is None else contact.addresses

    def remove(self, key: NodeKey) -> None:
        """Stop calling; a link that is up stays up."""
        self._contacts.pop(key, None)
        self.trouble.pop(key, None)
        if scope := self._callers.pop(key, None):
            scope.cancel()

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Call all contacts until cancelled."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            try:
                for contact in self._contacts.values():
                    self._start(nursery, contact)
                task_status.started()
                await trio.sleep_forever()
            finally:
                self._nursery = None  # who is added from here on is called when it runs again

    async def accept(self, stream: trio.abc.Stream, source: str = "") -> None:
        """Serve one incoming connection until it ends; the handler of a listener. source: the host that it comes from,
        or the relay, as a candidate. A stranger counts as pending for as long as it stays."""
        if self._pending >= MAX_PENDING_CONNECTIONS:
            await trio.aclose_forcefully(stream)
            return
        self._pending += 1
        try:
            link = Link(*await respond(stream, self._node, self._authorize), source)
            if link.session.standing is Standing.STRANGER:
                with trio.move_on_after(STRANGER_TIMEOUT):
                    await serve(link, self._partner_for(link.peer))
                return
        except PeerError as error:
            _log.info("an incoming connection failed: %s", error)
            return
        finally:
            self._pending -= 1
        await self._hold(link)

    def _start(self, nursery: trio.Nursery, contact: Contact) -> None:
        # The scope is known before the task runs, so that `remove` finds it in any case.
        scope = self._callers[contact.key] = trio.CancelScope()
        nursery.start_soon(self._keep_calling, nursery, contact, scope)

    async def _keep_calling(self, nursery: trio.Nursery, contact: Contact, scope: trio.CancelScope) -> None:
        delay = RECONNECT_MIN
        with scope:
            while True:
                while (link := self.live(contact.key)) is not None:
                    await (self._improve(nursery, contact, link) if link.relayed else self.changed())
                if await self._call(nursery, contact) > delay:
                    delay = RECONNECT_MIN
                await trio.sleep(delay * (1 + self._jitter()) / 2)
                delay = min(2 * delay, RECONNECT_MAX)

    async def _improve(self, nursery: trio.Nursery, contact: Contact, link: Link) -> None:
        """Look for a way that needs no relay, ever less often, until this link is not the one in use any more."""
        direct = tuple(str(candidate) for candidate in in_order(contact.addresses) if not candidate.relayed)
        delay = RECONNECT_MIN
        while True:
            with trio.move_on_after(delay * (1 + self._jitter()) / 2 if direct else inf):
                while self.live(contact.key) is link:
                    await self.changed()
                return
            with suppress(PeerError):
                better = await call(self._node, self._dial, replace(contact, addresses=direct))
                await nursery.start(self._hold, better)
            delay = min(2 * delay, DIRECT_AGAIN)

    async def _call(self, nursery: trio.Nursery, contact: Contact) -> float:
        """Seconds that the link lived; 0 if there was none."""
        try:
            link = await call(self._node, self._dial, contact)
        except PeerError as error:
            self.trouble[contact.key] = str(error)
            self._announce()
            return 0.0
        self.trouble.pop(contact.key, None)
        started = trio.current_time()
        await nursery.start(self._hold, link)  # not in this task, which `remove` cancels
        if link.relayed:
            await self._improve(nursery, contact, link)
        await link.ended.wait()
        return trio.current_time() - started

    async def _hold(self, link: Link, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve the link while it is the one to keep; started when that is decided."""
        peers = self._links.setdefault(link.peer, [])
        rival = next((old for old in peers if _same_pair(old, link)), None)
        if rival is not None and not self._better(link, rival):
            task_status.started()
            await link.turn_away(_DUPLICATE)
            return
        if rival is None and len(peers) >= MAX_LINKS_PER_PEER:
            task_status.started()
            await link.turn_away(f"more than {MAX_LINKS_PER_PEER} connections of this node are open")
            return
        if rival is not None:
            peers.remove(rival)
        peers.append(link)
        self._announce()
        task_status.started()
        async with trio.open_nursery() as nursery:
            if rival is not None:
                nursery.start_soon(rival.close, _DUPLICATE)
            telling = trio.CancelScope()
            nursery.start_soon(self._tell, link, telling)
            try:
                await serve(link, self._partner_for(link.peer), partial(self._hear, link))
            finally:
                telling.cancel()
                if link in peers:
                    peers.remove(link)
                self._announce()
        _log.info("the connection to %s ended: %s", link.peer.hex()[:16], link.error)

    async def _tell(self, link: Link, scope: trio.CancelScope) -> None:
        with scope:
            if self._whereabouts is not None:
                await self._whereabouts.tell(link)

    def _hear(self, link: Link, told: TellAddresses) -> None:
        """A peer says where it is: if it is a contact, it is called there from now on. NoAgreement: this node called
        it, and knows of none, as after a takeover. CoopfsError."""
        contact = self._contacts.get(link.peer)
        if self._whereabouts is None or contact is None:
            return
        if self._authorize(link.peer) is Standing.STRANGER:
            raise NoAgreement("no agreement with this node is known here")
        addresses = self._whereabouts.hear(link, told, contact.addresses)
        if addresses is not None:
            self.add(Contact(link.peer, addresses))

    def _better(self, new: Link, old: Link) -> bool:
        if new.relayed != old.relayed:
            return old.relayed
        if new.dialled == old.dialled:
            return True
        return new.dialled == (self._node.identity.key < new.peer)

    def _announce(self) -> None:
        self._changed.set()
        self._changed = trio.Event()


def _same_pair(one: Link, two: Link) -> bool:
    return one.session.remote.incarnation == two.session.remote.incarnation
