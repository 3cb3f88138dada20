"""This node as a newcomer that finds nobody free, and asks two partners of each other to step between them
(core/stepping).

1. after long in vain, ask the matching servers for pairs;
2. save which two, and ask both, again and again; each answers how far it is;
3. when both welcome it, agree with both, as with any invitation;
4. when both say that this stays, their space may be used; if one does not want it, nothing has happened.

Who lacks one partner only does not ask: it would have one more than its owner gives space to, and is told so.
A restart asks them again.
"""

import logging
from collections.abc import Awaitable, Callable

import trio

from coopfs.app.partners.membership import Membership
from coopfs.app.partners.openings import Openings
from coopfs.core.announcement import Announcement
from coopfs.core.invitation import Invitation
from coopfs.core.stepping import Bid, Step, bid
from coopfs.core.terms import Terms, invitation_of
from coopfs.errors import HomeError, PartnerAway, PeerError, UsageError
from coopfs.limits import BID_CHECK, FIND_PATIENCE, STEP_AFTER, STEP_AGAIN, STEP_CHECK, STEP_PATIENCE, STEP_UNDO
from coopfs.local import steps
from coopfs.local.nodedb import NodeDatabase
from coopfs.local.partners import PartnerEntry
from coopfs.local.steps import Asked, Bids
from coopfs.net.dialer import Contact
from coopfs.tasks.signal import Signal, changes
from coopfs.types import NodeKey, Renewal, StepAnswer, StepWord, Welcome

logger = logging.getLogger(__name__)

Ask = Callable[[Contact, StepWord], Awaitable[StepAnswer]]
Accept = Callable[[Invitation], Awaitable[PartnerEntry]]


