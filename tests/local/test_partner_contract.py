"""What every types.Partner and types.BlockStore does, however it is reached."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import trio

from coopfs import limits
from coopfs.core import agreement as agreements
from coopfs.core import digest
from coopfs.core.agreement import Agreement
from coopfs.core.identity import Identity
from coopfs.core.storeformat import store_size
from coopfs.errors import BlockRefused, Fenced, NoAgreement, NotAuthentic, PeerError, Refused, StoreGone
from coopfs.types import (
    Amendment,
    BlockStore,
    DiskId,
    Grant,
    Master,
    NodeKey,
    Opening,
    Partner,
    Renewal,
    Settlement,
    Slot,
    StoredBlock,
    StoreId,
    StoreSpec,
    Write,
    make_version,
)
from tests.memory import CONSENTED
from tests.partners import ADDRESSES, HOST_SEED, NOON, SITES, Owner, Site, propose

SPEC = StoreSpec(rows=20, block_size=16384)
STORE = StoreId(b"store-0123456789")
GIVEN = store_size(SPEC.rows, SPEC.block_size) * 3
V1, V2, V3 = (make_version(1, sequence) for sequence in (1, 2, 3))


@pytest.fixture(params=SITES)
async def site(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Site]:
    async with SITES[request.param](tmp_path) as site:
        yield site


@pytest.fixture
def owner() -> Owner:
    return Owner()


def writing(owner: Owner, epoch: int = 1, *, claimer: bytes = b"a" * 16, store: StoreId = STORE) -> Opening:
    return Opening(owner.disk, store, owner.claim(epoch, claimer), SPEC)


async def new_store(site: Site, owner: Owner) -> BlockStore:
    partner = await site.admit(owner.seed, GIVEN)
    return await partner.open(writing(owner))


# --- blocks (R15) -------------------------------------------------------------------------------------------------


async def test_a_block_comes_back_as_it_was_put(site: Site, owner: Owner) -> None:
    store = await new_store(site, owner)
    await store.put(3, V1, b"short")
    await store.put(19, V2, b"x" * SPEC.block_size)
    assert await store.get(3) == StoredBlock(V1, b"short")
    assert await store.get(19) == StoredBlock(V2, b"x" * SPEC.block_size)
    assert await store.get(4) is None


async def test_a_newer_version_replaces_an_older_one(site: Site, owner: Owner) -> None:
    store = await new_store(site, owner)
    await store.put(3, V1, b"a long old block")
    await store.put(3, V3, b"new")
    assert await store.get(3) == StoredBlock(V3, b"new")


async def test_the_same_block_is_acknowledged_again_and_changes_nothing(site: Site, owner: Owner) -> None:
    store = await new_store(site, owner)
    for _ in range(2):
        await store.put(3, V1, b"same")
    again = await (await site.partner(owner.seed)).open(writing(owner))
    assert again.opened.changes == 1


@pytest.mark.parametrize(("version", "data"), [(V1, b"older"), (V2, b"other")])
async def test_what_is_not_newer_is_refused_with_the_stored_version(
    site: Site, owner: Owner, version: int, data: bytes
) -> None:
    store = await new_store(site, owner)
    await store.put(3, V2, b"stored")
    with pytest.raises(BlockRefused) as refusal:
        await store.put(3, version, data)
    assert refusal.value.stored_version == V2
    assert await store.get(3) == StoredBlock(V2, b"stored")


async def test_of_several_puts_each_has_its_own_outcome(site: Site, owner: Owner) -> None:
    store = await new_store(site, owner)
    await store.put(3, V2, b"stored")
    wanted = [Write(1, V1, b"one"), Write(3, V1, b"older"), Write(SPEC.rows, V1, b"nowhere"), Write(2, V3, b"two")]
    outcomes = await store.put_many(wanted)
    assert [type(outcome) for outcome in outcomes] == [type(None), BlockRefused, Refused, type(None)]
    assert await store.inventory(0, 100) == [Slot(1, V1, 3), Slot(2, V3, 3), Slot(3, V2, 6)]


async def test_many_blocks_come_in_the_order_in_which_they_were_asked_for(site: Site, owner: Owner) -> None:
    store = await new_store(site, owner)
    await store.put_many([Write(1, V1, b"one"), Write(2, V3, b"two"), Write(3, V2, b"rotten")])
    site.spoil(STORE, 3)
    wanted = [StoredBlock(V3, b"two"), None, None, StoredBlock(V1, b"one"), StoredBlock(V3, b"two")]
    assert await store.get_many([2, 3, 0, 1, 2]) == wanted
    with pytest.raises(PeerError):
        await store.get_many([1, SPEC.rows])


async def test_versions_use_all_64_bits(site: Site, owner: Owner) -> None:
    store = await new_store(site, owner)
    highest = make_version(65535, (1 << 48) - 1)
    await store.put(0, highest, b"end of time")
    assert await store.get(0) == StoredBlock(highest, b"end of time")


@pytest.mark.parametrize(
    ("row", "version", "length"), [(20, V1, 1), (1 << 31, V1, 1), (0, 0, 1), (0, V1, 0), (0, V1, SPEC.block_size + 1)]
)
async def test_a_put_that_does_not_fit_is_refused(
    site: Site, owner: Owner, row: int, version: int, length: int
) -> None:
    store = await new_store(site, owner)
    with pytest.raises(PeerError):
        await store.put(row, version, b"x" * length)
    assert await store.inventory(0, 100) == []


async def test_a_row_that_does_not_exist_cannot_be_read(site: Site, owner: Owner) -> None:
    store = await new_store(site, owner)
    with pytest.raises(PeerError):
        await store.get(SPEC.rows)


async def test_a_rotten_block_is_missing_and_can_be_put_again(site: Site, owner: Owner) -> None:
    store = await new_store(site, owner)
    await store.put(3, V2, b"stored")
    await store.put(5, V3, b"other")
    site.spoil(STORE, 3)
    assert await store.get(3) is None
    assert await store.inventory(0, 100) == [Slot(3, 0, 0), Slot(5, V3, 5)]
    await store.put(3, V1, b"older")
    assert await store.get(3) == StoredBlock(V1, b"older")


async def test_a_rotten_block_does_not_stand_in_the_way_of_an_equal_one(site: Site, owner: Owner) -> None:
    store = await new_store(site, owner)
    await store.put(3, V2, b"stored")
    site.spoil(STORE, 3)
    await store.put(3, V2, b"stored")
    assert await store.get(3) == StoredBlock(V2, b"stored")


async def test_concurrent_puts_are_all_stored(site: Site, owner: Owner) -> None:
    store = await new_store(site, owner)
    async with trio.open_nursery() as nursery:
        for row in range(SPEC.rows):
            nursery.start_soon(store.put, row, make_version(1, row + 1), bytes([row]) * 5000)
    for row in range(SPEC.rows):
        assert await store.get(row) == StoredBlock(make_version(1, row + 1), bytes([row]) * 5000)


# --- inventory, digest, changes -----------------------------------------------------------------------------------


async def test_the_inventory_is_paged_by_ascending_row(site: Site, owner: Owner) -> None:
    store = await new_store(site, owner)
    slots = [Slot(row, make_version(1, 100 - row), row + 1) for row in (1, 4, 5, 17)]
    for slot in reversed(slots):
        await store.put(slot.row, slot.version, b"x" * slot.length)
    assert await store.inventory(0, 100) == slots
    assert await store.inventory(0, 2) == slots[:2]
    assert await store.inventory(5, 100) == slots[2:]
    assert await store.inventory(18, 100) == []


async def test_digest_and_changes_tell_what_a_store_has_been_through(site: Site, owner: Owner) -> None:
    store = await new_store(site, owner)
    assert (store.opened.changes, store.opened.digest) == (0, bytes(16))
    await store.put(3, V1, b"first")
    await store.put(3, V2, b"second")
    await store.put(9, V3, b"third")
    again = await (await site.partner(owner.seed)).open(writing(owner))
    total = digest.replace(digest.replace(0, 3, 0, V2), 9, 0, V3)
    assert (again.opened.changes, again.opened.digest) == (3, digest.to_bytes(total))
    assert (again.opened.rows, again.opened.block_size) == (SPEC.rows, SPEC.block_size)


# --- opening ------------------------------------------------------------------------------------------------------


async def test_a_stranger_gets_nothing(site: Site, owner: Owner) -> None:
    partner = await site.partner(owner.seed)
    with pytest.raises(Refused):
        await partner.open(writing(owner))
    with pytest.raises(Refused):
        await partner.claim(owner.claim(1))
    with pytest.raises(Refused):
        await partner.masters(owner.disk)
    with pytest.raises(Refused):
        await partner.put_master(owner.claim(1), Master(1, b"master"))


async def test_a_store_is_made_only_when_asked_for_and_by_a_writer(site: Site, owner: Owner) -> None:
    partner = await site.admit(owner.seed, GIVEN)
    with pytest.raises(Refused):
        await partner.open(Opening(owner.disk, STORE, owner.claim(1)))
    with pytest.raises(Refused):
        await partner.open(Opening(owner.disk, STORE, None, SPEC))


async def test_a_store_outside_the_agreement_is_refused_with_numbers(site: Site, owner: Owner) -> None:
    partner = await site.admit(owner.seed, 1 << 20)
    large = StoreSpec(rows=128, block_size=16384)
    with pytest.raises(Refused, match=r"offers 1\.0 MiB, 2\.0 MiB needed"):
        await partner.open(Opening(owner.disk, STORE, owner.claim(1), large))


async def test_stores_share_the_room_of_one_agreement(site: Site, owner: Owner) -> None:
    partner = await site.admit(owner.seed, GIVEN)
    for number in range(3):
        await partner.open(writing(owner, store=StoreId(bytes([number]) * 16)))
    with pytest.raises(Refused, match="offers"):
        await partner.open(writing(owner, store=STORE))


@pytest.mark.parametrize("spec", [StoreSpec(0, 16384), StoreSpec(1, 4096), StoreSpec(1, 20000), StoreSpec(1, 2 << 20)])
async def test_a_store_of_impossible_shape_is_refused(site: Site, owner: Owner, spec: StoreSpec) -> None:
    partner = await site.admit(owner.seed, 8 << 20)
    with pytest.raises(PeerError):
        await partner.open(Opening(owner.disk, STORE, owner.claim(1), spec))


async def test_a_store_is_its_owners_alone(site: Site, owner: Owner) -> None:
    await new_store(site, owner)
    other = Owner(seed=b"e" * 32, signing_seed=b"f" * 32)
    partner = await site.admit(other.seed, GIVEN)
    with pytest.raises(Refused):
        await partner.open(Opening(owner.disk, STORE))
    with pytest.raises(Refused):
        await partner.open(writing(other))


async def test_reading_needs_no_claim_and_cannot_write(site: Site, owner: Owner) -> None:
    writer = await new_store(site, owner)
    await writer.put(3, V1, b"block")
    reader = await (await site.partner(owner.seed)).open(Opening(owner.disk, STORE))
    assert await reader.get(3) == StoredBlock(V1, b"block")
    with pytest.raises(Refused):
        await reader.put(3, V2, b"other")


async def test_one_session_can_open_only_so_many_stores(site: Site, owner: Owner) -> None:
    await new_store(site, owner)
    partner = await site.partner(owner.seed)
    stores = [await partner.open(Opening(owner.disk, STORE)) for _ in range(limits.MAX_STORES_PER_SESSION)]
    with pytest.raises(Refused):
        await partner.open(Opening(owner.disk, STORE))
    await stores[0].close()
    await stores[0].close()
    await partner.open(Opening(owner.disk, STORE))


async def test_a_closed_store_answers_nothing(site: Site, owner: Owner) -> None:
    store = await new_store(site, owner)
    await store.close()
    with pytest.raises(PeerError):
        await store.get(0)


# --- fences (R12) -------------------------------------------------------------------------------------------------


async def test_opening_for_writing_is_a_claim(site: Site, owner: Owner) -> None:
    partner = await site.admit(owner.seed, GIVEN)
    await partner.open(writing(owner, 5))
    with pytest.raises(Fenced) as fence:
        await partner.claim(owner.claim(4))
    assert (fence.value.epoch, fence.value.claimer) == (5, b"a" * 16)
    reader = await partner.open(Opening(owner.disk, STORE))
    assert (reader.opened.epoch, reader.opened.claimer) == (5, b"a" * 16)


async def test_an_epoch_belongs_to_one_claimer(site: Site, owner: Owner) -> None:
    partner = await site.admit(owner.seed, GIVEN)
    await partner.claim(owner.claim(5, b"a" * 16))
    await partner.claim(owner.claim(5, b"a" * 16))
    for attempt in (partner.claim(owner.claim(5, b"b" * 16)), partner.open(writing(owner, 5, claimer=b"b" * 16))):
        with pytest.raises(Fenced):
            await attempt


async def test_a_put_of_an_overtaken_session_is_fenced(site: Site, owner: Owner) -> None:
    old = await new_store(site, owner)
    await old.put(3, V1, b"before")
    await (await site.partner(owner.seed)).claim(owner.claim(2, b"b" * 16))
    with pytest.raises(Fenced) as fence:
        await old.put(3, V2, b"zombie")
    assert (fence.value.epoch, fence.value.claimer) == (2, b"b" * 16)
    assert await old.get(3) == StoredBlock(V1, b"before")


async def test_a_store_that_is_opened_for_writing_again_takes_nothing_of_who_did_before(
    site: Site, owner: Owner
) -> None:
    """It may be a copy of the same home, with the same claim."""
    partner = await site.admit(owner.seed, GIVEN)
    first = await partner.open(writing(owner))
    await first.put(3, V1, b"before")
    second = await partner.open(writing(owner))
    with pytest.raises(Refused, match="opened for writing once more"):
        await first.put(3, V2, b"meanwhile")
    assert await first.get(3) == StoredBlock(V1, b"before")
    await partner.open(Opening(owner.disk, STORE))
    await second.put(3, V2, b"after")
    assert await first.get(3) == StoredBlock(V2, b"after")


async def test_the_epoch_of_a_version_is_no_fence(site: Site, owner: Owner) -> None:
    partner = await site.admit(owner.seed, GIVEN)
    store = await partner.open(writing(owner, 7))
    await store.put(3, make_version(2, 9), b"repaired")
    assert await store.get(3) == StoredBlock(make_version(2, 9), b"repaired")


async def test_a_claim_must_be_signed_by_the_disks_own_key(site: Site, owner: Owner) -> None:
    partner = await site.admit(owner.seed, GIVEN)
    other = Owner(signing_seed=b"x" * 32)
    genuine = owner.claim(9)
    forgeries = [
        replace(genuine, epoch=10),
        replace(genuine, claimer=b"b" * 16),
        replace(genuine, signature=bytes(64)),
        replace(other.claim(9), disk=owner.disk),
    ]
    for forged in forgeries:
        with pytest.raises(NotAuthentic):
            await partner.claim(forged)
    with pytest.raises(NotAuthentic):
        await partner.open(Opening(owner.disk, STORE, other.claim(9), SPEC))
    await partner.claim(owner.claim(1))


async def test_a_claim_seen_by_another_partner_is_no_use_to_it(site: Site, owner: Owner) -> None:
    partner = await site.admit(owner.seed, GIVEN)
    await partner.put_master(owner.claim(1), Master(1, b"genuine"))
    thief = await site.admit(b"t" * 32, GIVEN)
    await thief.put_master(owner.claim(1), Master(9, b"forged"))
    assert list(await partner.masters(owner.disk)) == [Master(1, b"genuine")]


async def test_one_peer_can_keep_only_so_many_disks(site: Site, owner: Owner) -> None:
    partner = await site.admit(owner.seed, GIVEN)
    for number in range(limits.MAX_DISKS_PER_PEER):
        await partner.claim(Owner(signing_seed=bytes([number]) * 32).claim(1))
    with pytest.raises(Refused):
        await partner.claim(Owner(signing_seed=b"z" * 32).claim(1))


# --- masters (R14) ------------------------------------------------------------------------------------------------


async def test_the_two_newest_masters_are_kept(site: Site, owner: Owner) -> None:
    partner = await site.admit(owner.seed, GIVEN)
    assert list(await partner.masters(owner.disk)) == []
    counters = [make_version(1, 1), make_version(1, 2), make_version(65535, 0)]
    for counter in counters:
        await partner.put_master(owner.claim(1), Master(counter, b"%d" % counter))
    kept = {master.counter for master in await partner.masters(owner.disk)}
    assert kept == set(counters[1:])


async def test_a_master_is_accepted_again_and_never_an_older_one(site: Site, owner: Owner) -> None:
    partner = await site.admit(owner.seed, GIVEN)
    for _ in range(2):
        await partner.put_master(owner.claim(1), Master(5, b"master"))
    for counter, data in ((5, b"other"), (4, b"older"), (0, b"zero"), (6, b"x" * (limits.MAX_MASTER + 1))):
        with pytest.raises(PeerError):
            await partner.put_master(owner.claim(1), Master(counter, data))
    assert list(await partner.masters(owner.disk)) == [Master(5, b"master")]


async def test_masters_are_fenced_and_fence(site: Site, owner: Owner) -> None:
    partner = await site.admit(owner.seed, GIVEN)
    store = await partner.open(writing(owner, 1))
    await partner.put_master(owner.claim(2), Master(5, b"master"))
    with pytest.raises(Fenced):
        await partner.put_master(owner.claim(1), Master(6, b"zombie"))
    with pytest.raises(Fenced):
        await store.put(0, V1, b"zombie")


# --- agreements ---------------------------------------------------------------------------------------------------


async def test_the_inviter_signs_what_the_acceptor_proposed(site: Site, owner: Owner) -> None:
    invitation = await site.invite(GIVEN)
    proposal = propose(invitation, owner.seed)
    signature = await (await site.partner(owner.seed)).agree(proposal)
    agreements.verify(agreements.of_proposal(site.key, owner.key, proposal), site.key, signature)


async def test_the_same_acceptor_is_answered_the_same_again(site: Site, owner: Owner) -> None:
    proposal = propose(await site.invite(GIVEN), owner.seed)
    partner = await site.partner(owner.seed)
    assert await partner.agree(proposal) == await partner.agree(proposal)


async def test_a_used_code_is_of_no_use_to_anybody_else(site: Site, owner: Owner) -> None:
    invitation = await site.invite(GIVEN)
    await (await site.partner(owner.seed)).agree(propose(invitation, owner.seed))
    other = await site.partner(b"t" * 32)
    with pytest.raises(Refused, match="used"):
        await other.agree(propose(invitation, b"t" * 32))
    with pytest.raises(NotAuthentic):
        await other.agree(propose(invitation, owner.seed))


async def test_an_unknown_or_expired_code_is_refused(site: Site, owner: Owner) -> None:
    invitation = await site.invite(GIVEN)
    partner = await site.partner(owner.seed)
    with pytest.raises(Refused, match="not known"):
        await partner.agree(propose(replace(invitation, token=b"?" * 16), owner.seed))
    site.clock.now += limits.INVITATION_LIFETIME + 1
    partner = await site.partner(owner.seed)
    with pytest.raises(Refused, match="expired"):
        await partner.agree(propose(invitation, owner.seed))


async def test_other_sizes_than_invited_to_are_refused(site: Site, owner: Owner) -> None:
    invitation = await site.invite(2 << 30)
    partner = await site.partner(owner.seed)
    with pytest.raises(Refused, match=r"offers 1\.0 GiB, 2\.0 GiB needed"):
        await partner.agree(propose(replace(invitation, taken=1 << 30), owner.seed))
    with pytest.raises(Refused, match="invitation"):
        await partner.agree(propose(replace(invitation, given=3 << 30), owner.seed))
    await partner.agree(propose(invitation, owner.seed))


async def test_two_nodes_have_one_agreement(site: Site, owner: Owner) -> None:
    partner = await site.admit(owner.seed, GIVEN)
    with pytest.raises(Refused, match="already"):
        await partner.agree(propose(await site.invite(GIVEN), owner.seed))


async def test_a_name_that_is_none_is_refused(site: Site, owner: Owner) -> None:
    invitation = await site.invite(GIVEN)
    partner = await site.partner(owner.seed)
    with pytest.raises(PeerError):
        await partner.agree(propose(invitation, owner.seed, name="two words"))


# --- readers (R16) ------------------------------------------------------------------------------------------------

READER_SEED = b"r" * 32
READER = Identity.from_seed(READER_SEED).key
LATER = NOON + 1000


async def granted(site: Site, owner: Owner, until: int = LATER) -> Partner:
    """The host as the owner sees it, who has stored a block and let a reader in."""
    partner = await site.admit(owner.seed, GIVEN)
    store = await partner.open(writing(owner))
    await store.put(3, V1, b"content")
    await partner.put_master(owner.claim(1), Master(V1, b"master"))
    await partner.grant(Grant(owner.disk, STORE, READER, until))
    return partner


async def test_a_reader_reads_what_it_was_granted_and_changes_nothing(site: Site, owner: Owner) -> None:
    await granted(site, owner)
    partner = await site.partner(READER_SEED)
    store = await partner.open(Opening(owner.disk, STORE))
    assert await store.get(3) == StoredBlock(V1, b"content")
    assert list(await store.inventory(0, 10)) == [Slot(3, V1, 7)]
    assert list(await partner.masters(owner.disk)) == [Master(V1, b"master")]
    with pytest.raises(Refused):
        await store.put(4, V2, b"forged")
    with pytest.raises(Refused):
        await partner.open(writing(owner, 2, claimer=b"b" * 16))
    with pytest.raises(Refused):
        await partner.open(Opening(owner.disk, StoreId(b"n" * 16), None, SPEC))
    with pytest.raises(Refused):
        await partner.claim(owner.claim(2, b"b" * 16))
    with pytest.raises(Refused):
        await partner.put_master(owner.claim(2, b"b" * 16), Master(V2, b"forged"))
    with pytest.raises(Refused):
        await partner.grant(Grant(owner.disk, STORE, READER, LATER + 1))
    again = await (await site.partner(owner.seed)).open(writing(owner))
    assert again.opened.epoch == 1, "the reader has claimed nothing"


async def test_a_reader_reads_nothing_else(site: Site, owner: Owner) -> None:
    partner = await granted(site, owner)
    other = StoreId(b"o" * 16)
    await partner.open(writing(owner, store=other))
    reader = await site.partner(READER_SEED)
    for opening in (
        Opening(owner.disk, other),
        Opening(DiskId(b"x" * 16), STORE),
        Opening(owner.disk, StoreId(bytes(16))),
    ):
        with pytest.raises(Refused):
            await reader.open(opening)
    with pytest.raises(Refused):
        await reader.masters(DiskId(b"x" * 16))
    with pytest.raises(Refused):
        await (await site.partner(b"q" * 32)).open(Opening(owner.disk, STORE))


@pytest.mark.parametrize("ends", ["expires", "is taken back"])
async def test_a_grant_that_has_ended_refuses_also_what_is_open(site: Site, owner: Owner, ends: str) -> None:
    partner = await granted(site, owner)
    reader = await site.partner(READER_SEED)
    store = await reader.open(Opening(owner.disk, STORE))
    if ends == "expires":
        site.clock.now = LATER
        await site.partner(owner.seed)
    else:
        await partner.grant(Grant(owner.disk, STORE, READER, 0))
    with pytest.raises(Refused):
        await store.get(3)
    for again in (reader, await site.partner(READER_SEED)):
        with pytest.raises(Refused):
            await again.open(Opening(owner.disk, STORE))
        with pytest.raises(Refused):
            await again.masters(owner.disk)


async def test_only_an_owner_grants_and_only_so_much(site: Site, owner: Owner) -> None:
    partner = await granted(site, owner)
    stranger = Owner(seed=b"e" * 32, signing_seed=b"e" * 32)
    with pytest.raises(Refused):
        await (await site.admit(stranger.seed, GIVEN)).grant(Grant(owner.disk, STORE, READER, LATER))
    with pytest.raises(Refused):
        await partner.grant(Grant(owner.disk, StoreId(bytes(16)), READER, LATER))
    for number in range(1, limits.MAX_READERS):
        await partner.grant(Grant(owner.disk, STORE, NodeKey(bytes([number]) * 32), LATER))
    one_more = Grant(owner.disk, STORE, NodeKey(b"z" * 32), LATER)
    with pytest.raises(Refused):
        await partner.grant(one_more)
    await partner.grant(Grant(owner.disk, STORE, READER, 0))
    await partner.grant(one_more)


# --- an agreement that was forgotten ------------------------------------------------------------------------------


def renewal(site: Site, owner: Owner, given: int = GIVEN, seed: bytes | None = None) -> Renewal:
    """What an owner shows to a host that took over its own machine. seed: signs for the owner, if not its own."""
    agreement = Agreement(site.key, owner.key, given, given, NOON)
    mine, yours = (agreements.sign(each, agreement) for each in (seed or owner.seed, HOST_SEED))
    return Renewal(agreement.encode(), mine, yours, "owner", ADDRESSES)


async def test_an_agreement_that_both_signed_is_known_again(site: Site, owner: Owner) -> None:
    partner = await site.partner(owner.seed)
    with pytest.raises(NoAgreement):
        await partner.claim(owner.claim(1))
    await partner.renew(renewal(site, owner))
    await partner.renew(renewal(site, owner))
    with pytest.raises(StoreGone):
        await partner.open(replace(writing(owner), create=None))
    store = await partner.open(writing(owner))
    await store.put(3, V1, b"block")
    with pytest.raises(Refused):
        await partner.renew(renewal(site, owner, 2 * GIVEN))
    assert await store.get(3) == StoredBlock(V1, b"block")


async def test_an_agreement_that_somebody_did_not_sign_is_none(site: Site, owner: Owner) -> None:
    partner = await site.partner(owner.seed)
    good = renewal(site, owner)
    for bad in (
        renewal(site, owner, seed=b"x" * 32),
        replace(good, yours=good.mine),
        replace(good, text=good.text[:-1] + b"\1"),
    ):
        with pytest.raises(NotAuthentic):
            await partner.renew(bad)
    with pytest.raises(PeerError):
        await (await site.partner(b"q" * 32)).renew(good)
    with pytest.raises(NoAgreement):
        await partner.claim(owner.claim(1))


# --- an agreement that is over ------------------------------------------------------------------------------------


async def test_nothing_is_left_when_an_agreement_is_over_and_it_stays_over(site: Site, owner: Owner) -> None:
    partner = await site.partner(owner.seed)
    shown = renewal(site, owner)
    await partner.renew(shown)
    store = await partner.open(writing(owner))
    await store.put(3, V1, b"block")
    await partner.leave(shown.text)
    with pytest.raises(NoAgreement):
        await store.put(4, V1, b"block")
    await store.close()
    again = await site.partner(owner.seed)
    await again.leave(shown.text)
    with pytest.raises(NoAgreement):
        await again.claim(owner.claim(2))
    with pytest.raises(Refused, match="over"):
        await again.renew(shown)
    anew = await site.admit(owner.seed, 2 * GIVEN)
    assert list(await anew.masters(owner.disk)) == []
    with pytest.raises(StoreGone):
        await anew.open(replace(writing(owner), create=None))
    await anew.leave(shown.text)
    await anew.open(writing(owner))


async def test_who_leaves_takes_nothing_of_others_away(site: Site, owner: Owner) -> None:
    store = await new_store(site, owner)
    await store.put(3, V1, b"block")
    text = Agreement(site.key, owner.key, GIVEN, GIVEN, NOON).encode()
    stranger = await site.partner(b"q" * 32)
    await stranger.leave(text)
    other = await site.admit(b"r" * 32, GIVEN)
    await other.leave(text)
    partner = await site.partner(owner.seed)
    await partner.leave(text[:-1] + b"\1")
    assert await store.get(3) == StoredBlock(V1, b"block")
    await partner.claim(owner.claim(1))


# --- an agreement over another size -------------------------------------------------------------------------------


def amendment(site: Site, owner: Owner, size: int, start: int = NOON + 1, before: bytes | None = None) -> Amendment:
    """What an owner asks a host for. before: what it takes to be in force, if that is not what was agreed first."""
    first = Agreement(site.key, owner.key, GIVEN, GIVEN, NOON)
    new = replace(first, inviter_gives=size, acceptor_gives=size, start=start)
    return Amendment(before or first.encode(), new.encode(), agreements.sign(owner.seed, new))


def check_settled(site: Site, owner: Owner, settlement: Settlement, asked: Amendment) -> None:
    agreement = agreements.decode(settlement.text)
    agreements.verify(agreement, site.key, settlement.mine)
    agreements.verify(agreement, owner.key, settlement.yours)
    assert settlement.text == asked.text


async def test_an_amended_agreement_has_room_for_more(site: Site, owner: Owner) -> None:
    store = await new_store(site, owner)
    with pytest.raises(Refused):
        await store.resize(4 * SPEC.rows)
    partner = await site.partner(owner.seed)
    asked = amendment(site, owner, 2 * GIVEN)
    for _ in range(2):  # as after an answer that was lost
        check_settled(site, owner, await partner.amend(asked), asked)
    await store.resize(4 * SPEC.rows)
    await store.put(4 * SPEC.rows - 1, V1, b"last")


async def test_an_amended_agreement_has_room_for_less_and_never_for_less_than_is_in_use(
    site: Site, owner: Owner
) -> None:
    store = await new_store(site, owner)
    partner = await site.partner(owner.seed)
    with pytest.raises(Refused):
        await partner.amend(amendment(site, owner, GIVEN // 4))
    asked = amendment(site, owner, GIVEN // 2)
    check_settled(site, owner, await partner.amend(asked), asked)
    with pytest.raises(Refused):
        await store.resize(2 * SPEC.rows)


async def test_an_agreement_is_not_amended_without_the_owner(site: Site, owner: Owner) -> None:
    await new_store(site, owner)
    partner = await site.partner(owner.seed)
    with pytest.raises(Refused, match="not agreed"):
        await partner.amend(amendment(site, owner, CONSENTED + 1))


async def test_an_older_amendment_is_answered_by_what_is_in_force(site: Site, owner: Owner) -> None:
    await new_store(site, owner)
    partner = await site.partner(owner.seed)
    newest = amendment(site, owner, 2 * GIVEN, NOON + 5)
    for asked in (newest, amendment(site, owner, 3 * GIVEN), amendment(site, owner, 3 * GIVEN, NOON + 9)):
        check_settled(site, owner, await partner.amend(asked), newest)


async def test_an_amendment_that_is_forged_or_of_another_agreement_changes_nothing(site: Site, owner: Owner) -> None:
    await new_store(site, owner)
    partner = await site.partner(owner.seed)
    good, stranger = amendment(site, owner, 2 * GIVEN), Owner(seed=b"e" * 32)
    text = agreements.decode(good.text)

    def signed(agreement: Agreement) -> Amendment:
        return replace(good, text=agreement.encode(), signature=agreements.sign(owner.seed, agreement))

    for bad in (
        replace(good, signature=good.signature[:-1] + b"\1"),
        replace(good, text=replace(text, start=NOON + 2).encode()),
        replace(good, text=bytes(113)),
        replace(good, before=bytes(113)),
        amendment(site, stranger, 2 * GIVEN),
        signed(replace(text, acceptor=stranger.key)),
        signed(replace(text, inviter=owner.key, acceptor=site.key)),
        signed(replace(text, inviter_gives=GIVEN)),
        signed(replace(text, uptime="50%")),
    ):
        with pytest.raises(PeerError):
            await partner.amend(bad)
    with pytest.raises(NoAgreement):
        await (await site.partner(stranger.seed)).amend(amendment(site, stranger, 2 * GIVEN))
    check_settled(site, owner, await partner.amend(good), good)


# --- stores that grow ---------------------------------------------------------------------------------------------


async def test_a_store_that_is_given_back_is_gone_and_leaves_its_room(site: Site, owner: Owner) -> None:
    store = await new_store(site, owner)
    await store.put(1, V1, b"block")
    partner = await site.partner(owner.seed)
    reading = await partner.open(Opening(owner.disk, STORE))
    with pytest.raises(Refused):
        await reading.resize(0)
    await store.resize(0)
    assert store.opened.rows == 0
    await store.close()
    await reading.close()
    with pytest.raises(StoreGone):
        await partner.open(replace(writing(owner), create=None))
    again = await partner.open(writing(owner))
    assert (again.opened.rows, again.opened.digest) == (SPEC.rows, bytes(16))


async def test_a_store_grows_within_its_agreement_and_keeps_what_it_holds(site: Site, owner: Owner) -> None:
    store = await new_store(site, owner)
    await store.put(SPEC.rows - 1, V1, b"last")
    with pytest.raises(Refused):
        await store.put(SPEC.rows, V1, b"beyond")
    await store.resize(2 * SPEC.rows)
    await store.resize(2 * SPEC.rows)
    assert store.opened.rows == 2 * SPEC.rows
    await store.put(SPEC.rows, V1, b"first of the new")
    await store.put(2 * SPEC.rows - 1, V2, b"last of the new")
    with pytest.raises(Refused):
        await store.resize(4 * SPEC.rows)
    with pytest.raises(Refused):
        await store.put(2 * SPEC.rows, V1, b"beyond")
    partner = await site.partner(owner.seed)
    again = await partner.open(Opening(owner.disk, STORE))
    assert (again.opened.rows, again.opened.changes) == (2 * SPEC.rows, 3)
    assert [slot.row for slot in await again.inventory(0, 100)] == [SPEC.rows - 1, SPEC.rows, 2 * SPEC.rows - 1]
    assert await again.get(SPEC.rows - 1) == StoredBlock(V1, b"last")
    assert await again.get(2 * SPEC.rows - 1) == StoredBlock(V2, b"last of the new")
    with pytest.raises(Refused):
        await again.resize(3 * SPEC.rows)


async def test_what_lay_in_rows_that_are_cut_is_gone_and_does_not_come_back(site: Site, owner: Owner) -> None:
    store = await new_store(site, owner)
    for row in (3, 11, SPEC.rows - 1):
        await store.put(row, V2, b"block %d" % row)
    await store.resize(10)
    with pytest.raises(Refused):
        await store.put(10, V3, b"beyond")
    with pytest.raises(Refused):
        await store.get(11)
    partner = await site.partner(owner.seed)
    again = await partner.open(replace(writing(owner), create=None))
    assert again.opened.rows == 10
    assert again.opened.digest == digest.to_bytes(digest.slot_term(3, V2))
    assert list(await again.inventory(0, 100)) == [Slot(3, V2, 7)]
    await again.resize(2 * SPEC.rows)
    assert [await again.get(row) for row in (3, 11, SPEC.rows - 1)] == [StoredBlock(V2, b"block 3"), None, None]
    assert [slot.row for slot in await again.inventory(0, 100)] == [3]
    await again.put(11, V1, b"older than what lay there")
    await again.put(2 * SPEC.rows - 1, V1, b"last")
    assert (await (await partner.open(Opening(owner.disk, STORE))).get(11)) is not None


async def test_only_the_newest_writer_lets_a_store_grow(site: Site, owner: Owner) -> None:
    store = await new_store(site, owner)
    partner = await site.partner(owner.seed)
    await partner.claim(owner.claim(2, b"b" * 16))
    with pytest.raises(Fenced):
        await store.resize(2 * SPEC.rows)
