"""One rule broken at a time: what the simulator must notice."""

import contextlib
import itertools
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any
from unittest.mock import patch

import trio

from coopfs.core import seal, space
from coopfs.core.coding import Coded
from coopfs.core.header import Header
from coopfs.core.inventory import Inventory
from coopfs.core.master import Floor, LayoutPlaces
from coopfs.core.meta import MetaHead
from coopfs.core.newest import AllAnswers, Answers
from coopfs.core.progress import Progress
from coopfs.core.quorum import Quorum, Reach
from coopfs.core.records import Image, Record, Tombstone, Truncate, Type, encode
from coopfs.core.replay import Replay
from coopfs.core.seal import BoxKeys
from coopfs.core.space import Usage
from coopfs.local.chain import Key
from coopfs.local.database import Database
from coopfs.local.hosted import hosteddisk
from coopfs.local.hosted.storefile import StoreFile
from coopfs.local.log import Log, Sealed
from coopfs.local.rebuild import Rebuild
from coopfs.local.rekeymark import RekeyMark
from coopfs.tasks.network import Network
from coopfs.tasks.reading.fetcher import Fetched
from coopfs.tasks.reading.reader import Reader, readers_of
from coopfs.tasks.recovery import takeover
from coopfs.tasks.recovery.claiming import Claiming
from coopfs.tasks.recovery.recovery import Recovery
from coopfs.tasks.recovery.rehold import Rehold
from coopfs.tasks.reshaping.incoming import Incoming
from coopfs.tasks.reshaping.rekeying import Rekeying
from coopfs.tasks.reshaping.replacing import Replacing
from coopfs.tasks.writing.coder import Coder
from coopfs.tasks.writing.column import Column
from coopfs.tasks.writing.committer import Committer
from coopfs.tasks.writing.keeper import MasterKeeper
from coopfs.tasks.writing.ledger import Ledger
from coopfs.tasks.writing.rivals import Rivals
from coopfs.tasks.writing.writer import Writer
from coopfs.types import Claim, DiskId, Place
from tests import memory

Mutant = Callable[[], contextlib.AbstractContextManager[object]]


def nonces_are_drawn() -> Any:
    """R1: same content, same bytes."""
    seal_in_place, count = seal.seal_in_place, itertools.count()

    def mutant(keys: BoxKeys, *what: Any) -> None:
        seal_in_place(replace(keys, nonce=next(count).to_bytes(32, "big")), *what)

    return patch.object(seal, "seal_in_place", mutant)


def repair_writes_a_header_of_its_own() -> Any:
    """R2: fixed at sealing, and copied."""
    code_again = Coder.code_again

    async def mutant(self: Coder, stripe: Sealed) -> tuple[Coded, Header]:
        coded, head = await code_again(self, stripe)
        return coded, replace(head, end=self._log.end)

    return patch.object(Coder, "code_again", mutant)


def truncates_act_on_their_own_group_too() -> Any:
    """R4: on images of older groups only."""
    group = Replay.group

    def mutant(self: Replay, records: Iterable[Record]) -> Iterator[Image]:
        told = list(records)
        for record in told:
            if isinstance(record, Truncate):
                self._least[record.ino] = min(record.size, self._least.get(record.ino, record.size))
        return group(self, told)

    return patch.object(Replay, "group", mutant)


@contextlib.contextmanager
def the_rest_of_the_group_at_the_head_is_dropped() -> Iterator[None]:
    """R4: a chain may begin in the midst of a group, and what is left of that is told all the same."""
    oldest: list[MetaHead] = []
    read, insert = Recovery._read, Rebuild.insert

    def see(self: Recovery, place: Place, stripe: Fetched) -> tuple[MetaHead, list[Record]]:
        head, found = read(self, place, stripe)
        oldest[:] = [head]
        return head, found

    def mutant(self: Rebuild, group: int, images: Iterable[Image]) -> None:
        is_rest = oldest[0].group == group and oldest[0].index > 0
        insert(self, group, () if is_rest else images)

    with patch.object(Recovery, "_read", see), patch.object(Rebuild, "insert", mutant):
        yield


@contextlib.contextmanager
def a_home_believes_that_it_knows_the_newest_version() -> Iterator[None]:
    """R6, R12: recognised before the first put, by blocks or by a master block."""

    async def nothing(*_: object) -> None:
        return

    with patch.object(Rivals, "compare", nothing), patch.object(MasterKeeper, "_compare", lambda *_: None):
        yield


def writers_get_what_is_kept_for_who_frees() -> Any:
    """R9: every row that is free."""

    def mutant(usage: Usage) -> int:
        return (usage.total - usage.data_rows - usage.log_rows) * space.stripe_payload(usage.layout)

    return patch.object(space, "budget", mutant)


