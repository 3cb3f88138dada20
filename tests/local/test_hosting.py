"""What a host keeps over restarts, how its space stays reserved, and both sides of an agreement."""

import errno
import os
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Never

import pytest
import trio

from coopfs import limits
from coopfs.core.claims import sign_claim
from coopfs.core.identity import Identity
from coopfs.core.invitation import Invitation, decode
from coopfs.core.storeformat import store_size
from coopfs.errors import Fenced, HomeError, NoAgreement, NotAuthentic, Refused, UsageError
from coopfs.local import partners
from coopfs.local.home import Home
from coopfs.local.hosted.hosting import Hosting
from coopfs.local.hosted.reservation import extend, peer_file
from coopfs.local.hosted.storefile import StoreFile
from coopfs.local.nodedb import NodeDatabase
from coopfs.local.partners import PartnerEntry
from coopfs.types import (
    BlockStore,
    Grant,
    Master,
    NodeKey,
    Opening,
    Partner,
    StoredBlock,
    StoreId,
    StoreSpec,
    make_version,
)
from tests.partners import ADDRESSES, NOON, TOKEN, Clock, Owner, flip, propose

SPEC = StoreSpec(rows=20, block_size=16384)
SIZE = store_size(SPEC.rows, SPEC.block_size)
GIVEN = 3 * SIZE
STORE = StoreId(b"store-0123456789")
V1 = make_version(1, 1)


@dataclass
class Node:
    """A home that can be started again and again."""

    path: Path
    seed: bytes
    clock: Clock = field(default_factory=Clock)
    agreed: list[PartnerEntry] = field(default_factory=list)
    left: list[NodeKey] = field(default_factory=list)

    @property
    def home(self) -> Home:
        return Home(self.path)

    @property
    def key(self) -> NodeKey:
        return Identity.from_seed(self.seed).key

    @contextmanager
    def running(self) -> Iterator[Hosting]:
        database = NodeDatabase(self.home.node_database)
        hosting = Hosting(self.home, database, self.clock, self.agreed.append, self._note_left)
        yield hosting
        hosting.close()
        database.close()

    async def _note_left(self, peer: NodeKey) -> None:
        self.left.append(peer)

    def known(self) -> list[PartnerEntry]:
        database = NodeDatabase(self.home.node_database)
        entries = list(partners.all_partners(database))
        database.close()
        return entries

    def reserved(self) -> int:
        """Bytes really allocated in files that are no stores."""
        names = [path for path in self.home.hosted.iterdir() if "-" in path.name]
        return sum(path.stat().st_blocks * 512 for path in names)

    def allocated(self) -> int:
        return sum(path.stat().st_blocks * 512 for path in self.home.hosted.iterdir())


def make_node(path: Path, seed: bytes) -> Node:
    node = Node(path, seed)
    node.home.create(seed)
    return node


@pytest.fixture
def host(tmp_path: Path) -> Node:
    return make_node(tmp_path / "host", b"h" * 32)


@pytest.fixture
def owner() -> Owner:
    return Owner()


async def admit(hosting: Hosting, owner: Owner, size: int = GIVEN) -> None:
    invitation = await hosting.invite(size, NOON, TOKEN, "host", ADDRESSES)
    await hosting.partner(owner.key).agree(propose(invitation, owner.seed))


# --- restarts -----------------------------------------------------------------------------------------------------


async def test_everything_hosted_survives_a_restart(host: Node, owner: Owner) -> None:
    with host.running() as hosting:
        await admit(hosting, owner)
        partner = hosting.partner(owner.key)
        store = await partner.open(Opening(owner.disk, STORE, owner.claim(1), SPEC))
        await store.put(3, V1, b"block")
        await partner.put_master(owner.claim(4), Master(make_version(4, 1), b"master"))
    with host.running() as hosting:
        partner = hosting.partner(owner.key)
        assert list(await partner.masters(owner.disk)) == [Master(make_version(4, 1), b"master")]
        with pytest.raises(Fenced):
            await partner.claim(owner.claim(3))
        reader = await partner.open(Opening(owner.disk, STORE))
        assert (reader.opened.changes, reader.opened.epoch) == (1, 4)
        assert await reader.get(3) == StoredBlock(V1, b"block")
        (hosted,) = hosting.hosted()
        assert (hosted.peer, hosted.store, hosted.rows, hosted.used) == (owner.key, STORE, SPEC.rows, 1)


