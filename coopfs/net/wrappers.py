"""Limits of the rate: a bucket that all stores of a direction share, and the wrappers that pay to it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf

import trio

from coopfs.errors import PeerError
from coopfs.limits import RATE_CHECK
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
    Partner,
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


class TokenBucket:
    """At most `rate()` bytes per second over time, at most `burst` bytes at once; shared by any number of stores.

    rate: asked again and again, RATE_CHECK seconds apart at the most, as it may follow a schedule; inf: no limit now.
    """

    def __init__(self, rate: Callable[[], float], burst: int) -> None:
        assert burst > 0
        self._rate = rate
        self._burst = burst
        self._owed = 0.0  # bytes that passed and are not paid yet
        self._counted_at = -inf  # trio time up to which what was owed has been paid off
        self._turn = trio.Lock()  # first come, first served: small blocks do not overtake a large one for ever

    async def take(self, size: int) -> None:
        """Wait until `size` bytes may pass; more than a burst waits until nothing is owed."""
        async with self._turn:
            while (excess := self._pay_off() - max(self._burst - size, 0)) >= 1:
                await trio.sleep(min(excess / self._rate(), RATE_CHECK))
            self._owed += size

    def _pay_off(self) -> float:
        now, rate = trio.current_time(), self._rate()
        assert rate > 0
        self._owed = 0.0 if rate == inf else max(0.0, self._owed - rate * (now - self._counted_at))
        self._counted_at = now
        return self._owed


@dataclass(frozen=True, slots=True)
class Toll:
    """What a session's content pays to: puts and gets, None for no limit; each waits at most `patience` seconds."""

    puts: TokenBucket | None
    gets: TokenBucket | None
    patience: float = inf


class LimitedStore:
    """Puts pay before they are passed on, gets after they came."""

    def __init__(self, store: BlockStore, toll: Toll) -> None:
        self.opened: Opened = store.opened
        self._store = store
        self._toll = toll

    async def put(self, row: int, version: int, data: Octets) -> None:
        await self._pay(self._toll.puts, len(data))
        await self._store.put(row, version, data)

    async def put_many(self, writes: Sequence[Write]) -> Sequence[PeerError | None]:
        for write in writes:
            await self._pay(self._toll.puts, len(write.data))
        return await self._store.put_many(writes)

    async def get(self, row: int) -> StoredBlock | None:
        block = await self._store.get(row)
        if block is not None:
            await self._pay(self._toll.gets, len(block.data))
        return block

    async def get_many(self, rows: Sequence[int]) -> Sequence[StoredBlock | None]:
        blocks = await self._store.get_many(rows)
        for block in blocks:
            if block is not None:
                await self._pay(self._toll.gets, len(block.data))
        return blocks

    async def inventory(self, first_row: int, limit: int) -> Sequence[Slot]:
        return await self._store.inventory(first_row, limit)

    async def resize(self, rows: int) -> None:
        await self._store.resize(rows)
        self.opened = self._store.opened

    async def close(self) -> None:
        await self._store.close()

    async def _pay(self, bucket: TokenBucket | None, size: int) -> None:
        if bucket is not None:
            with trio.move_on_after(self._toll.patience):
                await bucket.take(size)


class LimitedPartner:
    """A partner whose stores' content pays to a toll."""

    def __init__(self, partner: Partner, toll: Toll) -> None:
        self._partner = partner
        self._toll = toll

    async def open(self, opening: Opening) -> BlockStore:
        return LimitedStore(await self._partner.open(opening), self._toll)

    async def claim(self, claim: Claim) -> None:
        await self._partner.claim(claim)

    async def masters(self, disk: DiskId) -> Sequence[Master]:
        return await self._partner.masters(disk)

    async def put_master(self, claim: Claim, master: Master) -> None:
        await self._partner.put_master(claim, master)

    async def grant(self, grant: Grant) -> None:
        await self._partner.grant(grant)

    async def agree(self, proposal: Proposal) -> bytes:
        return await self._partner.agree(proposal)

    async def offer(self, announcement: bytes) -> Welcome:
        return await self._partner.offer(announcement)

    async def step(self, word: StepWord) -> StepAnswer:
        return await self._partner.step(word)

    async def renew(self, renewal: Renewal) -> None:
        await self._partner.renew(renewal)

    async def amend(self, amendment: Amendment) -> Settlement:
        return await self._partner.amend(amendment)

    async def leave(self, text: bytes) -> None:
        await self._partner.leave(text)
