"""Where this node and its partners are: what it tells them of itself, and what it hears.

    link comes up -> tell: own candidates, and where I see you
    partner tells -> its candidates are saved, and called from then on; where it sees me may be one of mine
    it refuses, as it knows of no agreement -> it may have forgotten that: `on_forgotten`

Told again when the own ones change, and every ADDRESSES_INTERVAL, since sightings expire.
"""

from collections.abc import Awaitable, Callable, Iterable
from math import inf

import trio

from coopfs.core.candidates import is_candidate, own_candidates
from coopfs.core.sightings import Sightings
from coopfs.core.wire.address_requests import TellAddresses
from coopfs.core.wire.session import Standing
from coopfs.errors import NoAgreement, PeerError, Refused
from coopfs.limits import ADDRESSES_APART, ADDRESSES_INTERVAL, MAX_SIGHTINGS
from coopfs.net.link import Link
from coopfs.types import NodeKey


async def nobody_reminds(link: Link) -> None:
    """`on_forgotten` of who has no agreements."""


class Whereabouts:
    """configured: HOST:PORT each, by the owner or of this machine; port: where the node listens for other machines,
    None: only for its own; save: what a partner says of itself, durably (a CoopfsError if that fails)."""

    def __init__(
        self,
        configured: Iterable[str],
        relays: Iterable[str],
        port: int | None,
        save: Callable[[NodeKey, tuple[str, ...]], None],
    ) -> None:
        self.on_forgotten: Callable[[Link], Awaitable[None]] = nobody_reminds
        self._configured = tuple(configured)
        self._relays = tuple(relays)
        self._port = port
        self._save = save
        self._sightings = Sightings()
        self._changed = trio.Event()
        self._heard: dict[NodeKey, float] = {}  # who -> when it last said something new; oldest first

    def own(self) -> tuple[str, ...]:
        """This node's candidates now: configured, observed, relays."""
        now = trio.current_time()
        observed = () if self._port is None else self._sightings.addresses(self._port, now)
        return own_candidates((*self._configured, *observed), self._relays)

    async def tell(self, link: Link) -> None:
        """Keep the peer of this link up to date until that is cancelled, if it is a partner."""
        if link.session.standing is not Standing.PARTNER or not link.session.remote.serves:
            return
        seen = "" if link.dialled or link.relayed else link.at
        pause = ADDRESSES_APART
        while True:
            mine = self.own()
            try:
                await link.request(TellAddresses(mine, seen))
            except NoAgreement:
                await self.on_forgotten(link)
                return
            except Refused:  # it was too early, or the other side is of an older version
                await trio.sleep(pause)
                pause = min(2 * pause, ADDRESSES_INTERVAL)
                continue
            except PeerError:
                return
            pause = ADDRESSES_APART
            with trio.move_on_after(ADDRESSES_INTERVAL):
                await trio.sleep(pause)
                while self.own() == mine:
                    await self._changed.wait()

    def hear(self, link: Link, told: TellAddresses, known: tuple[str, ...]) -> tuple[str, ...] | None:
        """The peer's new candidates, saved; None: they are those `known` here. Refused: it changes them too often."""
        if link.dialled and not link.relayed and told.seen:
            before = self.own()
            self._sightings.note(link.peer, told.seen, trio.current_time())
            if self.own() != before:
                self._changed.set()
                self._changed = trio.Event()
        addresses = tuple(filter(is_candidate, told.addresses))
        if not addresses or addresses == known:
            return None
        self._pace(link.peer)
        self._save(link.peer, addresses)
        return addresses

    def _pace(self, peer: NodeKey) -> None:
        """Each change is a write to the disk."""
        now = trio.current_time()
        if now - self._heard.get(peer, -inf) < ADDRESSES_APART:
            raise Refused(f"addresses may change once in {ADDRESSES_APART:.0f} s")
        self._heard.pop(peer, None)
        if len(self._heard) >= MAX_SIGHTINGS:
            del self._heard[next(iter(self._heard))]
        self._heard[peer] = now
