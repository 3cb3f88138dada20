"""Claiming a disk for a new writer, before anything of it is read (design R12, R13).

1. the claim is saved, then spoken to every partner that holds a column;
2. one that granted more to somebody else says so: a higher epoch is saved and spoken to all again;
3. enough is when a restore would be sure and no second claimer can have enough. A partner that has lost its store may
   have lost a claim with it, and does not count; the others are claimed when their stores are opened, before their
   inventories are read.

Of several layouts in force each must have enough: in which of them the other machine writes is not known yet.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import trio

from coopfs.core.claims import MAX_EPOCH, sign_claim
from coopfs.core.keys import DiskKeys
from coopfs.core.master import LayoutPlaces, StorePlace
from coopfs.core.quorum import Quorum
from coopfs.errors import Fenced, NotRestorable, PeerError
from coopfs.limits import CLAIM_LEAP, CLAIM_TRIES, RESTORE_PATIENCE
from coopfs.tasks.network import Network, ask_once_more
from coopfs.types import Claim, Layout, Opening, Partner


@dataclass(frozen=True, slots=True)
class _Voter:
    """A store whose partner is asked. layout: the id of that in which its answer counts; None: it does not."""

    store: StorePlace
    layout: int | None


@dataclass(slots=True)
class _Round:
    """What the partners answered to one claim."""

    granted: set[_Voter] = field(default_factory=set)
    trouble: dict[_Voter, str] = field(default_factory=dict)
    higher: int = 0  # the highest epoch that somebody else was granted


class Claiming:
    """save: makes epoch and claimer durable; wall: seconds since 1970, for people to read."""

    def __init__(
        self,
        keys: DiskKeys,
        layouts: Sequence[LayoutPlaces],
        network: Network,
        save: Callable[[int, bytes], None],
        wall: Callable[[], float],
        watch: Callable[[str, int, int], None],
    ) -> None:
        self._keys = keys
        self._network = network
        self._save = save
        self._wall = wall
        self._watch = watch
        self._layouts = layouts
        self._voters = [_Voter(store, each.layout.id) for each in layouts for store in each.primaries]
        nodes = {voter.store.node for voter in self._voters}
        spares = {store.node: store for each in layouts for _, store in each.spares if store.node not in nodes}
        self._others = [_Voter(store, None) for store in spares.values()]

    async def run(self, epoch: int, claimer: bytes) -> tuple[Claim, str | None]:
        """Returns the claim, and why too few have granted it, in words, or None. epoch: the lowest to try.
        NotRestorable: another machine claims at the same time."""
        for _ in range(CLAIM_TRIES):
            claim = self._sign(epoch, claimer)
            self._save(epoch, claimer)
            answers = await self._speak(claim)
            if not answers.higher:
                lacking = [text for each in self._layouts if (text := self._lacking(each.layout, answers)) is not None]
                return claim, "; ".join(lacking) or None
            epoch = answers.higher + 1
            if epoch > MAX_EPOCH:
                break
        raise NotRestorable("another machine is taking this disk over at the same time: stop one of them")

    def _sign(self, epoch: int, claimer: bytes) -> Claim:
        assert self._keys.signing_seed is not None
        return sign_claim(self._keys.signing_seed, epoch, claimer, int(self._wall()))

    async def _speak(self, claim: Claim) -> _Round:
        answers = _Round()
        with trio.move_on_after(RESTORE_PATIENCE):
            async with trio.open_nursery() as nursery:
                for voter in (*self._voters, *self._others):
                    nursery.start_soon(self._ask, voter, claim, answers)
        return answers

    async def _ask(self, voter: _Voter, claim: Claim, answers: _Round) -> None:
        """A partner with stores in two layouts is told the claim twice, which it grants again."""

        async def claim_and_open(partner: Partner) -> None:
            await partner.claim(claim)
            if voter.layout is not None:
                store = await partner.open(Opening(claim.disk, voter.store.store, claim))
                await store.close()

        try:
            await ask_once_more(self._network, voter.store.node, claim_and_open)
            if voter.layout is not None:
                answers.granted.add(voter)
        except Fenced as fence:
            # An epoch comes with each takeover, so one far away is a liar's, who wants to use them all up.
            if fence.epoch <= claim.epoch + CLAIM_LEAP:
                answers.higher = max(answers.higher, fence.epoch)
            answers.trouble[voter] = f"it was claimed for epoch {fence.epoch}"
        except PeerError as bad:
            answers.trouble[voter] = str(bad)
        self._watch("claiming the disk", len(answers.granted), len(self._voters))

    def _lacking(self, layout: Layout, answers: _Round) -> str | None:
        """Why too few have granted it of those that hold this layout."""
        quorum = Quorum(layout.k, layout.m)
        voters = [voter for voter in self._voters if voter.layout == layout.id]
        missing = [voter for voter in voters if voter not in answers.granted]
        granted = quorum.n - len(missing)
        if granted >= quorum.claims_needed:
            return None
        names = ", ".join(f"{voter.store.name} ({answers.trouble.get(voter, 'no answer')})" for voter in missing)
        return (
            f"only {granted} of {quorum.n} partners grant this machine the disk, {quorum.claims_needed} "
            f"are needed so that no other machine can write it: missing are {names}"
        )
