"""What partners claim to hold against what they have acked (design R7), and what is lost of all that was met damaged.

Partners that are not reached are said, not blamed: no answer says nothing of what is there. What is found missing is
not counted any more from then on, if it is to be repaired, and the cleaner seals it again.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Sequence

from coopfs.core.findings import About, Finding
from coopfs.errors import PeerError
from coopfs.limits import FINDINGS_MAX
from coopfs.local.disk import LocalDisk
from coopfs.local.log import Sealed
from coopfs.local.paths import files_in, path_of
from coopfs.local.survey import Survey
from coopfs.tasks.column import Column
from coopfs.tasks.columns import Columns
from coopfs.tasks.ledger import Ledger
from coopfs.tasks.network import read_inventory
from coopfs.tasks.report import Report
from coopfs.types import Kind

Watch = Callable[[str, int, int], None]  # step, done, total


class BlockCheck:
    """One object for one check. bad: of each stripe met damaged, the columns that lack it, a bit each."""

    def __init__(self, columns: Columns, ledger: Ledger, local: LocalDisk) -> None:
        self._columns = columns
        self._ledger = ledger
        self._metadata = local.metadata
        self._stage = local.stage
        self._survey = Survey(local.database)
        self.bad: defaultdict[int, int] = defaultdict(int)

    async def inventories(self, report: Report, watch: Watch, *, repair: bool) -> None:
        """Blocks that a column acked, and does not claim to hold; and those that it keeps damaged, whatever it is sent:
        these are repaired by the mover."""
        columns = self._columns.columns
        for number, column in enumerate(columns):
            watch("inventories of partners", number, len(columns))
            acked = self._survey.acked(column.number)
            lost = await self._lost(column, acked, report)
            for id_ in lost:
                self.bad[id_] |= 1 << column.number
            if lost:
                text = f"{column.place.name} lacks {len(lost)} blocks that it had acked"
                report.add(Finding(About.BLOCKS, text), repaired=repair)
            if lost and repair:
                self._columns.disprove(column, lost)
            if column.disputed:
                text = f"{column.place.name} keeps {len(column.disputed)} damaged blocks, and takes no others"
                report.add(Finding(About.BLOCKS, text), repaired=repair)
        watch("inventories of partners", 1, 1)

    async def _lost(self, column: Column, acked: Sequence[int], report: Report) -> list[int]:
        """acked: before it was asked, so that no ack on its way is taken for one that is wrong."""
        session = column.session
        if session is None:
            report.note(f"{column.place.name} is not reached: what it holds was not looked at")
            return []
        try:
            found = await read_inventory(session, self._ledger.rows.total)
        except PeerError as trouble:
            report.note(f"{column.place.name} gave no inventory: {trouble}")
            return []
        if column.gone or column.session is not session:
            report.note(f"{column.place.name} went away: what it holds was not looked at")
            return []
        report.checked["inventories"] += 1
        _, lost = found.differing(self._ledger.log.places(), column.number)
        return [id_ for id_ in lost if _holds(acked, id_)]

    # --- what follows ---------------------------------------------------------------------------------------------

    def lost(self, report: Report) -> None:
        """Of the stripes met damaged those that cannot be had any more, and whose content they are."""
        for id_, bad in sorted(self.bad.items()):
            stripe = self._ledger.log.get(id_)
            if stripe is None or stripe.died is not None:
                continue
            blocks = (stripe.acks & ~bad).bit_count()
            if blocks < self._ledger.layout.k and not self._is_here(stripe):
                self._give_up(stripe, blocks, report)

    def _is_here(self, stripe: Sealed) -> bool:
        if stripe.kind == Kind.DATA:
            return self._stage.contents.size(stripe.id) >= stripe.length
        return self._ledger.log.meta_payload(stripe.id) is not None

    def _give_up(self, stripe: Sealed, blocks: int, report: Report) -> None:
        have = f"stripe {stripe.id} has {blocks} of the {self._ledger.layout.k} blocks needed, and is not here"
        if stripe.kind != Kind.DATA:
            report.add(Finding(About.LOG, f"{have}: nothing could be restored from the log"), repaired=False)
            return
        for ino in files_in(self._metadata, stripe.id):
            path = path_of(self._metadata, ino)
            if path not in report.lost and len(report.lost) < FINDINGS_MAX:
                report.lost.append(path)
        report.add(Finding(About.CONTENT, have), repaired=False)


def _holds(ascending: Sequence[int], id_: int) -> bool:
    at = bisect_left(ascending, id_)
    return at < len(ascending) and ascending[at] == id_
