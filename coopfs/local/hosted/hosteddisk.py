"""One disk hosted for one partner: its fence, its master blocks, and the group commit of its puts (design R12, R14,
R15).

Puts wait in the queue; whoever gets the lock commits the first PUT_BATCH of the queue for all of them: one thread and
one fdatasync per store. While that runs, the next batch gathers. Claims take the same lock: a put is committed
either wholly before a claim is granted, and then the claimer's inventories show it, or after it, and then the fence
stops it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import ParamSpec, TypeVar

import trio

from coopfs import limits
from coopfs.core.acceptance import accepts_master, check_turn
from coopfs.core.claims import check_claim, check_writer
from coopfs.errors import Fenced, HomeError, NoAgreement, PeerError, Refused
from coopfs.local.hosted import hostrecords
from coopfs.local.hosted.storefile import StoreFile
from coopfs.local.nodedb import NodeDatabase
from coopfs.types import Claim, DiskId, Master, NodeKey, Write

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(slots=True, eq=False)
class _Waiting:
    session: Claim
    writer: object
    store: StoreFile
    write: Write
    done: bool = False
    refusal: PeerError | None = None
    failure: HomeError | None = None

    def finish(self, refusal: PeerError | None = None, failure: HomeError | None = None) -> None:
        self.done = True
        self.refusal = refusal
        self.failure = failure


class HostedDisk:
    """Methods may raise HomeError and StateError besides what they say; the claim granted never goes back."""

    def __init__(
        self,
        database: NodeDatabase,
        peer: NodeKey,
        disk: DiskId,
        claim: Claim | None,
        threads: trio.CapacityLimiter,
    ) -> None:
        """claim: what is on record as granted; threads: of all disks that are hosted here."""
        self.claim = claim
        self.threads = threads
        self._database = database
        self._peer = peer
        self._disk = disk
        self._lock = trio.Lock()
        self._queue: list[_Waiting] = []
        self._over = False

    async def end(self) -> None:
        """The agreement is over: nothing is stored or acknowledged any more, as the stores are about to go."""
        async with self._lock:
            self._over = True

    async def grant(self, claim: Claim) -> None:
        """Raise the granted claim to this (verified) one, on stable storage. Fenced: it is lower, or the epoch is
        another's.
        """
        async with self._lock:
            await self._grant(claim)

    async def open(self, claim: Claim | None, writer: object, acquire: Callable[[], StoreFile]) -> StoreFile:
        """Open a store of this disk with `acquire`, in a thread. An OPEN for writing is a claim first, and ends the
        writing of all sessions before it: what these put, of the same home or a copy of it, `writer` has seen (design
        R12). Fenced, Refused.
        """
        async with self._lock:
            self._check()
            if claim is not None:
                await self._grant(claim)
            store = await self._in_thread(acquire)
            if claim is not None:
                store.writer = writer
            return store

    async def change(self, session: Claim, work: Callable[[], None]) -> None:
        """Do something to a store that was opened with `session`, in a thread, while nothing is put. Fenced."""
        with trio.CancelScope(shield=True):
            async with self._lock:
                self._check()
                check_writer(self.claim, session)
                await self._in_thread(work)

    async def masters(self) -> Sequence[Master]:
        return await self._in_thread(hostrecords.masters, self._database, self._peer, self._disk)

    async def put_master(self, claim: Claim, master: Master) -> None:
        """Overwrite the lower of two slots, on stable storage. Fenced; Refused: too long, or its counter is not
        greater.
        """
        async with self._lock:
            await self._grant(claim)
            if accepts_master(await self.masters(), master):
                await self._in_thread(hostrecords.save_master, self._database, self._peer, self._disk, master)

    async def put(
        self, session: Claim, writer: object, store: StoreFile, writes: Sequence[Write]
    ) -> list[PeerError | None]:
        """Commit puts of a session that was opened with `session` as `writer`: for each None, BlockRefused, Fenced, or
        Refused, if the store was opened for writing again since."""
        mine = [_Waiting(session, writer, store, write) for write in writes]
        self._queue += mine
        # Others' puts are in the batch, and a file must not be closed under it: a put that has begun is carried
        # through.
        with trio.CancelScope(shield=True):
            async with self._lock:
                while not all(waiting.done for waiting in mine):
                    await self._commit()
        for waiting in mine:
            if waiting.failure is not None:
                raise waiting.failure
        return [waiting.refusal for waiting in mine]

    async def _in_thread(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await trio.to_thread.run_sync(partial(work, *args, **kwargs), limiter=self.threads)

    def _check(self) -> None:
        if self._over:
            raise NoAgreement("the agreement between these two nodes is over")

    async def _grant(self, claim: Claim) -> None:
        self._check()
        if check_claim(self.claim, claim):
            with trio.CancelScope(shield=True):
                await self._in_thread(hostrecords.save_claim, self._database, self._peer, claim)
            self.claim = claim

    async def _commit(self) -> None:
        batch, self._queue = self._queue[: limits.PUT_BATCH], self._queue[limits.PUT_BATCH :]
        by_store: dict[StoreFile, list[_Waiting]] = {}
        for waiting in batch:
            try:
                self._check()
                check_writer(self.claim, waiting.session)
                check_turn(waiting.store.writer, waiting.writer)
            except (Fenced, NoAgreement, Refused) as refusal:
                waiting.finish(refusal)
            else:
                by_store.setdefault(waiting.store, []).append(waiting)
        for store, puts in by_store.items():
            try:
                outcomes = await self._in_thread(store.put, [waiting.write for waiting in puts])
            except Refused as cut:  # the store has lost rows since these were asked
                for waiting in puts:
                    waiting.finish(cut)
            except HomeError as error:
                for waiting in puts:
                    waiting.finish(failure=HomeError(str(error)))
            else:
                for waiting, outcome in zip(puts, outcomes, strict=True):
                    waiting.finish(outcome)
