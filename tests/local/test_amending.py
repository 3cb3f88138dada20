"""Two nodes change the size of what they swap, whatever is lost on the way."""

import random
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from coopfs.core.agreement import Agreement
from coopfs.core.identity import Identity
from coopfs.core.storeformat import store_size
from coopfs.errors import HomeError, PeerError, Refused, UsageError
from coopfs.local import partners
from coopfs.local.home import Home
from coopfs.local.hosted.hosting import Hosting
from coopfs.local.hosted.reservation import peer_file, reserved
from coopfs.local.nodedb import NodeDatabase
from coopfs.types import NodeKey, Opening, StoreId, StoreSpec
from tests.partners import ADDRESSES, TOKEN, Clock, Owner

SPEC = StoreSpec(rows=4, block_size=16384)
SIZE = store_size(SPEC.rows, SPEC.block_size)
GIVEN = 4 * SIZE
STORE = StoreId(b"store-0123456789")


@dataclass(eq=False)
class Node:
    """A home that is started and stopped."""

    path: Path
    seed: bytes
    clock: Clock = field(default_factory=Clock)
    stack: ExitStack = field(default_factory=ExitStack)

    def __post_init__(self) -> None:
        Home(self.path).create(self.seed)
        self.start()

    @property
    def key(self) -> NodeKey:
        return Identity.from_seed(self.seed).key

    def start(self) -> None:
        self.database = NodeDatabase(Home(self.path).node_database)
        self.stack.callback(self.database.close)
        self.hosting = Hosting(Home(self.path), self.database, self.clock, lambda entry: None, self.note_left)
        self.stack.callback(self.hosting.close)

    async def note_left(self, peer: NodeKey) -> None:
        pass

    def restart(self) -> None:
        """As after a crash: all that is not saved is gone."""
        self.stack.close()
        self.start()

    def agreed(self, peer: NodeKey) -> Agreement:
        agreement = self.hosting.agreement(peer)
        assert agreement is not None
        return agreement

    def size(self, peer: NodeKey) -> int:
        """Bytes each way, by the agreement and by the list of partners."""
        agreement = self.agreed(peer)
        (entry,) = partners.all_partners(self.database)
        assert agreement.inviter_gives == agreement.acceptor_gives == entry.given == entry.taken
        return entry.given

    def kept(self, peer: NodeKey) -> int:
        """Bytes reserved for a partner, and not used by its stores."""
        return reserved(peer_file(Home(self.path).hosted, peer))


@dataclass
class Pair:
    """Two nodes with an agreement over GIVEN."""

    one: Node
    other: Node

    async def ask(self, asking: Node) -> None:
        """Ask once. PeerError: what the other side answers."""
        asked = self.other if asking is self.one else self.one
        request = asking.hosting.amendment(asked.key)
        assert request is not None
        await asking.hosting.settle(asked.key, await asked.hosting.partner(asking.key).amend(request))

    def check(self, size: int, used: int = 0) -> None:
        """Both have the same agreement, over this size, and nothing more is asked for. used: by one's stores at the
        other."""
        assert self.one.agreed(self.other.key) == self.other.agreed(self.one.key)
        assert self.one.size(self.other.key) == self.other.size(self.one.key) == size
        assert (self.one.kept(self.other.key), self.other.kept(self.one.key)) == (size, size - used)
        for node in (self.one, self.other):
            assert (node.hosting.wishes(), node.hosting.asks()) == ({}, {})


@pytest.fixture
async def pair(tmp_path: Path) -> Iterator[Pair]:
    one, other = Node(tmp_path / "one", b"1" * 32), Node(tmp_path / "other", b"2" * 32)
    code = await one.hosting.invite(GIVEN, one.clock.now, TOKEN, "one", ADDRESSES)
    proposal = await other.hosting.reserve(code, "other", ADDRESSES, other.clock.now)
    await other.hosting.record(code, proposal, await one.hosting.partner(other.key).agree(proposal))
    yield Pair(one, other)
    one.stack.close()
    other.stack.close()


async def store_at(pair: Pair) -> None:
    """A store of one at the other."""
    owner = Owner(seed=pair.one.seed)
    opening = Opening(owner.disk, STORE, owner.claim(1), SPEC)
    await (await pair.other.hosting.partner(pair.one.key).open(opening)).close()


