"""Nodes that find each other: real homes and databases, a network of streams in memory, a real matching server."""

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import trio

from coopfs.app.partners.agreeing import Agreeing
from coopfs.app.partners.door import Door
from coopfs.app.partners.finding import Finding
from coopfs.app.partners.membership import Membership, Self
from coopfs.app.partners.openings import Openings
from coopfs.core.identity import Identity
from coopfs.core.terms import Terms
from coopfs.core.wire.session import Standing
from coopfs.levels import Share
from coopfs.local.home import Home
from coopfs.local.hosted.hosting import Hosting
from coopfs.local.nodedb import NodeDatabase
from coopfs.local.partners import PartnerEntry
from coopfs.match.client import MatchClient
from coopfs.net.roster import Roster
from coopfs.types import NodeKey, StepAnswer, StepWord, Welcome
from tests.match.members import Clock
from tests.net.nodes import Network, no_jitter
from tests.net.sites import local_node

TERMS = Terms(0, Share(95), 3, "", "linux", frozenset(), together=False)


class Villager:
    """One node. number: its identity; it lives at 20.N.0.1."""

    def __init__(
        self,
        number: int,
        directory: Path,
        network: Network,
        servers: Sequence[MatchClient],
        clock: Callable[[], float],
        terms: Terms,
    ) -> None:
        seed, self.address = number.to_bytes(32, "big"), f"20.{number}.0.1:7530"
        self.key, self.name = Identity.from_seed(seed).key, f"node-{number}"
        self.terms = terms
        home = Home(directory / self.name)
        if not home.path.exists():  # else it lived here before
            home.create(seed)
        self.database = NodeDatabase(home.node_database)
        self.home = home
        self.hosting = Hosting(
            home, self.database, clock, self._know, self._left, self._welcome, on_step=self._hear_step
        )
        entropy, local = random.Random(number), local_node(seed)
        self.openings = Openings(self.key, terms.wanted, self.database, frozenset, clock)
        me = Self(self.key, seed, self.name, entropy.randbytes(16))
        addresses = (self.address,)
        self.membership = Membership(
            me, lambda: self.terms, self.openings, servers, lambda: addresses, clock, entropy.random
        )
        agreeing = self.agreeing = Agreeing(
            local, network.dial, self.hosting, self.name, lambda: addresses, self._know, clock
        )
        self.finding = Finding(
            self.membership,
            self.openings,
            lambda: self.terms,
            agreeing.offer,
            agreeing.accept,
            lambda key: self.hosting.renewal(key, self.name, addresses),
            self.hosting.expire,
            clock,
            entropy.random,
        )
        contact = (self.name, addresses)
        self.door = Door(
            self.openings,
            lambda: self.terms,
            self.hosting,
            self.membership.spot,
            lambda: contact,
            clock,
            entropy.randbytes,
        )
        self.roster = Roster(local, self._standing, self.hosting.partner, network.dial, no_jitter)
        network.listeners[self.address] = self.roster.accept

    def _standing(self, key: NodeKey) -> Standing:
        return Standing.PARTNER if self.hosting.has_agreement(key) else Standing.STRANGER

    def _know(self, entry: PartnerEntry) -> None:
        self.finding.changed()

    async def _left(self, key: NodeKey) -> None:
        raise AssertionError("nobody leaves here")

    async def _welcome(self, peer: NodeKey, announcement: bytes) -> Welcome:
        return await self.door.welcome(peer, announcement)

    async def _hear_step(self, peer: NodeKey, word: StepWord) -> StepAnswer:
        raise AssertionError("nobody steps here")

    async def find(self) -> tuple[list[str], list[str]]:
        return await self.finding.find(lambda step, done, total: None)

    def agreements(self) -> dict[NodeKey, bytes]:
        """Partner -> the text that both have signed."""
        made = {key: self.hosting.renewal(key, self.name, ()) for key in self.openings.partners()}
        return {key: renewal.text for key, renewal in made.items() if renewal is not None}

    def close(self) -> None:
        self.hosting.close()
        self.database.close()


class Village:
    """The nodes of one test."""

    def __init__(self, directory: Path, nursery: trio.Nursery, servers: Sequence[MatchClient]) -> None:
        self.clock = Clock()
        self.network = Network(nursery)
        self.villagers: list[Villager] = []
        self._directory = directory
        self._servers = servers

    def settle(self, count: int, **terms: object) -> list[Villager]:
        """So many more nodes, on these terms."""
        for _ in range(count):
            number = len(self.villagers) + 1
            mine = replace(TERMS, **terms)  # type: ignore[arg-type]
            parts = self._directory, self.network, self._servers, self.clock, mine
            self.villagers.append(Villager(number, *parts))
        return self.villagers[-count:]

    def check(self) -> None:
        """Every agreement is held by both sides, in the same words, and nobody has more than wanted."""
        held = {villager.key: villager.agreements() for villager in self.villagers}
        for key, agreements in held.items():
            for partner, text in agreements.items():
                assert held[partner][key] == text
        for villager in self.villagers:
            assert len(held[villager.key]) <= villager.terms.wanted


@contextmanager
def village(directory: Path, nursery: trio.Nursery, servers: Sequence[MatchClient]) -> Iterator[Village]:
    made = Village(directory, nursery, servers)
    try:
        yield made
    finally:
        for villager in made.villagers:
            villager.close()
