"""The database against the log: what partners would give back is what is here (design section 4, R3, R4).

1. the live meta stripes are read newest first, from this machine or from partners, and replayed;
2. an image that stands, and that no newer group has replaced, equals its row;
3. so does one of a group that is not sealed, which is still in the database itself;
4. an image that stands and has no row was killed by a group that is not sealed yet, or was sealed meanwhile: these are
   read last, in one step with the judgement. Otherwise the row was lost.

Which images stand is told on to who looks up the rows among them (toldcheck).

Operations go on: rows that they have changed since are newer than what the log tells, and not judged. So does the
retirer: a row that was lost is not told again when its image is retired, so one that is written from the log is told
again here. If it got past what was newest at the beginning, tombstones may have gone that nobody here has read, and
nothing is said to be missing.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import trio

from coopfs.core import meta
from coopfs.core.findings import About, Finding
from coopfs.core.keys import DiskKeys
from coopfs.core.records import Image, Record, Tombstone, decode_all, key_of
from coopfs.core.replay import Replay
from coopfs.core.stale import stale_by_image
from coopfs.errors import ContentUnavailable, NotAuthentic
from coopfs.limits import CHECK_SLICE, FINDINGS_MAX
from coopfs.local.chain import Key
from coopfs.local.comparison import Comparison, Match, row_key
from coopfs.local.log import Log, Sealed
from coopfs.local.lostfound import Tell
from coopfs.local.metadata import Metadata
from coopfs.local.retelling import Retelling
from coopfs.local.survey import Survey
from coopfs.local.toldkeys import Walked
from coopfs.tasks.checking.report import Report
from coopfs.tasks.reading.fetcher import Fetched

Watch = Callable[[str, int, int], None]  # step, done, total
Hear = Callable[[int, Sequence[Key]], Awaitable[None]]  # a group, and the images of it that stand
Missing = dict[tuple[Any, ...], tuple[Image, int]]  # key -> newest image that stands, and its group


async def nobody_hears(group: int, keys: Sequence[Key]) -> None:
    """`hear` for who looks up no rows."""


class LogCheck:
    """fetch: a sealed stripe from partners; tell: of what a repair has changed; hear: which images stand. One object
    for one check."""

    def __init__(
        self,
        keys: DiskKeys,
        log: Log,
        metadata: Metadata,
        fetch: Callable[[Sealed], Awaitable[Fetched]],
        tell: Tell,
        hear: Hear = nobody_hears,
    ) -> None:
        self._keys = keys
        self._log = log
        self._fetch = fetch
        self._tell = tell
        self._hear = hear
        self._comparison = Comparison(metadata)
        self._retelling = Retelling(metadata, log)
        self._survey = Survey(metadata.database)
        self._missing: Missing = {}
        self._wrong: set[tuple[Any, ...]] = set()  # keys of rows to which no older image is to be compared

    async def run(self, report: Report, watch: Watch, *, repair: bool) -> Walked:
        """Rows that differ are found, and with `repair` written as the log has them. What was read of it, whole."""
        newest = self._log.newest_sealed()
        await self._judge_unsealed(report, repair=repair)
        ids = [id_ for id_ in self._survey.metas(0) if self._is_of(id_, newest)]
        replay, batch, group, after = Replay(), list[Record](), newest, -1
        for number, id_ in enumerate(ids):
            watch("log", number, len(ids))
            stripe = self._log.get(id_)
            if stripe is None or stripe.died is not None:
                break  # retired meanwhile, as are all older ones: what stood there was told again
            if stripe.born != group:
                await self._judge(replay, batch, group, report, repair=repair)
                batch, group = [], stripe.born
            try:
                batch += await self._records(stripe)
            except (ContentUnavailable, NotAuthentic) as bad:
                report.note(
                    f"the log was compared down to group {group}, since meta stripe {id_} cannot be read: {bad}"
                )
                batch, after = [], group
                break
        await self._judge(replay, batch, group, report, repair=repair)
        watch("log", 1, 1)
        await self._judge_missing(newest, report, repair=repair)
        return Walked(newest, after)

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
        """The images of one whole group, or of what is not retired of it."""
        keys: list[Key] = []
        for number, image in enumerate(replay.group(batch)):
            if number % CHECK_SLICE == 0:
                await trio.lowlevel.checkpoint()
            report.checked["images"] += 1
            keys.append(row_key(image))
            if self._compare(image, group, report, repair=repair) is Match.MISSING:
                self._missing.setdefault(key_of(image), (image, group))
        await self._hear(group, keys)

    def _compare(self, image: Image, group: int, report: Report, *, repair: bool) -> Match:
        """With the image a row, unless a newer image of it was found to be another."""
        if len(self._wrong) >= FINDINGS_MAX:
            report.note(f"no more rows were compared with the log, as {len(self._wrong)} are wrong")
            return Match.SAME
        key = key_of(image)
        if key in self._wrong:
            return Match.SAME
        match = self._comparison.match(image, group)
        if match is Match.OTHER:
            self._settle(image, group, "differs in", report, repair=repair)
        if match is Match.OLDER or (match is Match.OTHER and not repair):
            self._wrong.add(key)
        return match

    async def _judge_unsealed(self, report: Report, *, repair: bool) -> None:
        """The images of groups that are not sealed: whoever changes a row since leaves another group's name there."""
        at: tuple[int, int, int, int | bytes] | None = None
        while page := self._survey.unsealed_images(at, CHECK_SLICE):
            for group, *_, encoded in page:
                try:
                    images = [image for image in decode_all(encoded) if not isinstance(image, Tombstone)]
                except NotAuthentic as bad:
                    text = f"a record of group {group}, which is not sealed yet, could never be read: {bad}"
                    report.add(Finding(About.LOG, text), repaired=False)
                    continue
                for image in images:
                    self._compare(image, group, report, repair=repair)
            at = page[-1][:4]
            await trio.lowlevel.checkpoint()

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
            self._retelling.tell(*row_key(image), group)
            for stale in stale_by_image(image):
                self._tell(*stale)
        key = ", ".join(str(part) if isinstance(part, int) else repr(part)[1:] for part in key_of(image)[1:])
        name = type(image).__name__.lower()
        report.add(Finding(About.LOG, f"{name} {key} of group {group} {how} the database"), repaired=repaired)
