"""What is not held stays here: what was sent, and may not be safe yet, is still on this machine (design R8).

Whatever may go has gone by the rules (core/cache, local/payloads), and comes back from partners. Of a group that was
never held nothing may have gone: where partners have too few blocks by now it would be nowhere. But after a crash it is
not known yet that a group was held whose last acks were not saved; content of it that had gone has blocks enough.
"""

from collections.abc import Awaitable, Callable, MutableMapping

import trio

from coopfs.core.findings import About, Finding
from coopfs.errors import ContentUnavailable
from coopfs.limits import CHECK_SLICE
from coopfs.local.disk import LocalDisk
from coopfs.local.log import Sealed
from coopfs.tasks.checking.report import Report
from coopfs.tasks.reading.fetcher import Fetched
from coopfs.tasks.writing.ledger import Ledger
from coopfs.types import Kind

Watch = Callable[[str, int, int], None]  # step, done, total


class UnheldCheck:
    """fetch: a sealed stripe from partners; recall: the same of content, into the cache; bad: stripes met damaged, to
    which those are added that could not be had back. One object for one check."""

    def __init__(
        self,
        local: LocalDisk,
        ledger: Ledger,
        fetch: Callable[[Sealed], Awaitable[Fetched]],
        recall: Callable[[int], Awaitable[None]],
        bad: MutableMapping[int, int],
    ) -> None:
        self._stage = local.stage
        self._ledger = ledger
        self._fetch = fetch
        self._recall = recall
        self._bad = bad

    async def run(self, report: Report, watch: Watch, *, repair: bool) -> None:
        """Stripes that are sealed and not held, and not here; with `repair` they are fetched back."""
        watch("what is not held", 0, 1)
        here = await trio.to_thread.run_sync(self._stage.contents.sizes)
        log = self._ledger.log
        for number, id_ in enumerate(log.born_after(self._ledger.held)):
            if number % CHECK_SLICE == 0:
                await trio.lowlevel.checkpoint()
            stripe = log.get(id_)
            if stripe is None or here.get(id_, -1) >= stripe.length or not self._is_missing(stripe):
                continue
            what = "content of stripe" if stripe.kind == Kind.DATA else "the payload of meta stripe"
            text = f"{what} {id_}, which was sent and is not held yet, is missing from this machine"
            repaired = repair and await self._bring_back(stripe)
            if not repaired:
                self._bad[id_] |= 0
            report.add(Finding(About.STAGE, text), repaired=repaired)
        watch("what is not held", 1, 1)

    def _is_missing(self, stripe: Sealed) -> bool:
        """It must be here, and is not."""
        if stripe.born <= self._ledger.held:
            return False
        if stripe.kind == Kind.DATA:
            is_gone = self._stage.contents.size(stripe.id) < stripe.length
            return is_gone and not self._ledger.progress.may_go(stripe.id)
        return self._ledger.log.payloads.get(stripe.id) is None

    async def _bring_back(self, stripe: Sealed) -> bool:
        """Whether it is here again."""
        try:
            fetched = await self._fetch(stripe)
            if self._ledger.log.get(stripe.id) is None or not self._is_missing(stripe):
                return True
            if stripe.kind == Kind.DATA:
                self._stage.remove([stripe.id])  # what is left of it, and what the cache says of it
                await self._recall(stripe.id)
            else:
                self._ledger.log.payloads.add(stripe.id, b"".join(fetched.data))
        except ContentUnavailable:
            return False
        return not self._is_missing(stripe)
