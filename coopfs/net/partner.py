"""types.Partner and types.BlockStore over a link: the client's side of the wire.

Answers are checked against what was asked. Every method raises PartnerAway once the link has ended; open again on a
new link then.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TypeVar

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
from coopfs.errors import PeerError, ProtocolError
from coopfs.limits import INVENTORY_PAGE, MAX_BLOCK_SIZE
from coopfs.net.link import Link
from coopfs.types import (
    Amendment,
    BlockStore,
    Claim,
    DiskId,
    Grant,
    Master,
    Octets,
    Opened,
    Opening,
    Proposal,
    Renewal,
    Settlement,
    Slot,
    StepAnswer,
    StepWord,
    StoredBlock,
    Welcome,
    Write,
)

Expected = TypeVar("Expected", bound=Answer)


async def _request(link: Link, request: Request, expected: type[Expected], awaited: int = 0) -> Expected:
    answer = await link.request(request, awaited)
    assert isinstance(answer, expected)  # the link pairs answers with their type of request
    return answer


class RemoteStore:
    """An open store of the peer, for as long as the link lives."""

    def __init__(self, link: Link, number: int, opened: Opened) -> None:
        self.opened = opened
        self._link = link
        self._number = number
        self._closed = False

    async def put(self, row: int, version: int, data: Octets) -> None:
        assert len(data) <= MAX_BLOCK_SIZE
        await _request(self._link, Put(self._number, row, version, data), Done)

    async def put_many(self, writes: Sequence[Write]) -> Sequence[PeerError | None]:
        assert all(len(write.data) <= MAX_BLOCK_SIZE for write in writes)
        following = range(len(writes) - 1, -1, -1)
        puts = [Put(self._number, w.row, w.version, w.data, n) for w, n in zip(writes, following, strict=True)]
        outcomes = await self._link.request_all(puts)
        return [outcome if isinstance(outcome, PeerError) else None for outcome in outcomes]

    async def get(self, row: int) -> StoredBlock | None:
        (block,) = await self.get_many((row,))
        return block

    async def get_many(self, rows: Sequence[int]) -> Sequence[StoredBlock | None]:
        gets = [Get(self._number, row) for row in rows]
        return [self._block(outcome) for outcome in await self._link.request_all(gets, self.opened.block_size)]

    def _block(self, outcome: Answer | PeerError) -> StoredBlock | None:
        if isinstance(outcome, PeerError):
            raise outcome
        assert isinstance(outcome, Got)  # the link pairs answers with their type of request
        block = outcome.block
        if block is not None and len(block.data) > self.opened.block_size:
            raise ProtocolError(
                f"the peer sent a block of {len(block.data)} bytes from a store of {self.opened.block_size}"
            )
        return block

    async def inventory(self, first_row: int, limit: int) -> Sequence[Slot]:
        limit = min(limit, INVENTORY_PAGE)
        question = Inventory(self._number, first_row, limit)
        slots = (await _request(self._link, question, Slots, Slots.PAGE_SIZE)).slots
        if len(slots) > limit or (slots and slots[0].row < first_row):
            raise ProtocolError(f"the peer sent {len(slots)} slots for at most {limit} from row {first_row} on")
        return list(slots)

    async def resize(self, rows: int) -> None:
        await _request(self._link, Resize(self._number, rows), Done)
        self.opened = replace(self.opened, rows=rows)

    async def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        with suppress(PeerError):  # the connection may have ended first, and the session with it
            await _request(self._link, Close(self._number), Done)


class RemotePartner:
    """The peer of a link as a types.Partner."""

    def __init__(self, link: Link) -> None:
        self._link = link

    async def open(self, opening: Opening) -> BlockStore:
        answer = await _request(self._link, Open(opening), OpenedStore)
        return RemoteStore(self._link, answer.store, answer.opened)

    async def claim(self, claim: Claim) -> None:
        await _request(self._link, ClaimEpoch(claim), Done)

    async def masters(self, disk: DiskId) -> Sequence[Master]:
        return (await _request(self._link, GetMasters(disk), Masters)).masters

    async def put_master(self, claim: Claim, master: Master) -> None:
        await _request(self._link, PutMaster(claim, master), Done)

    async def grant(self, grant: Grant) -> None:
        await _request(self._link, GrantReading(grant), Done)

    async def agree(self, proposal: Proposal) -> bytes:
        return (await _request(self._link, Agree(proposal), Agreed)).signature

    async def offer(self, announcement: bytes) -> Welcome:
        return (await _request(self._link, Offer(announcement), Welcomed)).welcome

    async def step(self, word: StepWord) -> StepAnswer:
        return (await _request(self._link, TellStep(word), Stepped)).answer

    async def renew(self, renewal: Renewal) -> None:
        await _request(self._link, Renew(renewal), Done)

    async def amend(self, amendment: Amendment) -> Settlement:
        return (await _request(self._link, Amend(amendment), Settled)).settlement

    async def leave(self, text: bytes) -> None:
        await _request(self._link, Leave(text), Done)
