"""Answers the requests of one link by calling a types.Partner: the server's side of the wire.

Whatever the partner object refuses becomes an error answer; what it does not raise as a CoopfsError is our own bug and
ends the daemon.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress

import trio

from coopfs.core.wire.address_requests import TellAddresses
from coopfs.core.wire.answers import Agreed, Answer, Done, Got, Masters, OpenedStore, Settled, Slots, Stepped, Welcomed
from coopfs.core.wire.messages import Request
from coopfs.core.wire.node_requests import (
    Agree,
    Amend,
    ClaimEpoch,
    GetMasters,
    GrantReading,
    Leave,
    Offer,
    PutMaster,
    Renew,
    TellStep,
)
from coopfs.core.wire.store_requests import Close, Get, Inventory, Open, Put, Resize
from coopfs.errors import CoopfsError, Refused
from coopfs.limits import GOODBYE_TIMEOUT, MAX_STORES_PER_SESSION
from coopfs.net.link import Link
from coopfs.types import BlockStore, Partner, Write

Hear = Callable[[TellAddresses], None]


def unheard(told: TellAddresses) -> None:
    """Who keeps no contacts has no use for addresses."""


class Server:
    """The open stores of one connection, and the partner object that gives them. hear: what becomes of the addresses
    that the peer tells; a CoopfsError of it is the answer."""

    def __init__(self, partner: Partner, hear: Hear = unheard) -> None:
        self._partner = partner
        self._hear = hear
        self._stores: dict[int, BlockStore] = {}
        self._opened = 0
        self._opening = 0

    async def handle(self, request: Request) -> Answer:
        """The answer. Every CoopfsError is one to the peer."""
        match request:
            case Open():
                return await self._open(request)
            case ClaimEpoch(claim):
                await self._partner.claim(claim)
                return Done()
            case GetMasters(disk):
                return Masters(tuple(await self._partner.masters(disk)))
            case PutMaster(claim, master):
                await self._partner.put_master(claim, master)
                return Done()
            case GrantReading(grant):
                await self._partner.grant(grant)
                return Done()
            case Agree(proposal):
                return Agreed(await self._partner.agree(proposal))
            case Renew(renewal):
                await self._partner.renew(renewal)
                return Done()
            case Amend(amendment):
                return Settled(await self._partner.amend(amendment))
            case Leave(text):
                await self._partner.leave(text)
                return Done()
            case TellAddresses():
                self._hear(request)
                return Done()
            case Offer(announcement):
                return Welcomed(await self._partner.offer(announcement))
            case TellStep(word):
                return Stepped(await self._partner.step(word))
            case Close() | Inventory() | Resize():
                return await self._use(request)
            case _:
                raise AssertionError(request)  # HELLO, PING and GOODBYE are the link's, GET and PUT come as runs

    async def get_all(self, gets: Sequence[Get]) -> Sequence[Answer | CoopfsError]:
        """The blocks of gets that came together, those of one store read as one batch."""
        answers: list[Answer | CoopfsError] = [Done()] * len(gets)
        for number, indices in _by_store(gets).items():
            try:
                blocks = await self._store(number).get_many([gets[index].row for index in indices])
            except CoopfsError as error:
                answers = [error if index in indices else answer for index, answer in enumerate(answers)]
            else:
                for index, block in zip(indices, blocks, strict=True):
                    answers[index] = Got(block)
        return answers

    async def put_all(self, puts: Sequence[Put]) -> Sequence[Answer | CoopfsError]:
        """The answers to puts that came together, those to one store as one batch."""
        answers: list[Answer | CoopfsError] = [Done()] * len(puts)
        for number, indices in _by_store(puts).items():
            outcomes = await self._put(number, [puts[index] for index in indices])
            for index, outcome in zip(indices, outcomes, strict=True):
                answers[index] = outcome or Done()
        return answers

    async def _put(self, number: int, puts: Sequence[Put]) -> Sequence[CoopfsError | None]:
        try:
            writes = [Write(put.row, put.version, put.data) for put in puts]
            return await self._store(number).put_many(writes)
        except CoopfsError as error:
            return [error] * len(puts)

    async def close(self) -> None:
        """Close all stores; the connection is gone."""
        while self._stores:
            _, store = self._stores.popitem()
            with suppress(CoopfsError):
                await store.close()

    async def _open(self, request: Open) -> OpenedStore:
        # Counted before the await, or many OPENs at once would pass together.
        if len(self._stores) + self._opening >= MAX_STORES_PER_SESSION:
            raise Refused(f"more than {MAX_STORES_PER_SESSION} stores are open in one connection")
        self._opening += 1
        try:
            store = await self._partner.open(request.opening)
        finally:
            self._opening -= 1
        number, self._opened = self._opened, self._opened + 1
        self._stores[number] = store
        return OpenedStore(number, store.opened)

    def _store(self, number: int) -> BlockStore:
        store = self._stores.get(number)
        if store is None:
            raise Refused(f"no store {number} is open in this connection")
        return store

    async def _use(self, request: Close | Inventory | Resize) -> Answer:
        store = self._store(request.store)
        match request:
            case Inventory(_, first_row, limit):
                return Slots(tuple(await store.inventory(first_row, limit)))
            case Resize(_, rows):
                await store.resize(rows)
                return Done()
            case Close(number):
                del self._stores[number]
                await store.close()
                return Done()


def _by_store(requests: Sequence[Get | Put]) -> dict[int, list[int]]:
    """Number of the store -> which of these requests are for it."""
    by_store: dict[int, list[int]] = {}
    for index, request in enumerate(requests):
        by_store.setdefault(request.store, []).append(index)
    return by_store


async def serve(
    link: Link,
    partner: Partner,
    hear: Hear = unheard,
    *,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Run the link until it ends, answering its requests from `partner`."""
    server = Server(partner, hear)
    try:
        await link.run(server, task_status=task_status)
    finally:
        with trio.move_on_after(GOODBYE_TIMEOUT) as scope:
            scope.shield = True
            await server.close()
