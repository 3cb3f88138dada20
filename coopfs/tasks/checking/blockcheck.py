"""What partners claim to hold against what they have acked (design R7), and what is lost of all that was met damaged.

Partners that are not reached are said, not blamed: no answer says nothing of what is there. What is found missing is
not counted any more from then on, if it is to be repaired, and the cleaner seals it again.
"""

from array import array
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import islice

import trio

from coopfs.core.codec import UNREADABLE
from coopfs.core.columnstate import GONE_FOR_GOOD
from coopfs.core.findings import About, Finding
from coopfs.errors import PeerError
from coopfs.limits import CHECK_SLICE, FINDINGS_MAX, LOST_AT_ONCE
from coopfs.local.disk import LocalDisk
from coopfs.local.log import Sealed
from coopfs.local.paths import files_in, path_of
from coopfs.tasks.checking.report import Report
from coopfs.tasks.network import read_inventory
from coopfs.tasks.writing.column import Column
from coopfs.tasks.writing.columns import Columns
from coopfs.tasks.writing.ledger import Ledger
from coopfs.types import Kind

Watch = Callable[[str, int, int], None]  # step, done, total


class BlockCheck:
    """One object for one check. bad: of each stripe met damaged, the columns that lack it, a bit each."""

    def __init__(self, columns: Columns, ledger: Ledger, local: LocalDisk) -> None:
        self._columns = columns
        self._ledger = ledger
        self._metadata = local.metadata
        self._stage = local.stage
        self.bad: defaultdict[int, int] = defaultdict(int)

    async def inventories(self, report: Report, watch: Watch, *, repair: bool) -> None:
        """Blocks that a column acked, and does not claim to hold; and those in whose place it keeps something
        else, whatever it is sent: these are repaired by the mover."""
        columns = self._columns.columns
        for number, column in enumerate(columns):
            watch("inventories of partners", number, len(columns))
            lost = await self._inventory(column, report, repair=repair)
            if lost:
                text = f"{column.place.name} lacks {lost} block{_s(lost)} that it had acked"
                report.add(Finding(About.BLOCKS, text), repaired=repair)
            damaged, foreign = len(column.disputed - column.foreign), len(column.foreign)
            if damaged:
                text = f"{column.place.name} keeps {damaged} damaged block{_s(damaged)}, and takes no others"
                report.add(Finding(About.BLOCKS, text), repaired=repair)
            if foreign:
                text = f"{column.place.name} has {foreign} block{_s(foreign)} of another machine in the way"
                report.add(Finding(About.BLOCKS, text), repaired=repair)
        watch("inventories of partners", 1, 1)

    async def _inventory(self, column: Column, report: Report, *, repair: bool) -> int:
        """How many blocks one column lacks."""
        session = column.session
        if session is None:
            report.note(f"{column.place.name} is not reached: what it holds was not looked at")
            return 0
        acked = await self._acked(column.number)
        try:
            found = await read_inventory(session, self._ledger.rows_at(column.number).total)
        except PeerError as trouble:
            report.note(f"{column.place.name} gave no inventory: {trouble}")
            return 0
        count, after = 0, 0
        while page := self._ledger.places_at(column.number, after, CHECK_SLICE):
            if column.gone or column.session is not session:
                report.note(f"{column.place.name} went away: not all that it holds was looked at")
                return count
            after = page[-1][0]
            lost = [id_ for id_ in found.differing(page, column.number)[1] if _holds(acked, id_)]
            count += len(lost)
            for id_ in lost:
                self.bad[id_] |= 1 << column.number
            if lost and repair:
                self._columns.disprove(column, lost)
            await trio.lowlevel.checkpoint()
        report.checked["inventories"] += 1
        return count

    async def _acked(self, column: int) -> Sequence[int]:
        """By ascending id: asked before the partner is, so that no ack on its way is taken for one that is wrong."""
        acked, after = array("Q"), 0
        while page := self._ledger.places_at(column, after, CHECK_SLICE):
            after = page[-1][0]
            acked.extend(id_ for id_, _, _, acks in page if acks >> column & 1)
            await trio.lowlevel.checkpoint()
        return acked

    # --- what follows ---------------------------------------------------------------------------------------------

    async def lost(self, report: Report, *, repair: bool) -> None:
        """Of the stripes met damaged, and of those known to lack blocks, the ones that cannot be had any more, and
        whose content they are. The log can do without its own."""
        for id_ in sorted(self.bad.keys() | self._few()):
            await trio.lowlevel.checkpoint()
            stripe = self._ledger.log.get(id_)
            if stripe is None or stripe.died is not None:
                continue
            blocks = self._columns.blocks_left(replace(stripe, acks=stripe.acks & ~self.bad[id_]))
            if blocks < self._needed(stripe) and not self._is_here(stripe):
                self._give_up(stripe, blocks, report, repair=repair)

    def _few(self) -> set[int]:
        """The stripes of which less than k blocks were acked, or are on their way; none while a partner that may have
        more was not reached, as after a takeover nothing else tells what it has. At most LOST_AT_ONCE."""
        columns = self._columns.columns
        gone = sum(column.state in GONE_FOR_GOOD for column in columns)
        if sum(column.session is not None for column in columns) < len(columns) - gone:
            return set()
        return {stripe.id for stripe in islice(self._ledger.progress.short_of(gone), LOST_AT_ONCE)}

    def _needed(self, stripe: Sealed) -> int:
        """Blocks without which it cannot be had."""
        return self._ledger.seats.of(stripe.layout).layout.k

    def _is_here(self, stripe: Sealed) -> bool:
        if stripe.kind == Kind.DATA:
            return not self._is_unread(stripe) and self._stage.contents.size(stripe.id) >= stripe.length
        return self._ledger.log.payloads.get(stripe.id) is not None

    def _is_unread(self, stripe: Sealed) -> bool:
        """Its file is here, and the cleaner could not read it."""
        if stripe.id not in self._stage.cache or self._stage.contents.is_fetched(stripe.id):
            return False
        return stripe.tag == UNREADABLE or stripe.id in self._ledger.progress.lost

    def _give_up(self, stripe: Sealed, blocks: int, report: Report, *, repair: bool) -> None:
        here = "cannot be read here" if self._is_unread(stripe) else "is not here"
        have = f"stripe {stripe.id} has {blocks} of the {self._needed(stripe)} blocks needed, and {here}"
        if stripe.kind != Kind.DATA:
            report.add(
                Finding(About.LOG, f"{have}: until the log goes on without it nothing can be restored"), repaired=repair
            )
            return
        for ino in files_in(self._metadata, stripe.id):
            path = path_of(self._metadata, ino)
            if path not in report.lost and len(report.lost) < FINDINGS_MAX:
                report.lost.append(path)
        report.add(Finding(About.CONTENT, have), repaired=False)


def _holds(ascending: Sequence[int], id_: int) -> bool:
    at = bisect_left(ascending, id_)
    return at < len(ascending) and ascending[at] == id_


def _s(count: int) -> str:
    return "" if count == 1 else "s"
