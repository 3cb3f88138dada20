"""The database against the log: what partners would give back is what is here (design section 4, R3, R4).

1. the live meta stripes are read newest first, from this machine or from partners, and replayed;
2. an image that stands, and that no newer group has replaced, equals its row;
3. an image that stands and has no row was killed by a group that is not sealed yet, or was sealed meanwhile: these are
   read last, in one step with the judgement. Otherwise the row was lost.

Operations go on: rows that they have changed since are newer than what the log tells, and not judged. So does the
retirer: a row that was lost is not told again when its image is retired, so one that is written from the log is told
again here. If it got past what was newest at the beginning, tombstones may have gone that nobody here has read, and
nothing is said to be missing.
"""

from collections.abc import Awaitable, Callable
from typing import Any

import trio

from coopfs.core import meta
from coopfs.core.findings import About, Finding
from coopfs.core.keys import DiskKeys
from coopfs.core.records import Image, Record, decode_all, key_of
from coopfs.core.replay import Replay
from coopfs.core.stale import stale_by_image
from coopfs.errors import ContentUnavailable, NotAuthentic
from coopfs.limits import CHECK_SLICE
from coopfs.local.comparison import Comparison, Match
from coopfs.local.log import Log, Sealed
from coopfs.local.lostfound import Tell
from coopfs.local.metadata import Metadata
from coopfs.local.retelling import Retelling
from coopfs.local.survey import Survey
from coopfs.tasks.checking.report import Report
from coopfs.tasks.reading.fetcher import Fetched

Watch = Callable[[str, int, int], None]  # step, done, total
Missing = dict[tuple[Any, ...], tuple[Image, int]]  # key -> newest image that stands, and its group


class LogCheck:
    """fetch: a sealed stripe from partners; tell: of what a repair has changed. One object for one check."""

    def __init__(
        self,
        keys: DiskKeys,
        log: Log,
        metadata: Metadata,
        fetch: Callable[[Sealed], Awaitable[Fetched]],
        tell: Tell,
    ) -> None:
        self._keys = keys
        self._log = log
        self._fetch = fetch
        self._tell = tell
        self._comparison = Comparison(metadata)
        self._retelling = Retelling(metadata, log)
        self._survey = Survey(metadata.database)
        self._missing: Missing = {}

    async def run(self, report: Report, watch: Watch, *, repair: bool) -> None:
        """Rows that differ are found, and with `repair` written as the log has them."""
        newest = self._log.newest_sealed()
        ids = [id_ for id_ in self._survey.metas(0) if self._is_of(id_, newest)]
        replay, batch, group = Replay(), list[Record](), newest
        for number, id_ in enumerate(ids):
            watch("log", number, len(ids))
            stripe = self._log.get(id_)
            if stripe is None or stripe.died is not None:
                break  # retired meanwhile, as are all older ones
            if stripe.born != group:
                await self._judge(replay, batch, group, report, repair=repair)
                batch, group = [], stripe.born
            try:
                batch += await self._records(stripe)
            except (ContentUnavailable, NotAuthentic) as bad:
                report.note(
                    f"the log was compared down to group {group}, since meta stripe {id_} cannot be read: {bad}"
                )
                break
        else:
            await self._judge(replay, batch, group, report, repair=repair)
        watch("log", 1, 1)
        await self._judge_missing(newest, report, repair=repair)

    def _is_of(self, id_: int, newest: int) -> bool:
        stripe = self._log.get(id_)
        return stripe is not None and stripe.born <= newest

    async def _records(self, stripe: Sealed) -> list[Record]:
        payload = self._log.payloads.get(stripe.id)
        if payload is None:
            payload = b"".join((await self._fetch(stripe)).data)
        _, encoded = meta.decode(self._keys, stripe.kind, stripe.place, payload)
        return list(decode_all(encoded))

    async def _judge(self, replay: Replay, batch: list[Record], group: int, report: Report, *, repair: bool) -> None:
        """The images of one whole group."""
        for number, image in enumerate(replay.group(batch)):
            if number % CHECK_SLICE == 0:
                await trio.lowlevel.checkpoint()
            report.checked["images"] += 1
            match self._comparison.match(image, group):
                case Match.OTHER:
                    self._settle(image, group, "differs in", report, repair=repair)
                case Match.MISSING:
                    self._missing.setdefault(key_of(image), (image, group))

    async def _judge_missing(self, newest: int, report: Report, *, repair: bool) -> None:
        """Those that nothing after `newest` has killed."""
        later, first = Replay(), newest
        while self._missing and newest < (now := self._log.newest_sealed()):
            for id_ in self._survey.metas(newest):
                stripe = self._log.get(id_)
                if stripe is None:
                    continue
                try:
                    killers = await self._records(stripe)
                except (ContentUnavailable, NotAuthentic) as bad:
                    report.note(
                        f"nothing was looked for that the database lacks: meta stripe {id_} cannot be read: {bad}"
                    )
                    return
                for _ in later.group(killers):
                    pass
            newest = now
        oldest = self._log.chain.head()
        if self._missing and (oldest is None or oldest[1] > first):
            report.note("nothing was looked for that the database lacks: the log was replaced meanwhile; check again")
            return
        for killer in self._survey.killers():
            for _ in later.group(decode_all(killer)):
                pass
        for image, group in self._missing.values():
            gone = self._comparison.match(image, group) is Match.MISSING
            if gone and later.stands(image):
                self._settle(image, group, "is missing from", report, repair=repair)

    def _settle(self, image: Image, group: int, how: str, report: Report, *, repair: bool) -> None:
        repaired = repair and self._comparison.write(image, group)
        if repaired:
            type_, a, *b = key_of(image)
            self._retelling.tell(type_, a, b[0] if b else 0, group)
            for stale in stale_by_image(image):
                self._tell(*stale)
        key = ", ".join(str(part) if isinstance(part, int) else repr(part)[1:] for part in key_of(image)[1:])
        name = type(image).__name__.lower()
        report.add(Finding(About.LOG, f"{name} {key} of group {group} {how} the database"), repaired=repaired)