@pytest.mark.parametrize("size", [2 * GIVEN, GIVEN // 2])
async def test_both_owners_say_the_same_size_and_it_is_agreed(pair: Pair, size: int) -> None:
    await store_at(pair)
    await pair.one.hosting.wish(pair.other.key, size)
    with pytest.raises(Refused, match="owner has not agreed"):
        await pair.ask(pair.one)
    assert pair.other.hosting.asks() == {pair.one.key: size}
    assert pair.other.size(pair.one.key) == GIVEN
    await pair.other.hosting.wish(pair.one.key, size)
    await pair.ask(pair.one)
    pair.check(size, SIZE)
    for node in (pair.one, pair.other):
        node.restart()
    pair.check(size, SIZE)


async def test_wishes_that_cross_end_in_one_agreement(pair: Pair) -> None:
    await pair.one.hosting.wish(pair.other.key, 2 * GIVEN)
    pair.other.clock.now += 7
    await pair.other.hosting.wish(pair.one.key, 2 * GIVEN)
    requests = {node: node.hosting.amendment(peer.key) for node, peer in self_and_other(pair)}
    answers = {node: await peer.hosting.partner(node.key).amend(requests[node]) for node, peer in self_and_other(pair)}
    for node, peer in self_and_other(pair):
        await node.hosting.settle(peer.key, answers[node])
    pair.check(2 * GIVEN)


def self_and_other(pair: Pair) -> list[tuple[Node, Node]]:
    return [(pair.one, pair.other), (pair.other, pair.one)]


async def test_a_wish_is_taken_back_although_it_may_have_been_agreed_to(pair: Pair) -> None:
    await pair.one.hosting.wish(pair.other.key, 2 * GIVEN)
    await pair.other.hosting.wish(pair.one.key, 2 * GIVEN)
    request = pair.one.hosting.amendment(pair.other.key)
    await pair.other.hosting.partner(pair.one.key).amend(request)  # the answer is lost
    await pair.one.hosting.wish(pair.other.key, GIVEN)
    assert pair.one.kept(pair.other.key) == 2 * GIVEN
    await pair.ask(pair.one)
    assert pair.one.size(pair.other.key) == 2 * GIVEN
    with pytest.raises(Refused, match="owner has not agreed"):
        await pair.ask(pair.one)
    await pair.other.hosting.wish(pair.one.key, GIVEN)
    await pair.ask(pair.one)
    pair.check(GIVEN)


async def test_a_wish_for_what_stands_takes_back_what_was_asked(pair: Pair) -> None:
    await pair.one.hosting.wish(pair.other.key, 2 * GIVEN)
    with pytest.raises(Refused):
        await pair.ask(pair.one)
    await pair.one.hosting.wish(pair.other.key, GIVEN)
    await pair.ask(pair.one)
    pair.check(GIVEN)


async def test_nobody_asks_for_less_than_is_in_use(pair: Pair) -> None:
    await store_at(pair)
    with pytest.raises(UsageError, match="takes"):
        await pair.other.hosting.wish(pair.one.key, SIZE - 1)
    await pair.one.hosting.wish(pair.other.key, SIZE - 1)
    with pytest.raises(Refused, match="in use"):
        await pair.ask(pair.one)
    assert pair.other.hosting.asks() == {}


async def test_what_was_asked_to_be_less_is_not_filled_meanwhile(pair: Pair) -> None:
    await pair.other.hosting.wish(pair.one.key, SIZE - 1)
    with pytest.raises(Refused, match="needed"):
        await store_at(pair)


async def test_a_wish_without_room_changes_nothing(pair: Pair) -> None:
    with pytest.raises(HomeError):
        await pair.one.hosting.wish(pair.other.key, 1 << 60)
    pair.check(GIVEN)
    with pytest.raises(UsageError):
        await pair.one.hosting.wish(pair.other.key, 0)
    with pytest.raises(UsageError):
        await pair.one.hosting.wish(NodeKey(b"?" * 32), SIZE)


async def test_whoever_leaves_after_an_amendment_is_understood(pair: Pair) -> None:
    await pair.one.hosting.wish(pair.other.key, 2 * GIVEN)
    await pair.other.hosting.wish(pair.one.key, 2 * GIVEN)
    old = pair.other.hosting.renewal(pair.one.key, "other", ADDRESSES)
    await pair.other.hosting.partner(pair.one.key).amend(pair.one.hosting.amendment(pair.other.key))
    await pair.one.hosting.part(pair.other.key)  # it never heard that its wish was agreed to
    (ending,) = pair.one.hosting.owed()
    await pair.other.hosting.partner(pair.one.key).leave(ending.text)
    assert not pair.other.hosting.has_agreement(pair.one.key)
    with pytest.raises(Refused, match="over"):
        await pair.one.hosting.partner(pair.other.key).renew(old)


@pytest.mark.parametrize("seed", range(10))
async def test_whatever_is_lost_both_end_with_the_same_agreement(pair: Pair, seed: int) -> None:
    chance = random.Random(seed)
    sizes = [SIZE, GIVEN, 2 * GIVEN]
    for _ in range(30):
        node, peer = chance.choice(self_and_other(pair))
        node.clock.now += chance.randrange(-2, 4)
        match chance.randrange(4):
            case 0:
                await node.hosting.wish(peer.key, chance.choice(sizes))
            case 1:
                node.restart()
            case _ if (request := node.hosting.amendment(peer.key)) is not None:
                try:
                    answer = await peer.hosting.partner(node.key).amend(request)
                except Refused:
                    continue
                if chance.random() < 0.6:
                    await node.hosting.settle(peer.key, answer)
        for one, two in self_and_other(pair):
            assert one.kept(two.key) >= two.hosting._agreements.usable(one.key)
    for node, peer in self_and_other(pair):
        await node.hosting.wish(peer.key, 2 * GIVEN)
    for _ in range(3):
        for node, peer in self_and_other(pair):
            if node.hosting.amendment(peer.key) is not None:
                try:
                    await pair.ask(node)
                except PeerError:
                    continue
    pair.check(2 * GIVEN)
