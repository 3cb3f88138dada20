"""From a kit to a database: the newest state of a disk, from the partners alone (design R11, R14).

1. ask all partners of the kit, and those named in every master block found, for master blocks; take the highest;
2. open every store that it names, and read the inventories of those that answer;
3. walk END stripes by descending version: T is the newest whose chain opens as far as its head, all of whose stripes
   have k claims, and of whose doubtful stripes the young ones open, and some of the others;
4. the chain is fetched newest first and replayed on the way into a database;
5. an END that may have been held and is not in T's chain was written by a copy of the home (R12): that which more
   partners claim is taken;
6. if something newer than T may have been held, say so and ask.

All this goes over all layouts that the master block names: a stripe lies in the stores of one, and is judged by them.
"""

import logging
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

import trio

from coopfs.core import meta, records
from coopfs.core.geometry import shard_capacity
from coopfs.core.keys import DiskKeys
from coopfs.core.master import Floor, LayoutPlaces
from coopfs.core.meta import MetaHead, extend_chain
from coopfs.core.newest import AllAnswers, Voids
from coopfs.core.replay import Replay
from coopfs.errors import ContentUnavailable, NotAuthentic, NotRestorable, first_of
from coopfs.limits import (
    CHECK_SLICE,
    FORK_KNOWN,
    FORK_LOOKS,
    READ_AHEAD_STRIPES,
    RESTORE_HEADERS,
    RESTORE_TRIES,
)
from coopfs.local.disk import DATABASE, STAGE
from coopfs.local.rebuild import Named, Rebuild
from coopfs.tasks.reading.fetcher import Fetched, Fetcher
from coopfs.tasks.reading.reader import Reader
from coopfs.tasks.recovery.spots import Spots
from coopfs.tasks.recovery.witnesses import Candidate, Watch, Witnesses
from coopfs.types import Kind, Layout, Place

logger = logging.getLogger(__name__)

NS = 1_000_000_000
BESIDE = "a copy of this home wrote at the same time, and something else may have been held"
OLD_KIT = "the disk was given a new key after this kit was made, and what was written since then needs a newer kit"


@dataclass(frozen=True, slots=True)
class State:
    """A state found whole. time: ns since 1970; ends: of all groups in its log; newest: what it names last, FORK_KNOWN
    stripes at the most; chain: of tags, after its END; directory: of the rebuilt database; doubt: why a newer one may
    have been held, in words, or None."""

    end: Place
    group: int
    time: int
    ends: frozenset[Place]
    newest: frozenset[Place]
    chain: bytes
    directory: Path
    doubt: str | None


