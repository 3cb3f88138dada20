"""This node as one of two partners between whom a newcomer steps (core/stepping): asked, telling the other one, giving
its column away, and parting.

Where it stands is saved before it is said, and looked at again every few seconds: a restart goes on with it.
"""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from math import inf
from typing import Any

import trio

from coopfs.app.partners.door import Door
from coopfs.app.partners.handover import Handover
from coopfs.core.bond import is_of_level
from coopfs.core.stepping import TELLING, WELCOMING, Event, Facts, Step, after, answered, noticed, told
from coopfs.core.terms import Terms
from coopfs.errors import HomeError, NoAgreement, PeerError, Refused, UsageError
from coopfs.levels import storage_size
from coopfs.limits import STEP_CHECK, STEP_PATIENCE
from coopfs.local import steps
from coopfs.local.hosted.hosting import Hosting
from coopfs.local.nodedb import NodeDatabase
from coopfs.local.steps import MemberStep
from coopfs.tasks.signal import Signal, changes
from coopfs.types import NodeKey, Partner, StepAnswer, StepWord

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Ties:
    """How this node deals with its partners. live: one that is connected; is_lost: who will not come back; end: an
    agreement; name: of a partner; tell: the owner, with a title and a text."""

    live: Callable[[NodeKey], Partner | None]
    is_lost: Callable[[NodeKey], bool]
    end: Callable[[NodeKey], Awaitable[None]]
    name: Callable[[NodeKey], str]
    tell: Callable[[str, str], Awaitable[None]]


