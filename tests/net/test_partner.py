"""Requests all the way through: RemotePartner, the wire, Server, a host in memory. (The contract of types.Partner
itself is asserted over the same way in tests/local/test_partner_contract.py.)"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio

from coopfs.core.wire.answers import Answer, Got, OpenedStore, Slots
from coopfs.core.wire.messages import Request
from coopfs.core.wire.store_requests import Get, Open
from coopfs.errors import PartnerAway, ProtocolError, Refused
from coopfs.limits import MAX_STORES_PER_SESSION
from coopfs.net.link import Link
from coopfs.net.partner import RemotePartner
from coopfs.net.serve import serve
from coopfs.types import Opened, Opening, Slot, StoredBlock, StoreId, StoreSpec
from tests.memory import MemoryHost, MemoryPartner
from tests.net.nodes import OneByOne, channels, linked, node, silent
from tests.partners import Owner

OWNER = Owner(seed=bytes([1]) * 32)  # node(1)
SPEC = StoreSpec(rows=20, block_size=16384)
STORE = StoreId(b"store-0123456789")
OPENING = Opening(OWNER.disk, STORE, OWNER.claim(1), SPEC)


@asynccontextmanager
async def served() -> AsyncIterator[tuple[Link, MemoryPartner, Link]]:
    """The link of node 1 to a host that has an agreement with it, the session there, and the host's end."""
    host = MemoryHost()
    host.given[OWNER.key] = 1 << 30
    session = host.partner(OWNER.key)
    left, right = await channels(node(1), node(2))
    links = Link(*left), Link(*right)
    async with trio.open_nursery() as nursery:
        await nursery.start(links[0].run, OneByOne(silent))
        await nursery.start(serve, links[1], session)
        yield links[0], session, links[1]
        nursery.cancel_scope.cancel()


async def test_the_end_of_the_link_closes_its_stores_and_their_owner_sees_away() -> None:
    async with served() as (link, session, far):
        store = await RemotePartner(link).open(OPENING)
        assert session.sessions == 1
        await far.close("maintenance")
        for _ in range(2):
            with pytest.raises(PartnerAway, match=r"maintenance|ended"):
                await store.get(1)
        await store.close()
        await trio.testing.wait_all_tasks_blocked()
        assert session.sessions == 0


async def test_close_is_idempotent_and_ends_the_session_to_the_store() -> None:
    async with served() as (link, session, _):
        store = await RemotePartner(link).open(OPENING)
        await store.close()
        await store.close()
        assert session.sessions == 0
        with pytest.raises(Refused, match="no store"):
            await store.get(1)


async def test_one_connection_opens_a_bounded_number_of_stores() -> None:
    async with served() as (link, session, _):
        partner = RemotePartner(link)
        refused = []

        async def open_one() -> None:
            try:
                await partner.open(OPENING)
            except Refused:
                refused.append(True)

        async with trio.open_nursery() as nursery:
            for _ in range(MAX_STORES_PER_SESSION + 3):
                nursery.start_soon(open_one)
        assert len(refused) == 3
        assert session.sessions == MAX_STORES_PER_SESSION


@pytest.mark.parametrize(
    "lie",
    [
        Slots((Slot(1, 1, 1), Slot(2, 1, 1), Slot(3, 1, 1))),  # more than asked for
        Slots((Slot(0, 1, 1),)),  # before the first row asked for
        Got(StoredBlock(1, bytes(16385))),  # larger than any block of this store
    ],
)
async def test_answers_are_checked_against_what_was_asked(lie: Slots | Got) -> None:
    async def liar(request: Request) -> Answer:
        if isinstance(request, Open):
            return OpenedStore(0, Opened(20, 16384, 0, bytes(16), 0, b""))
        return lie

    async with linked(silent, liar) as (link, _):
        store = await RemotePartner(link).open(OPENING)
        ask = store.get(1) if isinstance(lie, Got) else store.inventory(1, 2)
        with pytest.raises(ProtocolError):
            await ask


async def test_a_store_that_was_not_opened_is_refused() -> None:
    async with served() as (link, _, _):
        with pytest.raises(Refused, match="no store 7"):
            await link.request(Get(7, 0))