@contextlib.contextmanager
def partners_fence_nobody() -> Iterator[None]:
    """R12: the claim is compared when a store is opened, and when a put commits. Nor does what stops a copy."""
    with contextlib.ExitStack() as patches:
        patches.enter_context(patch.object(MasterKeeper, "_compare", lambda *_: None))
        for host in (memory, hosteddisk):
            patches.enter_context(patch.object(host, "check_claim", lambda *_: True))
            for check in ("check_writer", "check_turn"):
                patches.enter_context(patch.object(host, check, lambda *_: None))
        yield


@contextlib.contextmanager
def rows_are_reused_when_what_killed_them_is_only_written() -> Iterator[None]:
    """R7."""
    write_group = Ledger.write_group

    def mutant(self: Ledger, group: int, end: Place) -> None:
        write_group(self, group, end)
        with patch.object(self.progress, "barrier", group):
            self.release()

    with patch.object(Ledger, "write_group", mutant):
        yield


@contextlib.contextmanager
def a_group_is_held_when_its_own_stripes_are() -> Iterator[None]:
    """R7: every stripe that the state at its end names. It is judged by those born in it, and a partner that returns
    is counted at once."""

    def mutant(self: Progress, group: int) -> bool:
        return not self._unsafe.get(group)

    with patch.object(Progress, "_is_held", mutant), patch.object(Progress, "has_caught_up", lambda *_: True):
        yield


def a_group_is_held_when_it_is_written() -> Any:
    """R7."""

    def mutant(self: Quorum, acks: int, away: int) -> Reach:
        written = (acks & ~away).bit_count() >= self.to_be_written(away)
        return Reach.HELD if written else Reach.SENT

    return patch.object(Quorum, "reach", mutant)


def columns_in_a_count_like_others() -> Any:
    """R7: acks count outside A only."""
    reach = Quorum.reach
    return patch.object(Quorum, "reach", lambda self, acks, away: reach(self, acks, away & ~acks))


def nothing_is_retracted() -> Any:
    """R7."""
    return patch.object(Ledger, "retract", lambda *_: None)


def a_partner_that_returns_is_believed_without_a_look() -> Any:
    """R16: whatever its digest is."""

    async def nothing(*_: object) -> None:
        return

    return patch.object(Column, "_reconcile", nothing)


@contextlib.contextmanager
def dead_content_of_a_closed_group_is_not_sent() -> Iterator[None]:
    """R3."""
    living = "SELECT id, length, layout FROM stripes WHERE born = ? AND kind = 1 AND died IS NULL AND length AND row IS"

    def unsealed_of(self: Log, group: int) -> Any:
        return self._db.read(f"{living} NULL", (group,)).fetchall()

    def records(self: Log, group: int) -> Iterator[tuple[Key | None, bytes]]:
        sent = [self.get(id_) for id_, *_ in self._db.read(f"{living} NOT NULL", (group,)).fetchall()]
        yield from (((Type.STRIPE, stripe.id, 0), encode(stripe.record)) for stripe in sent if stripe is not None)
        yield from ((None, encode(Tombstone((Type.STRIPE, id_)))) for id_ in self.died_in(group))

    with patch.object(Log, "unsealed_of", unsealed_of), patch.object(Log, "stripe_records", records):
        yield


@contextlib.contextmanager
def only_the_chain_of_metadata_makes_a_state_valid() -> Iterator[None]:
    """R11."""
    with patch.object(AllAnswers, "lacks", lambda *_: None), patch.object(Answers, "is_doubtful", lambda *_: False):
        yield


def a_store_that_is_gone_is_an_answer() -> Any:
    """R11, R16: that nothing is there, of a partner that lost its disk."""
    ask = Reader.inventory

    async def mutant(self: Reader) -> Inventory | None:
        found = await ask(self)
        is_gone = found is None and "does not exist" in (self.trouble or "")
        return Inventory(self._rows) if is_gone else found

    return patch.object(Reader, "inventory", mutant)


def what_partners_claim_is_believed() -> Any:
    """R11."""
    return patch.object(Answers, "is_doubtful", lambda *_: False)


def partners_ack_before_they_sync() -> Any:
    """R15."""
    put = StoreFile._put

    def mutant(self: StoreFile, writes: Any) -> Any:
        with patch.object(os, "fdatasync", lambda _: None):
            return put(self, writes)

    return patch.object(StoreFile, "_put", mutant)


def the_newest_whole_state_is_taken_without_asking() -> Any:
    """R11."""
    return patch.object(Answers, "may_have_been_held", lambda *_: False)


def a_restore_ignores_the_floor() -> Any:
    """R14."""
    find = Recovery.find
    return patch.object(Recovery, "find", lambda self, floor: find(self, Floor(0, 0)))