class Stepping:
    """clock: seconds since 1970; willing: the owner lets others step between this node and a partner."""

    def __init__(
        self,
        database: NodeDatabase,
        hosting: Hosting,
        door: Door,
        terms: Callable[[], Terms],
        handover: Handover,
        ties: Ties,
        clock: Callable[[], float],
        *,
        willing: bool,
    ) -> None:
        self.changed = Signal()
        self.row: MemberStep | None = steps.load(database)
        self.trouble: str | None = None  # what it waits for
        self._database = database
        self._hosting = hosting
        self._door = door
        self._terms = terms
        self._handover = handover
        self._ties = ties
        self._clock = clock
        self._willing = willing
        self._asking = False

    def barred(self) -> set[NodeKey]:
        """Who gets no column of the disk now, but what the step gives: both may go."""
        return set() if self.row is None else {self.row.newcomer, self.row.fellow}

    def lets_ask(self, fellow: NodeKey) -> bool:
        """Whether somebody may ask to step between this node and a partner; now, it may be refused all the same."""
        made = self._hosting.agreement(fellow)
        if not self._willing or self.row is not None or made is None:
            return False
        terms = self._terms()
        return is_of_level(made.encode(), storage_size(terms.storage), terms.uptime)

    # --- being asked, and told ------------------------------------------------------------------------------------

    async def hear(self, peer: NodeKey, word: StepWord) -> StepAnswer:
        """See types.Partner.step. HomeError: no room."""
        if peer == word.newcomer and peer != word.fellow:
            return await self._asked(word)
        if peer == word.fellow:
            return self._told(word)
        raise Refused("only its newcomer asks for a step, and only the other partner tells of it")

    def _told(self, word: StepWord) -> StepAnswer:
        if not self._hosting.has_agreement(word.fellow):
            raise NoAgreement("there is no agreement between these two nodes")
        if self.row is None or not _is_of(word, self.row):
            return StepAnswer(Step.NONE)
        self._happen(told(self.row.step, Step(word.state)))
        return StepAnswer(self._step)

    async def _asked(self, word: StepWord) -> StepAnswer:
        if self.row is not None:
            if not _is_of(word, self.row):
                raise Refused("somebody else is just stepping between this node and a partner")
            row, size = self.row, storage_size(self._terms().storage)
            return StepAnswer(row.step, self._door.welcome_of(row.token, size) if row.step in WELCOMING else None)
        if self._hosting.has_agreement(word.newcomer):
            return StepAnswer(Step.NONE)
        theirs = self._door.look(word.newcomer, word.announcement)
        if self._asking:
            raise Refused("somebody else is just asking")
        if (reason := self._why_not(word.fellow)) is not None:
            raise Refused(reason)
        self._asking = True
        try:
            welcome = await self._door.invite(storage_size(self._terms().storage), STEP_PATIENCE)
        finally:
            self._asking = False
        now = int(self._clock())
        row = MemberStep(word.id, word.newcomer, word.fellow, theirs.name, welcome.token, Step.ASKED, now)
        self._become(row)
        return StepAnswer(Step.ASKED)

    def _why_not(self, fellow: NodeKey) -> str | None:
        terms, made = self._terms(), self._hosting.agreement(fellow)
        size = storage_size(terms.storage)
        if not self._willing:
            return "its owner lets nobody step between this node and a partner"
        if made is None:
            return "this node and the one that was named are no partners"
        if not is_of_level(made.encode(), size, terms.uptime):
            return "what these two have agreed on is of another level"
        if self._ties.live(fellow) is None:
            return "the other partner is not reached now"
        reason = self._handover.hindrance(fellow, size)
        return None if reason is None else f"this node cannot give its column away now: {reason}"

    # --- going on -------------------------------------------------------------------------------------------------

    @property
    def _step(self) -> Step:
        return Step.NONE if self.row is None else self.row.step

    def _become(self, row: MemberStep | None) -> None:
        steps.save(self._database, row)
        self.row, self.trouble = row, None
        self.changed.notify()

    def _happen(self, event: Event | None) -> None:
        """Save what follows; the check and the change are one step."""
        row = self.row
        if row is None or event is None or (then := after(row.step, event)) is row.step:
            return
        since = int(self._clock()) if then is Step.JOINED else row.since
        logger.info("%s steps between this node and %s: %s", row.name, self._ties.name(row.fellow), event.value)
        self._become(None if then is Step.NONE else replace(row, step=then, since=since))

    async def run(self) -> None:
        """Until cancelled. StateError."""
        while True:
            with changes(self.changed) as changed:
                if self.row is not None:
                    try:
                        await self._advance(self.row)
                    except HomeError as full:
                        self.trouble = str(full)
                with trio.move_on_after(STEP_CHECK if self.row is not None else inf):
                    await changed.wait()

    async def _advance(self, row: MemberStep) -> None:
        waited = self._clock() - row.since
        event = noticed(row.step, self._facts(row, waited))
        if event is None:
            await self._act(row)
            if self.row is row and row.step in TELLING:
                event = await self._ask(row, waited)
        if event in (Event.FELLOW_QUIT, Event.NEWCOMER_GONE):
            await self._handover.stop(row.newcomer)
        if self.row is not row:
            return
        fellow = self._ties.name(row.fellow)
        self._happen(event)
        if event is Event.FELLOW_GONE and row.step in (Step.MOVED, Step.OVER):
            text = f"{row.name} is a partner now instead of {fellow}, and {fellow} has {row.name} instead of this node."
            await self._ties.tell("coopfs has let another node step between", text)

    def _facts(self, row: MemberStep, waited: float) -> Facts:
        def is_there(key: NodeKey) -> bool:
            return self._hosting.has_agreement(key) and not self._ties.is_lost(key)

        empty = self._handover.is_done(row.fellow, row.newcomer)
        return Facts(is_there(row.fellow), is_there(row.newcomer), empty, waited)

    async def _act(self, row: MemberStep) -> None:
        match row.step:
            case Step.MOVING:
                try:
                    await self._handover.give(row.fellow, row.newcomer)
                    self.trouble = self._handover.waits_for(row.newcomer)
                except UsageError as reason:
                    self.trouble = str(reason)
            case Step.OVER:
                await self._ties.end(row.fellow)
                self.changed.notify()
            case Step.UNDONE:
                await self._ties.end(row.newcomer)
                self.changed.notify()

    async def _ask(self, row: MemberStep, waited: float) -> Event | None:
        """Say how far this node is, and hear how far the other one is."""
        fellow = self._ties.live(row.fellow)
        if fellow is None:
            self.trouble = f"{self._ties.name(row.fellow)} is not reached"
            return None
        mine = self._hosting.key
        try:
            with trio.move_on_after(STEP_CHECK):
                answer = await fellow.step(StepWord(row.id, row.newcomer, mine, row.step))
                return answered(row.step, Step(answer.state), waited)
        except PeerError as trouble:
            self.trouble = f"{self._ties.name(row.fellow)}: {trouble}"
        return None

    def describe(self) -> dict[str, Any] | None:
        """For status: newcomer, fellow, how far, and what is waited for."""
        row = self.row
        if row is None:
            return None
        step = row.step.name.lower()
        return {"newcomer": row.name, "fellow": self._ties.name(row.fellow), "step": step, "waits_for": self.trouble}


def _is_of(word: StepWord, row: MemberStep) -> bool:
    return (word.id, word.newcomer, word.fellow) == (row.id, row.newcomer, row.fellow)