class Bidding:
    """me: the key of this node; ask, accept: the visits to members; made: the agreement with one, as it would be shown
    to it; clock: seconds since 1970; draw: random bytes."""

    def __init__(
        self,
        me: NodeKey,
        database: NodeDatabase,
        membership: Membership,
        openings: Openings,
        terms: Callable[[], Terms],
        ask: Ask,
        accept: Accept,
        made: Callable[[NodeKey], Renewal | None],
        clock: Callable[[], float],
        draw: Callable[[int], bytes],
    ) -> None:
        self.changed = Signal()  # partners came or went, or a step was begun or is over
        self.trouble: str | None = None  # what hindered the last time
        self.is_odd = False  # nobody is free for long, and one partner is lacking: a step would bring two
        self._me = me
        self._database = database
        self._membership = membership
        self._openings = openings
        self._terms = terms
        self._ask = ask
        self._accept = accept
        self._made = made
        self._clock = clock
        self._draw = draw
        self._turn = trio.Lock()
        self._heard: dict[NodeKey, Bid] = {}
        self._welcomes: dict[NodeKey, Welcome] = {}
        self._eager = False  # a pair did not want it: the next one is asked at once
        self._again: dict[NodeKey, float] = {}  # members of pairs that could not be had, and when
        self._keep(steps.load_bids(database))

    def _keep(self, bids: Bids | None) -> None:
        self.bids, self.trouble = bids, None
        both = () if bids is None else bids.both
        self._openings.bidding = {asked.key for asked in both}
        self._heard = {asked.key: Bid.ASKING for asked in both}
        self._welcomes = {}
        self.changed.notify()

    def barred(self) -> set[NodeKey]:
        """Who gets no column of the disk: the agreement may not stay."""
        return set(self._openings.bidding)

    async def run(self) -> None:
        """Until cancelled. StateError: the database of the node."""
        lacking, since = 0, trio.current_time()
        while True:
            with changes(self.changed) as changed:
                before, lacking = lacking, self._openings.lacking()
                if lacking != before:
                    since = trio.current_time()
                left = since + STEP_AFTER - trio.current_time()
                self.is_odd = lacking == 1 and left <= 0
                try:
                    if self.bids is not None:
                        await self.pursue()
                    elif lacking >= 2 and (self._eager or left <= 0):
                        since = trio.current_time()
                        await self.begin()
                except HomeError as full:
                    self.trouble = str(full)
                with trio.move_on_after(self._patience(since)):
                    await changed.wait()

    def _patience(self, since: float) -> float:
        """Seconds until the next look, if nothing changes. A partner may be lost by time alone, which nobody tells."""
        if self.bids is not None or self._eager:
            return STEP_CHECK
        left = since + STEP_AFTER - trio.current_time()
        return min(BID_CHECK, left) if left > 0 else BID_CHECK

    async def begin(self) -> bool:
        """Ask for pairs, and choose one, if two partners are lacking and no step is under way. Whether one is, now.
        HomeError, StateError."""
        async with self._turn:
            if self.bids is None and self._openings.free() >= 2:
                now = self._clock()
                self._again = {key: at for key, at in self._again.items() if 0 <= now - at < STEP_AGAIN}
                self._eager = False
                pairs = await self._membership.pairs(list(self._again))
                if pairs and self._openings.free() >= 2:
                    self._choose(pairs[0])
        return self.bids is not None

    def _choose(self, pair: tuple[Announcement, Announcement]) -> None:
        one, two = (Asked(each.node, each.name, each.addresses) for each in sorted(pair, key=lambda said: said.node))
        bids = Bids(self._draw(16), int(self._clock()), one, two)
        steps.save_bids(self._database, bids)
        self._keep(bids)
        logger.info("nobody is free: asking to step between %s and %s", one.name, two.name)

    async def pursue(self) -> None:
        """Ask both once more, and do what follows. HomeError, StateError."""
        async with self._turn:
            bids = self.bids
            if bids is None:
                return
            for asked in bids.both:
                if self._heard[asked.key] not in (Bid.SETTLED, Bid.REFUSED):
                    await self._hear(bids, asked)
            if all(heard in (Bid.WELCOME, Bid.AGREED, Bid.SETTLED) for heard in self._heard.values()):
                for asked in bids.both:
                    if self._heard[asked.key] is Bid.WELCOME:
                        await self._agree(asked)
            if self._is_over(bids):
                await self._finish(bids)

    async def _hear(self, bids: Bids, asked: Asked) -> None:
        word = StepWord(bids.id, self._me, bids.fellow_of(asked), Step.NONE, self._membership.signed())
        theirs: Step | None = None
        try:
            with trio.fail_after(FIND_PATIENCE):
                answer = await self._ask(Contact(asked.key, asked.addresses), word)
        except PartnerAway as away:
            self.trouble = f"{asked.name}: {away}"
            return
        except trio.TooSlowError:
            self.trouble = f"{asked.name} did not answer within {FIND_PATIENCE:.0f} s"
            return
        except PeerError as refusal:
            self.trouble = f"{asked.name}: {refusal}"
        else:
            theirs = Step(answer.state)
            if answer.welcome is not None:
                self._welcomes[asked.key] = answer.welcome
        heard = bid(self._heard[asked.key], self._is_partner(asked.key), theirs)
        if heard is Bid.WELCOME and asked.key not in self._welcomes:
            heard = Bid.ASKING
        self._heard[asked.key] = heard

    def _is_partner(self, key: NodeKey) -> bool:
        return key in self._openings.partners()

    async def _agree(self, asked: Asked) -> None:
        try:
            invitation = invitation_of(self._terms(), asked.key, asked.addresses, self._welcomes[asked.key])
            with trio.move_on_after(FIND_PATIENCE):
                await self._accept(invitation)
        except (PeerError, UsageError) as trouble:
            self.trouble = f"{asked.name}: {trouble}"
        if self._is_partner(asked.key):
            self._heard[asked.key] = Bid.AGREED

    def _is_over(self, bids: Bids) -> bool:
        heard, waited = set(self._heard.values()), self._clock() - bids.since
        if any(self._is_partner(asked.key) for asked in bids.both):
            return heard <= {Bid.SETTLED, Bid.REFUSED} or not 0 <= waited <= 2 * STEP_UNDO
        return Bid.REFUSED in heard or not 0 <= waited <= STEP_PATIENCE

    async def _finish(self, bids: Bids) -> None:
        partners = [asked for asked in bids.both if self._is_partner(asked.key)]
        trouble = self.trouble
        steps.save_bids(self._database, None)
        self._keep(None)
        names = " and ".join(asked.name for asked in bids.both)
        if partners:
            logger.info("this node has stepped between %s", names)
        else:
            logger.info("nothing came of stepping between %s: %s", names, trouble)
            self._eager = True
            self._again.update(dict.fromkeys((asked.key for asked in bids.both), self._clock()))
        for asked in partners:
            if (made := self._made(asked.key)) is not None:
                await self._membership.report(made)

    def describe(self) -> dict[str, object] | None:
        """For status: between whom, and what hinders."""
        if self.bids is None:
            return None
        return {"between": [asked.name for asked in self.bids.both], "trouble": self.trouble}