def the_floor_is_what_was_sealed_last() -> Any:
    """R14: it must be held."""

    def mutant(self: MasterKeeper) -> Floor:
        group = self._log.newest_sealed()
        return Floor(self._log.end_of(group).version, self._log.closed_at(group)) if group else Floor(0, 0)

    return patch.object(MasterKeeper, "_held", mutant)


def a_master_block_is_sent_before_it_is_saved() -> Any:
    """R14."""
    original: Any = MasterKeeper.__init__

    def mutant(self: MasterKeeper, *args: Any) -> None:
        original(self, *args[:4], lambda _: None, *args[5:])

    return patch.object(MasterKeeper, "__init__", mutant)


def blocks_are_sent_before_their_version_is_durable() -> Any:
    """R5."""
    original: Any = Writer.__init__

    def mutant(self: Writer, *args: Any) -> None:
        async def nothing() -> None:
            return

        original(self, *args[:-1], nothing)

    return patch.object(Writer, "__init__", mutant)


def content_goes_before_it_is_safe() -> Any:
    """R8."""
    return patch.object(Ledger, "may_go", lambda self, id_: self.log.is_sealed(id_))


def fsync_answers_before_the_log_is_synced() -> Any:
    """P3."""
    return patch.object(Database, "sync_wal", lambda *_: None)


def a_commit_does_not_wait_for_the_stage() -> Any:
    """P3, R5."""

    async def nothing(self: Committer) -> None:
        return

    return patch.object(Committer, "_sync_stage", nothing)


def a_takeover_writes_before_all_is_held_again() -> Any:
    """R13."""

    async def nothing(self: Rehold) -> None:
        return

    return patch.object(Rehold, "hold_again", nothing)


@contextlib.contextmanager
def a_takeover_looks_before_it_claims() -> Iterator[None]:
    """R13."""

    async def nobody_is_asked(self: Claiming, voter: Any, claim: Claim, answers: Any) -> None:
        answers.granted.add(voter)

    def readers(layouts: Iterable[LayoutPlaces], disk: DiskId, network: Network, claim: Claim) -> list[Reader]:
        return readers_of(layouts, disk, network)

    with patch.object(Claiming, "_ask", nobody_is_asked), patch.object(takeover, "readers_of", readers):
        yield


def a_rebuilt_column_counts_before_it_is_complete() -> Any:
    """R7: being rebuilt, it is in A until it has every live stripe up to the barrier."""
    return patch.object(Incoming, "has_caught_up", lambda *_: True)


@contextlib.contextmanager
def a_new_store_counts_before_anybody_knows_of_it() -> Iterator[None]:
    """R14: nor is who held the column told."""

    async def nothing(*_: object) -> None:
        await trio.sleep_forever()

    with (
        patch.object(Replacing, "_is_told", lambda *_: True),
        patch.object(Replacing, "_is_in_kit", lambda *_: True),
        patch.object(Replacing, "hindrance", lambda *_: None),
        patch.object(MasterKeeper, "_tell_others", nothing),
    ):
        yield


def a_new_key_is_used_before_a_kit_has_it() -> Any:
    """R1, R14: what nobody could open after the loss of this machine is not held."""
    return patch.object(Rekeying, "pending", None)


def an_old_key_is_dropped_while_rows_need_it() -> Any:
    """R1."""
    return patch.object(RekeyMark, "has_older", lambda *_: False)


MUTANTS: list[Mutant] = [
    nonces_are_drawn,
    repair_writes_a_header_of_its_own,
    truncates_act_on_their_own_group_too,
    the_rest_of_the_group_at_the_head_is_dropped,
    a_home_believes_that_it_knows_the_newest_version,
    writers_get_what_is_kept_for_who_frees,
    partners_fence_nobody,
    a_rebuilt_column_counts_before_it_is_complete,
    a_new_store_counts_before_anybody_knows_of_it,
    a_takeover_writes_before_all_is_held_again,
    a_takeover_looks_before_it_claims,
    rows_are_reused_when_what_killed_them_is_only_written,
    a_group_is_held_when_its_own_stripes_are,
    a_group_is_held_when_it_is_written,
    columns_in_a_count_like_others,
    nothing_is_retracted,
    a_partner_that_returns_is_believed_without_a_look,
    dead_content_of_a_closed_group_is_not_sent,
    only_the_chain_of_metadata_makes_a_state_valid,
    a_store_that_is_gone_is_an_answer,
    partners_ack_before_they_sync,
    a_master_block_is_sent_before_it_is_saved,
    blocks_are_sent_before_their_version_is_durable,
    fsync_answers_before_the_log_is_synced,
    a_commit_does_not_wait_for_the_stage,
    what_partners_claim_is_believed,
    the_newest_whole_state_is_taken_without_asking,
    a_restore_ignores_the_floor,
    the_floor_is_what_was_sealed_last,
    content_goes_before_it_is_safe,
    a_new_key_is_used_before_a_kit_has_it,
    an_old_key_is_dropped_while_rows_need_it,
]