class Recovery:
    """The search for T on the columns that answer now. layouts: all in force, the oldest first; readers: of all their
    stores (`readers_of`); directory: for the databases."""

    def __init__(
        self,
        keys: DiskKeys,
        layouts: Sequence[LayoutPlaces],
        readers: Sequence[Reader],
        fetcher: Fetcher,
        directory: Path,
        watch: Watch,
    ) -> None:
        self._keys = keys
        self._layouts = {places.layout.id: places.layout for places in layouts}
        self.witnesses = Witnesses(list(self._layouts.values()), readers, fetcher, watch)
        self._fetcher = fetcher
        self._directory = directory
        self._watch = watch
        self._voids = Voids()

    async def find(self, floor: Floor) -> State:
        """T, rebuilt. floor: an END known held, below which no state is without doubt. NotRestorable."""
        date = datetime.fromtimestamp(floor.date, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
        below_floor = f"the state of {date} is known to have been held, and is not whole at those who answer"
        answers = await self.witnesses.ask_all()
        doubts = [doubt for layout in self._layouts.values() if (doubt := self._unseen(layout, answers)) is not None]
        if self._keys.lacking():
            doubts.insert(0, OLD_KIT)
        newer: list[str] = []  # why states may have been held that are not found whole, the newest first
        candidates, looked = self._candidates(answers), 0
        while batch := list(islice(candidates, RESTORE_HEADERS)):
            self._watch("looking for the newest state", looked, 0)
            headers = await self.witnesses.headers(batch)
            reasons = [self.witnesses.why_not(candidate) for candidate in batch]  # as of now: others may go later
            for candidate, header, why in zip(batch, headers, reasons, strict=True):
                end, may_be = candidate.place, answers.layouts[candidate.layout].may_have_been_held(candidate.place)
                if header is None and may_be and why is not None:
                    newer.append(why)
                if header is None or header.kind != Kind.END:
                    continue
                if end.version < floor.version and below_floor not in doubts:
                    doubts.append(below_floor)
                if self._voids.cover(end.version):
                    continue
                try:
                    found = await self._state(candidate.layout, end, answers, _join(doubts, newer))
                    return await self._of_two(candidate.layout, found, answers)
                except (ContentUnavailable, NotAuthentic) as broken:
                    logger.info("the state that ends at version %d is not whole: %s", end.version, broken)
                    if may_be:
                        newer.append(str(broken))
            looked += len(batch)
        raise NotRestorable(
            f"no whole state was found: {_join(doubts, newer) or self.witnesses.missing(self._layouts.values())}"
        )

    def _candidates(self, answers: AllAnswers) -> Iterator[Candidate]:
        """Where the END of T may be, or of something that was held, newest first. Few stripes that were sent and not
        held have so many blocks."""
        for layout, place, claimed in answers.places():
            its = answers.layouts[layout]
            if its.can_have(place) or its.may_have_been_held(place):
                yield self._candidate(layout, place, claimed)

    def _candidate(self, layout: int, place: Place, claimed: Iterable[int]) -> Candidate:
        return Candidate(layout, place, tuple(self.witnesses[layout, number] for number in claimed))

    async def _of_two(self, layout: int, found: State, answers: AllAnswers) -> State:
        """If a home and its copy wrote at the same time, the state that more partners claim; else what was found."""
        fork = await self._fork(layout, found, answers)
        if fork is None:
            return found
        its, beside = answers.layouts[layout], answers.layouts[fork[0]]
        logger.warning(
            "versions %d and %d are of two homes that wrote at the same time", found.end.version, fork[1].version
        )
        may_be = its.may_have_been_held(found.end)
        if not may_be or beside.holders(fork[1]) > its.holders(found.end):
            with suppress(ContentUnavailable, NotAuthentic):
                doubts = [found.doubt, BESIDE if may_be else None]
                return await self._state(*fork, answers, _join(filter(None, doubts), []))
        return replace(found, doubt=_join(filter(None, [found.doubt, BESIDE]), []))

    async def _fork(self, layout: int, found: State, answers: AllAnswers) -> tuple[int, Place] | None:
        """(layout, place) of an older END that may have been held and is not in its chain, if FORK_LOOKS show one."""
        if not answers.layouts[layout].denials(found.end):
            return None
        candidates = islice(self._beside(found, answers), FORK_LOOKS)
        while batch := list(islice(candidates, RESTORE_HEADERS)):
            for candidate, header in zip(batch, await self.witnesses.headers(batch), strict=True):
                is_end = header is not None and header.kind == Kind.END
                if is_end and not self._voids.cover(candidate.place.version):
                    return candidate.layout, candidate.place
        return None

    def _beside(self, found: State, answers: AllAnswers) -> Iterator[Candidate]:
        """Where the END of a copy's state may be, newest first."""
        oldest = min(end.version for end in found.ends)
        for layout, place, claimed in answers.places():
            its = answers.layouts[layout]
            if place.version >= found.end.version:
                continue
            both = place in found.ends and not (its.is_doubtful(place) and its.denials(place))  # go on from there
            if both or place.version < oldest:
                return
            if place not in found.newest and place not in found.ends and its.may_have_been_held(place):
                yield self._candidate(layout, place, claimed)

    def _unseen(self, layout: Layout, answers: AllAnswers) -> str | None:
        """Why something of which nothing was seen may have been held in a layout, or None."""
        its = answers.layouts[layout.id]
        if its.are_too_few():
            return (
                f"only {len(its.slots)} of {layout.n} partners{self._of(layout)} answer, "
                f"{its.quorum.answers_needed} are needed to exclude a newer state: {self.witnesses.missing([layout])}"
            )
        if its.may_have_been_held(None):
            return "blocks that partners found torn or rotten may have been of a newer state"
        return None

    def _of(self, layout: Layout) -> str:
        """What tells the user which layout is meant, where there are several."""
        return f" of layout {layout.id} ({layout.k}+{layout.m})" if len(self._layouts) > 1 else ""

    async def _state(self, layout: int, end: Place, answers: AllAnswers, doubt: str | None) -> State:
        """`_rebuild`, once more where somebody went away meanwhile and came back."""
        for _ in range(RESTORE_TRIES - 1):
            try:
                return await self._rebuild(layout, end, answers, doubt)
            except ContentUnavailable:
                if not await self.witnesses.came_back():
                    raise
        return await self._rebuild(layout, end, answers, doubt)

    async def _rebuild(self, layout: int, end: Place, answers: AllAnswers, doubt: str | None) -> State:
        """layout: of the END, which new stripes get from whoever goes on from it. ContentUnavailable, NotAuthentic:
        this state is not whole."""
        directory = self._directory / str(end.version)
        shutil.rmtree(directory, ignore_errors=True)  # of an earlier try
        (directory / STAGE).mkdir(parents=True)
        rebuild = Rebuild(directory / DATABASE)
        try:
            newest, chain = await self._replay(layout, end, answers, rebuild)
            await self._open(await self._judge(rebuild, answers, newest.held))
            facts = {
                "next_ino": newest.next_ino,
                "next_stripe": newest.next_stripe + rebuild.metas,
                "barrier": newest.group,
                "layout": layout,
                "k": self._layouts[layout].k,
                "shard_length": shard_capacity(self._layouts[layout].block_size),
            }
            ends, named = frozenset(rebuild.ends()), frozenset(s.place for s in islice(rebuild.stripes(), FORK_KNOWN))
            rebuild.finish(newest.group, newest.time // NS, facts)
        finally:
            rebuild.close()
        return State(end, newest.group, newest.time, ends, named, chain, directory, doubt)

    async def _judge(self, rebuild: Rebuild, answers: AllAnswers, held: int) -> list[Named]:
        """The stripes that are worth opening. A disk of a terabyte has millions, and partners want to hear from here
        meanwhile. ContentUnavailable: one cannot be had."""
        worth = Spots(held)
        for number, stripe in enumerate(rebuild.stripes()):
            if number % CHECK_SLICE == 0:
                await trio.lowlevel.checkpoint()
            if answers.lacks([(stripe.layout, stripe.place)]) is not None:
                raise ContentUnavailable(f"row {stripe.place.row} does not have the blocks needed of its version")
            if not self._keys.opens(stripe.place.version):  # it was forgotten when a state was held without it
                raise ContentUnavailable(f"row {stripe.place.row} is sealed with a key that is not here")
            if answers.layouts[stripe.layout].is_doubtful(stripe.place):
                worth.add(stripe)
        return worth.chosen()

    async def _open(self, chosen: Sequence[Named]) -> None:
        """ContentUnavailable: a stripe does not open."""
        for first in range(0, len(chosen), READ_AHEAD_STRIPES):
            self._watch("opening stripes that few partners claim", first, len(chosen))
            await self._fetch_all([([s.layout], s.place, s.tag) for s in chosen[first : first + READ_AHEAD_STRIPES]])

    async def _replay(self, layout: int, end: Place, answers: AllAnswers, rebuild: Rebuild) -> tuple[MetaHead, bytes]:
        """Fetch the chain newest first, check it, replay it group by group. Returns the END's map, and the chain of
        tags after it. A map names places and no layouts: these follow from who claims them."""
        replay = Replay()
        newest: MetaHead | None = None
        newer: MetaHead | None = None
        chain = b""
        batch: list[records.Record] = []  # of the group being read, which may have several stripes
        wanted, total = [end], 0
        while wanted:
            stripes = await self._fetch_all([(answers.layouts_of(p) or [layout], p, None) for p in wanted])
            for place, stripe in zip(wanted, stripes, strict=True):
                head, found = self._read(place, stripe)
                if newer is None:
                    self._voids.learn(head)
                    chain = extend_chain(head.chain, stripe.header.tag)
                else:
                    if newer.chain != extend_chain(head.chain, stripe.header.tag):
                        raise NotAuthentic("the chain of meta stripes does not have the tags that were signed")
                    if newer.group != head.group:
                        rebuild.insert(newer.group, replay.group(batch))
                        batch = []
                batch += found
                newest, newer = newest or head, head
                rebuild.add_meta(newest.next_stripe, head, stripe.header, found)
                total += 1
                self._watch("reading metadata", total, 0)
            assert newer is not None
            assert newest is not None
            first = newest.head or newest.place
            wanted = [place for place in newer.previous if first.version <= place.version < newer.place.version]
        assert newer is not None
        assert newest is not None
        rebuild.insert(newer.group, replay.group(batch))
        return newest, chain

    async def _fetch_all(self, wanted: Sequence[tuple[Sequence[int], Place, bytes | None]]) -> list[Fetched]:
        """Stripes of one of these layouts, at these places, of these tags where they are known. ContentUnavailable."""
        fetched: dict[Place, Fetched] = {}

        async def fetch(layouts: Sequence[int], place: Place, tag: bytes | None) -> None:
            for layout in layouts[:-1]:
                with suppress(ContentUnavailable):
                    fetched[place] = await self._fetcher.fetch(layout, place, tag)
                    return
            fetched[place] = await self._fetcher.fetch(layouts[-1], place, tag)

        try:
            async with trio.open_nursery() as nursery:
                for layouts, place, tag in wanted:
                    nursery.start_soon(fetch, layouts, place, tag)
        except BaseExceptionGroup as group:
            raise first_of(group) from None
        return [fetched[place] for _, place, _ in wanted]

    def _read(self, place: Place, stripe: Fetched) -> tuple[MetaHead, list[records.Record]]:
        head, encoded = meta.decode(self._keys, stripe.header.kind, place, b"".join(stripe.data))
        return head, list(records.decode_all(encoded))


def _join(doubts: Iterable[str], newer: Sequence[str]) -> str | None:
    """What is told of them: of newer states the newest, as one for each would fill the screen."""
    told = [*doubts, *(f"a newer state may have been held, but {why}" for why in newer[:1])]
    return "; ".join(told) or None
