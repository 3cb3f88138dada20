"""One rule of claims broken at a time (tests/sim/mutants)."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any, cast
from unittest.mock import patch

from coopfs.app.disk import own_disk
from coopfs.core.master import StorePlace
from coopfs.core.seats import Span
from coopfs.errors import PeerError
from coopfs.local.hosted import hosteddisk
from coopfs.tasks.recovery.claiming import Claiming
from coopfs.tasks.writing.column import Column
from coopfs.tasks.writing.seat import Seat
from coopfs.types import BlockStore, Claim, Opening, Partner, StoreSpec, Write
from tests import memory


def a_claim_forgotten_with_its_disk_counts() -> Any:
    """R12, R13: a partner that has lost its store may have forgotten whom it granted the disk."""

    async def mutant(self: Claiming, voter: Any, claim: Claim, answers: Any) -> None:
        await ask(self, voter, claim, answers)
        if "does not exist" in answers.trouble.get(voter, ""):
            answers.granted.add(voter)

    ask = Claiming._ask
    return patch.object(Claiming, "_ask", mutant)


def a_store_lost_with_its_claim_is_made_anew() -> Any:
    """R12, R16: what counts never is, or whoever was fenced there takes it for its own."""
    original: Any = Column.__init__

    def mutant(self: Column, span: Span, number: int, place: StorePlace, opening: Opening, *more: Any) -> None:
        seat: Seat = more[1]
        spec = StoreSpec(seat.rows_at(number).total, span.layout.block_size)
        original(self, span, number, place, replace(opening, create=spec), *more)

    return patch.multiple(Column, __init__=mutant, made=lambda _: None)


class _ClaimedLate:
    """A store that is opened for reading, and for writing when something is put there."""

    def __init__(self, partner: Partner, store: BlockStore, opening: Opening) -> None:
        self._partner, self._store = partner, store
        self._opening: Opening | None = opening

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def put_many(self, writes: Sequence[Write]) -> Sequence[PeerError | None]:
        if self._opening is not None:
            self._store, self._opening = await self._partner.open(self._opening), None
        return await self._store.put_many(writes)


@contextlib.contextmanager
def blocks_are_counted_before_the_claim() -> Iterator[None]:
    """R12, R16: of a partner that returns, which takes those of an older writer until something is put there."""
    original, work = Column.__init__, Column._work
    openings: dict[Column, Opening] = {}

    def init(self: Column, span: Span, number: int, place: StorePlace, opening: Opening, *more: Any) -> None:
        openings[self] = opening
        original(self, span, number, place, opening if opening.create else replace(opening, claim=None), *more)

    async def count(self: Column, partner: Partner, session: BlockStore) -> None:
        await work(self, partner, cast(BlockStore, _ClaimedLate(partner, session, openings[self])))

    with patch.object(Column, "__init__", init), patch.object(Column, "_work", count):
        yield


@contextlib.contextmanager
def whoever_opened_a_store_goes_on_putting_there() -> Iterator[None]:
    """R12: only who did last has seen what lies there; a copy of a home has the same claim."""
    with patch.object(memory, "check_turn", lambda *_: None), patch.object(hosteddisk, "check_turn", lambda *_: None):
        yield


def all_runs_go_on_from_the_newest_version() -> Any:
    """R5, R12: a home and its copy from the same one."""
    return patch.object(own_disk, "RUN_LEAP", 1)


CLAIM_MUTANTS: list[Callable[[], AbstractContextManager[object]]] = [
    a_claim_forgotten_with_its_disk_counts,
    a_store_lost_with_its_claim_is_made_anew,
    blocks_are_counted_before_the_claim,
    whoever_opened_a_store_goes_on_putting_there,
    all_runs_go_on_from_the_newest_version,
]