async def test_what_partners_ask_for_leaves_threads_to_others(
    host: Node, owner: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that hangs, or a partner that asks for more than it can read: this node's own disk must be synced."""
    begun, goes_on = threading.Semaphore(0), threading.Event()

    def get(store: StoreFile, row: int) -> None:
        begun.release()
        goes_on.wait()

    with host.running() as hosting:
        await admit(hosting, owner)
        reader = await hosting.partner(owner.key).open(Opening(owner.disk, STORE, owner.claim(1), SPEC))
        monkeypatch.setattr(StoreFile, "get", get)
        async with trio.open_nursery() as nursery:
            for _ in range(limits.MAX_REQUESTS):
                nursery.start_soon(reader.get, 1)
            for _ in range(limits.HOSTING_THREADS):
                await trio.to_thread.run_sync(begun.acquire)
            assert trio.to_thread.current_default_thread_limiter().borrowed_tokens == 0
            assert not begun.acquire(blocking=False), "the others wait for one of these"
            goes_on.set()


async def test_grants_survive_a_restart_and_end_with_their_time(host: Node, owner: Owner) -> None:
    reader = NodeKey(b"r" * 32)
    with host.running() as hosting:
        await admit(hosting, owner)
        partner = hosting.partner(owner.key)
        await partner.open(Opening(owner.disk, STORE, owner.claim(1), SPEC))
        await partner.grant(Grant(owner.disk, STORE, reader, host.clock.now + 100))
        assert hosting.admits_reader(reader)
        assert not hosting.admits_reader(owner.key)
    with host.running() as hosting:
        assert (await hosting.partner(reader).open(Opening(owner.disk, STORE))).opened.rows == SPEC.rows
        host.clock.now += 100
        assert not hosting.admits_reader(reader)


async def test_a_lost_store_is_refused_until_its_owner_makes_it_again_empty(host: Node, owner: Owner) -> None:
    opening = Opening(owner.disk, STORE, owner.claim(1), SPEC)
    with host.running() as hosting:
        await admit(hosting, owner)
        store = await hosting.partner(owner.key).open(opening)
        await store.put(3, V1, b"block")
    (host.home.hosted / STORE.hex()).unlink()
    with host.running() as hosting:
        partner = hosting.partner(owner.key)
        with pytest.raises(Refused, match="lost"):
            await partner.open(Opening(owner.disk, STORE))
        store = await partner.open(opening)
        assert store.opened.changes == 0
        assert await store.get(3) is None


async def test_a_damaged_store_is_the_hosts_trouble_and_refused(host: Node, owner: Owner) -> None:
    with host.running() as hosting:
        await admit(hosting, owner)
        await hosting.partner(owner.key).open(Opening(owner.disk, STORE, owner.claim(1), SPEC))
    os.truncate(host.home.hosted / STORE.hex(), 5000)
    with host.running() as hosting:
        with pytest.raises(Refused, match="its owner must look after it"):
            await hosting.partner(owner.key).open(Opening(owner.disk, STORE))
        assert hosting.failure is not None
        assert STORE.hex() in hosting.failure
        assert "\n" not in hosting.failure


async def test_a_store_whose_making_was_cut_short_is_made_again(host: Node, owner: Owner) -> None:
    with host.running() as hosting:
        await admit(hosting, owner)
    (host.home.hosted / f"{STORE.hex()}.new").write_bytes(b"half")
    with host.running() as hosting:
        assert not (host.home.hosted / f"{STORE.hex()}.new").exists()
        await hosting.partner(owner.key).open(Opening(owner.disk, STORE, owner.claim(1), SPEC))


async def test_a_store_that_was_recorded_but_not_renamed_is_whole(host: Node, owner: Owner) -> None:
    with host.running() as hosting:
        await admit(hosting, owner)
        store = await hosting.partner(owner.key).open(Opening(owner.disk, STORE, owner.claim(1), SPEC))
        await store.put(3, V1, b"block")
    path = host.home.hosted / STORE.hex()
    path.rename(path.with_suffix(".new"))
    with host.running() as hosting:
        reader = await hosting.partner(owner.key).open(Opening(owner.disk, STORE))
        assert await reader.get(3) == StoredBlock(V1, b"block")


async def test_a_lost_store_whose_making_anew_was_cut_short_is_made_again(host: Node, owner: Owner) -> None:
    with host.running() as hosting:
        await admit(hosting, owner)
        await hosting.partner(owner.key).open(Opening(owner.disk, STORE, owner.claim(1), SPEC))
    path = host.home.hosted / STORE.hex()
    path.unlink()
    path.with_suffix(".new").write_bytes(bytes(5000))
    with host.running() as hosting:
        assert not path.with_suffix(".new").exists()
        store = await hosting.partner(owner.key).open(Opening(owner.disk, STORE, owner.claim(1), SPEC))
        assert await store.put(3, V1, b"block") is None


async def test_idle_stores_are_closed_beyond_a_number(
    host: Node, owner: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "IDLE_STORES", 1)
    with host.running() as hosting:
        await admit(hosting, owner)
        partner = hosting.partner(owner.key)
        ids = [StoreId(bytes([number]) * 16) for number in range(3)]
        stores = [await partner.open(Opening(owner.disk, name, owner.claim(1), SPEC)) for name in ids]
        await stores[2].put(0, V1, b"block")
        for store in stores:
            await store.close()
        # The others are closed: only an open store knows how much of it is used.
        assert [hosted.used for hosted in hosting.hosted()] == [None, None, 1]
        again = await partner.open(Opening(owner.disk, ids[0]))
        assert await again.get(0) is None


# --- reserved space -----------------------------------------------------------------------------------------------


async def test_space_is_taken_from_the_invitation_on_and_stays_taken(host: Node, owner: Owner) -> None:
    with host.running() as hosting:
        invitation = await hosting.invite(GIVEN, NOON, TOKEN, "host", ADDRESSES)
        assert host.reserved() == GIVEN
        partner = hosting.partner(owner.key)
        await partner.agree(propose(invitation, owner.seed))
        assert host.reserved() == GIVEN
        for left in (2, 1, 0):
            await partner.open(Opening(owner.disk, StoreId(bytes([left]) * 16), owner.claim(1), SPEC))
            assert host.reserved() == left * SIZE
            assert host.allocated() == GIVEN


async def test_a_lost_reservation_is_made_again_at_the_next_start(host: Node, owner: Owner) -> None:
    with host.running() as hosting:
        await admit(hosting, owner)
        await hosting.partner(owner.key).open(Opening(owner.disk, STORE, owner.claim(1), SPEC))
    for path in host.home.hosted.glob("reservation-*"):
        path.unlink()
    (host.home.hosted / "reservation-of-nobody").write_bytes(bytes(4096))
    with host.running():
        assert host.reserved() == 2 * SIZE


async def test_an_invitation_larger_than_the_disk_is_refused_with_numbers(host: Node) -> None:
    with host.running() as hosting:
        with pytest.raises(HomeError, match=r"^cannot reserve 8\.0 PiB in [^\n]*, [^\n]* free$"):
            await hosting.invite(8 << 50, NOON, TOKEN, "host", ADDRESSES)
        assert host.reserved() == 0


async def test_an_expired_invitation_gives_its_space_back(host: Node) -> None:
    with host.running() as hosting:
        await hosting.invite(GIVEN, NOON, TOKEN, "host", ADDRESSES)
    host.clock.now += limits.INVITATION_LIFETIME + 1
    with host.running():
        assert host.reserved() == 0


# --- both sides of an agreement -----------------------------------------------------------------------------------


@pytest.fixture
def guest(tmp_path: Path) -> Node:
    return make_node(tmp_path / "guest", b"g" * 32)


async def test_from_a_code_to_an_agreement_of_two_homes(host: Node, guest: Node) -> None:
    with host.running() as inviter, guest.running() as acceptor:
        code = (await inviter.invite(GIVEN, NOON, TOKEN, "host", ADDRESSES)).encode()
        invitation = decode(code)
        proposal = await acceptor.reserve(invitation, "guest", ("[::2]:1",), NOON)
        assert guest.reserved() == GIVEN
        signature = await inviter.partner(guest.key).agree(proposal)
        entry = await acceptor.record(invitation, proposal, signature)
        assert entry == PartnerEntry("host", host.key, ADDRESSES, GIVEN, GIVEN)
        assert inviter.has_agreement(guest.key)
        assert acceptor.has_agreement(host.key)
    assert host.agreed == host.known() == [PartnerEntry("guest", guest.key, ("[::2]:1",), GIVEN, GIVEN)]
    assert guest.known() == [entry]
    with guest.running() as acceptor:
        assert acceptor.has_agreement(host.key)
        assert guest.reserved() == GIVEN


async def test_what_is_promised_stands_in_both_agreements(host: Node, guest: Node) -> None:
    level = "mon-fri 08:00-18:00 Europe/Paris"
    with host.running() as inviter, guest.running() as acceptor:
        code = (await inviter.invite(GIVEN, NOON, TOKEN, "host", ADDRESSES, level)).encode()
        proposal = await acceptor.reserve(decode(code), "guest", ADDRESSES, NOON)
        for other in ("", "99%"):
            worse = replace(decode(code), uptime=other)
            with pytest.raises(Refused, match=f"an uptime of {level}, not of {other or 'none'}"):
                await inviter.partner(guest.key).agree(await acceptor.reserve(worse, "guest", ADDRESSES, NOON))
        signature = await inviter.partner(guest.key).agree(proposal)
        await acceptor.record(decode(code), proposal, signature)
    for node, peer in ((host, guest.key), (guest, host.key)):
        with node.running() as hosting:
            agreed = hosting.agreement(peer)
            assert agreed is not None
            assert (agreed.uptime, agreed.start, hosting.has_agreement(peer)) == (level, NOON, True)
            assert hosting.agreement(node.key) is None


async def test_an_answer_that_was_lost_is_given_again_to_a_second_try(host: Node, guest: Node) -> None:
    with host.running() as inviter:
        invitation = await inviter.invite(GIVEN, NOON, TOKEN, "host", ADDRESSES)
        with guest.running() as acceptor:
            proposal = await acceptor.reserve(invitation, "guest", ADDRESSES, NOON)
            await inviter.partner(guest.key).agree(proposal)
            await acceptor.release(invitation)
            assert guest.reserved() == 0
        with guest.running() as acceptor:
            again = await acceptor.reserve(invitation, "guest", ADDRESSES, NOON + 1000)
            assert again == proposal
            await acceptor.record(invitation, again, await inviter.partner(guest.key).agree(again))
        assert len(host.agreed) == 1
    assert len(guest.known()) == 1


async def test_a_false_signature_of_the_inviter_is_not_recorded(host: Node, guest: Node) -> None:
    invitation = Invitation(host.key, TOKEN, GIVEN, GIVEN, "host", ADDRESSES)
    with guest.running() as acceptor:
        proposal = await acceptor.reserve(invitation, "guest", ADDRESSES, NOON)
        with pytest.raises(NotAuthentic):
            await acceptor.record(invitation, proposal, proposal.signature)
        await acceptor.release(invitation)
        assert not acceptor.has_agreement(host.key)
    assert guest.reserved() == 0


async def test_codes_that_make_no_sense_are_usage_errors(host: Node, guest: Node) -> None:
    with host.running() as inviter, guest.running() as acceptor:
        invitation = await inviter.invite(GIVEN, NOON, TOKEN, "host", ADDRESSES)
        with pytest.raises(UsageError, match="your own"):
            await inviter.reserve(invitation, "host", ADDRESSES, NOON)
        proposal = await acceptor.reserve(invitation, "guest", ADDRESSES, NOON)
        await acceptor.record(invitation, proposal, await inviter.partner(guest.key).agree(proposal))
        with pytest.raises(UsageError, match="already"):
            await acceptor.reserve(invitation, "guest", ADDRESSES, NOON)
        await acceptor.release(invitation)
        assert guest.reserved() == GIVEN, "an agreement keeps its space"
        with pytest.raises(UsageError):
            await inviter.invite(0, NOON, b"?" * 16, "host", ADDRESSES)


async def test_partners_of_one_name_are_told_apart(host: Node) -> None:
    with host.running() as hosting:
        for number in range(3):
            invitation = await hosting.invite(4096, NOON, bytes([number]) * 16, "host", ADDRESSES)
            seed = bytes([number]) * 32
            await hosting.partner(Identity.from_seed(seed).key).agree(propose(invitation, seed, name="bob"))
    names = [entry.name for entry in host.known()]
    assert len(set(names)) == 3
    assert all(name.startswith("bob") for name in names)


async def test_a_restart_forgets_no_fence_of_a_disk_without_stores(host: Node, owner: Owner) -> None:
    with host.running() as hosting:
        await admit(hosting, owner)
        await hosting.partner(owner.key).claim(owner.claim(7))
    with host.running() as hosting:
        partner = hosting.partner(owner.key)
        with pytest.raises(Fenced):
            await partner.claim(sign_claim(owner.signing_seed, 7, b"b" * 16, NOON))
        await partner.claim(owner.claim(7))


async def test_rot_in_a_store_is_no_failure_of_the_host(host: Node, owner: Owner) -> None:
    with host.running() as hosting:
        await admit(hosting, owner)
        store = await hosting.partner(owner.key).open(Opening(owner.disk, STORE, owner.claim(1), SPEC))
        await store.put(0, V1, b"block")
        flip(host.home.hosted / STORE.hex(), 4096 + 4096)
        assert await store.get(0) is None
        assert hosting.failure is None


# --- agreements that are over -------------------------------------------------------------------------------------


async def test_who_is_left_takes_no_space_and_must_be_told_also_after_a_restart(host: Node, owner: Owner) -> None:
    with host.running() as hosting:
        await admit(hosting, owner)
        store = await hosting.partner(owner.key).open(Opening(owner.disk, STORE, owner.claim(1), SPEC))
        await hosting.part(owner.key)
        with pytest.raises(NoAgreement):
            await store.put(3, V1, b"block")
        await store.close()
    assert host.allocated() == 0
    with host.running() as hosting:
        (ending,) = hosting.owed()
        assert (ending.peer, ending.addresses, hosting.parted()) == (owner.key, ADDRESSES, {owner.key})
        await hosting.part(owner.key)
        await hosting.note_told(ending)
        assert hosting.owed() == []
        assert host.known() == []


async def test_a_crash_while_stores_are_removed_is_made_good_at_the_next_start(host: Node, owner: Owner) -> None:
    with host.running() as hosting:
        await admit(hosting, owner)
        store = await hosting.partner(owner.key).open(Opening(owner.disk, STORE, owner.claim(1), SPEC))
        await store.close()
        hosting._agreements.part(owner.key)
    assert host.allocated() > SIZE
    with host.running() as hosting:
        assert list(hosting.hosted()) == []
    assert host.allocated() == 0


async def test_an_owner_that_leaves_is_heard_again_when_its_answer_was_lost(host: Node, owner: Owner) -> None:
    with host.running() as hosting:
        await admit(hosting, owner)
        shown = hosting.renewal(owner.key, "host", ADDRESSES)
        assert shown is not None
        await hosting.partner(b"q" * 32).leave(shown.text)
        assert host.left == []
        await hosting.partner(owner.key).leave(shown.text)
        await hosting.partner(owner.key).leave(shown.text)
        assert host.left == [owner.key, owner.key]
        assert (hosting.owed(), hosting.parted()) == ([], {owner.key})
        with pytest.raises(Refused, match="over"):
            await hosting.partner(owner.key).renew(replace(shown, mine=shown.yours, yours=shown.mine))


# --- stores that grow ---------------------------------------------------------------------------------------------


async def test_what_a_store_grows_by_comes_from_the_reservation(host: Node, owner: Owner) -> None:
    with host.running() as hosting:
        await admit(hosting, owner)
        store = await hosting.partner(owner.key).open(Opening(owner.disk, STORE, owner.claim(1), SPEC))
        before = host.allocated()
        for rows in (SPEC.rows + 3, SPEC.rows + 20):
            await store.resize(rows)
            await store.put(rows - 1, V1, b"block")
        assert abs(host.allocated() - before) <= 4096
        with pytest.raises(Refused, match="are in use"):
            await store.resize(4 * SPEC.rows)
    with host.running() as hosting:
        store = await hosting.partner(owner.key).open(Opening(owner.disk, STORE))
        assert store.opened.rows == SPEC.rows + 20
        assert await store.get(SPEC.rows + 2) == await store.get(SPEC.rows + 19) == StoredBlock(V1, b"block")
        assert abs(host.allocated() - before) <= 4096


async def test_a_growth_that_was_cut_short_leaves_nothing(host: Node, owner: Owner) -> None:
    with host.running() as hosting:
        await admit(hosting, owner)
        store = await hosting.partner(owner.key).open(Opening(owner.disk, STORE, owner.claim(1), SPEC))
        await store.put(3, V1, b"block")
        before = host.allocated()
    path = host.home.hosted / STORE.hex()
    extend(peer_file(host.home.hosted, owner.key), 0, path, path.stat().st_size + SIZE)
    with host.running() as hosting:
        store = await hosting.partner(owner.key).open(Opening(owner.disk, STORE, owner.claim(1)))
        assert (store.opened.rows, path.stat().st_size) == (SPEC.rows, SIZE)
        assert abs(host.allocated() - before) <= 4096
        await store.resize(SPEC.rows + 1)
        assert await store.get(3) == StoredBlock(V1, b"block")


async def test_a_store_cannot_grow_for_ever(host: Node, owner: Owner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_GROWTHS", 2)
    with host.running() as hosting:
        await admit(hosting, owner)
        store = await hosting.partner(owner.key).open(Opening(owner.disk, STORE, owner.claim(1), SPEC))
        for rows in (21, 22):
            await store.resize(rows)
        with pytest.raises(Refused, match="grown 2 times"):
            await store.resize(23)


def failing(*_: object, **__: object) -> Never:
    raise OSError(errno.EIO, os.strerror(errno.EIO))


async def grown(hosting: Hosting, owner: Owner) -> BlockStore:
    await admit(hosting, owner)
    store = await hosting.partner(owner.key).open(Opening(owner.disk, STORE, owner.claim(1), SPEC))
    await store.resize(SPEC.rows + 3)
    await store.put(SPEC.rows + 2, V1, b"block")
    return store


async def test_a_header_that_could_not_be_read_at_the_start_is_that_of_no_other_store(
    host: Node, owner: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its owner is told by nobody to move a good file away."""
    with host.running() as hosting:
        await grown(hosting, owner)
    with monkeypatch.context() as patched:
        patched.setattr(os, "pread", failing)
        starting = host.running()
        hosting = starting.__enter__()
    try:
        store = await hosting.partner(owner.key).open(Opening(owner.disk, STORE, owner.claim(1)))
        assert store.opened.rows == SPEC.rows + 3
        assert await store.get(SPEC.rows + 2) == StoredBlock(V1, b"block")
        assert [each.rows for each in hosting.hosted()] == [SPEC.rows + 3]
    finally:
        starting.__exit__(None, None, None)


async def test_a_cut_that_ended_half_way_is_no_reason_to_believe_in_rows_that_went(
    host: Node, owner: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    with host.running() as hosting:
        store = await grown(hosting, owner)
        with monkeypatch.context() as patched:
            patched.setattr(os, "ftruncate", failing)
            with pytest.raises(Refused):
                await store.resize(5)
        await store.resize(SPEC.rows + 3)
        await store.put(SPEC.rows + 2, V1, b"again")
        assert await store.get(SPEC.rows + 2) == StoredBlock(V1, b"again")


def opening(owner: Owner, id_: StoreId) -> Opening:
    return Opening(owner.disk, id_, owner.claim(1), SPEC)


@pytest.mark.parametrize(
    "ask",
    [
        lambda partner, store, owner: partner.open(opening(owner, STORE)),
        lambda partner, store, owner: partner.open(opening(owner, StoreId(b"store-9876543210"))),
        lambda partner, store, owner: store.resize(SPEC.rows + 5),
    ],
    ids=["open", "create", "resize"],
)
async def test_a_file_that_the_disk_knows_nothing_of_is_its_owners_trouble(
    host: Node,
    owner: Owner,
    monkeypatch: pytest.MonkeyPatch,
    ask: Callable[[Partner, BlockStore | None, Owner], Awaitable[object]],
    request: pytest.FixtureRequest,
) -> None:
    with host.running() as hosting:
        await grown(hosting, owner)
    with host.running() as hosting:
        partner = hosting.partner(owner.key)
        store = await partner.open(opening(owner, STORE)) if "resize" in request.node.name else None
        stat = os.stat

        def fails(path: Path, **options: bool) -> os.stat_result:
            return failing() if str(path).startswith(str(host.home.hosted)) else stat(path, **options)

        with monkeypatch.context() as patched:
            patched.setattr(os, "stat", fails)
            with pytest.raises(Refused, match="full or has failed"):
                await ask(partner, store, owner)
        assert "Input/output error" in (hosting.failure or "")


async def test_what_a_store_loses_is_reserved_again(host: Node, owner: Owner) -> None:
    with host.running() as hosting:
        await admit(hosting, owner)
        store = await hosting.partner(owner.key).open(Opening(owner.disk, STORE, owner.claim(1), SPEC))
        await store.put(3, V1, b"block")
        before = host.allocated()
        for rows in (SPEC.rows + 9, SPEC.rows + 2, 5, 40, 4):
            await store.resize(rows)
            assert abs(host.allocated() - before) <= 8192
    path = host.home.hosted / STORE.hex()
    with path.open("r+b") as file:  # as after a crash between the header and the rest
        file.truncate(path.stat().st_size + SIZE)
    with host.running() as hosting:
        store = await hosting.partner(owner.key).open(Opening(owner.disk, STORE, owner.claim(1)))
        assert (store.opened.rows, await store.get(3)) == (4, StoredBlock(V1, b"block"))
        assert abs(host.allocated() - before) <= 8192
