"""Claiming a disk for a new writer, before anything of it is read (design R12, R13).

1. the claim is saved, then spoken to every partner that holds a column;
2. one that granted more to somebody else says so: a higher epoch is saved and spoken to all again;
3. enough is when a restore would be sure and no second claimer can have enough. A partner that has lost its store may
   have lost a claim with it, and does not count; the others are claimed when their stores are opened, before their
   inventories are read.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import trio

from coopfs.core.claims import MAX_EPOCH, sign_claim
from coopfs.core.keys import DiskKeys
from coopfs.core.master import LayoutPlaces
from coopfs.core.quorum import Quorum
from coopfs.errors import Fenced, NotRestorable, PeerError
from coopfs.limits import CLAIM_LEAP, CLAIM_TRIES, RESTORE_PATIENCE
from coopfs.tasks.network import Network, ask_once_more
from coopfs.types import Claim, NodeKey, Opening, Partner


@dataclass(slots=True)
class _Round:
    """What the partners answered to one claim."""

    granted: set[NodeKey] = field(default_factory=set)
    trouble: dict[NodeKey, str] = field(default_factory=dict)
    higher: int = 0  # the highest epoch that somebody else was granted


class Claiming:
    """save: makes epoch and claimer durable; wall: seconds since 1970, for people to read."""

    def __init__(
        self,
        keys: DiskKeys,
        places: LayoutPlaces,
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
        self._stores = {store.node: store for store in places.primaries}
        self._others = [store.node for _, store in places.spares]  # claimed too, and not counted
        self._quorum = Quorum(places.layout.k, places.layout.m)

    async def run(self, epoch: int, claimer: bytes) -> tuple[Claim, str | None]:
        """Returns the claim, and why too few have granted it, in words, or None. epoch: the lowest to try.
        NotRestorable: another machine claims at the same time."""
        for _ in range(CLAIM_TRIES):
            claim = self._sign(epoch, claimer)
            self._save(epoch, claimer)
            answers = await self._speak(claim)
            if not answers.higher:
                return claim, self._lacking(answers)
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
                for node in dict.fromkeys((*self._stores, *self._others)):
                    nursery.start_soon(self._ask, node, claim, answers)
        return answers

    async def _ask(self, node: NodeKey, claim: Claim, answers: _Round) -> None:
        async def claim_and_open(partner: Partner) -> None:
            await partner.claim(claim)
            if node in self._stores:
                store = await partner.open(Opening(claim.disk, self._stores[node].store, claim))
                await store.close()

        try:
            await ask_once_more(self._network, node, claim_and_open)
            if node in self._stores:
                answers.granted.add(node)
        except Fenced as fence:
            # An epoch comes with each takeover, so one far away is a liar's, who wants to use them all up.
            if fence.epoch <= claim.epoch + CLAIM_LEAP:
                answers.higher = max(answers.higher, fence.epoch)
            answers.trouble[node] = f"it was claimed for epoch {fence.epoch}"
        except PeerError as bad:
            answers.trouble[node] = str(bad)
        self._watch("claiming the disk", len(answers.granted), len(self._stores))

    def _lacking(self, answers: _Round) -> str | None:
        granted = len(answers.granted)
        if granted >= self._quorum.claims_needed:
            return None
        missing = ", ".join(
            f"{store.name} ({answers.trouble.get(node, 'no answer')})"
            for node, store in self._stores.items()
            if node not in answers.granted
        )
        return (
            f"only {granted} of {self._quorum.n} partners grant this machine the disk, {self._quorum.claims_needed} "
            f"are needed so that no other machine can write it: missing are {missing}"
        )
