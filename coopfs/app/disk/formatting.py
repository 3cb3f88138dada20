"""`coopfs format`: a new disk on k+m partners (design R12, R14).

1. choose the partners and the number of rows; draw keys, claimer and store ids;
2. save all of it here, marked as forming: a crash from now on is finished by formatting again with the same words;
3. at every partner: claim epoch 1, create the store, put the master block;
4. take the mark away.
"""

import os
import secrets
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import trio

from coopfs.core.claims import CLAIMER, sign_claim
from coopfs.core.geometry import check_layout, shard_capacity
from coopfs.core.keys import DiskKeys, make_keys
from coopfs.core.master import Floor, LayoutPlaces, MasterBlock, StorePlace, seal_master
from coopfs.core.storeformat import rows_within
from coopfs.errors import CoopfsError, PartnerAway, PeerError, UsageError
from coopfs.limits import FORMAT_TIMEOUT, MAX_ROWS, MIN_ROWS, RECONNECT_MIN
from coopfs.local import keyfile
from coopfs.local.disk import LocalDisk, create_disk
from coopfs.local.home import Home, sync_directory
from coopfs.local.mastercopy import read_master
from coopfs.local.partners import PartnerEntry
from coopfs.tasks.network import Network
from coopfs.types import Claim, Layout, NodeKey, Opening, StoreId, StoreSpec, make_version

Watch = Callable[[str, int, int], None]
FIRST_EPOCH = 1
FORMING = "forming"  # the name of the directory until every partner has its store and the master block


@dataclass(frozen=True, slots=True)
class Forming:
    """A disk of which partners may know nothing yet."""

    keys: DiskKeys
    block: MasterBlock
    claim: Claim


def choose(entries: Sequence[PartnerEntry], names: Sequence[str] | None, needed: int) -> list[PartnerEntry]:
    """The partners that get a column each, in order. UsageError: too few, too many, or an unknown name."""
    if names is None:
        chosen = list(entries)
        if len(chosen) > needed:
            raise UsageError(
                f"there are {len(chosen)} partners, {needed} are needed: name them with --partner NAME, once for each"
            )
    else:
        known = {entry.name: entry for entry in entries}
        for name in names:
            if name not in known:
                raise UsageError(f"no partner is called {name!r}: see `coopfs partner list`")
        chosen = [known[name] for name in dict.fromkeys(names)]
        if len(chosen) > needed:
            raise UsageError(f"{len(chosen)} partners are named, {needed} are needed")
    if len(chosen) < needed:
        raise UsageError(f"{needed} partners are needed, there are {len(chosen)}: invite or accept more")
    return chosen


def plan(layout: Layout, partners: Sequence[PartnerEntry]) -> LayoutPlaces:
    """Rows and stores of a new disk: as many rows as the least agreement holds. UsageError: that is too few."""
    check_layout(layout)
    least = min(partners, key=lambda entry: entry.taken)
    rows = min(rows_within(least.taken, layout.block_size), MAX_ROWS)
    if rows < MIN_ROWS:
        raise UsageError(
            f"{least.name} gives {least.taken} bytes, which is too little: at least {MIN_ROWS} rows of "
            f"{layout.block_size} bytes are needed"
        )
    columns = tuple(
        (StorePlace(StoreId(secrets.token_bytes(16)), p.key, p.key, p.name, p.addresses),) for p in partners
    )
    return LayoutPlaces(layout, rows, columns)


def draft(home: Home, node: NodeKey, places: LayoutPlaces) -> Path:
    """The directory of a disk that is being formed, with new keys; that of an earlier try, if it was for the same.

    UsageError: the earlier try was for another k, m, block size or other partners.
    """
    forming = home.disks / FORMING
    if forming.exists():
        begun = read_forming(forming, node).block.layouts[0]
        if begun.layout != places.layout or _nodes(begun) != _nodes(places):
            raise UsageError(
                f"a format with {begun.layout.k}+{begun.layout.m} was begun and not finished: repeat it with the same "
                f"words, or remove {forming} and make new agreements"
            )
        return forming
    new = home.disks / (FORMING + ".new")
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(mode=0o700)
    keys = make_keys(secrets.token_bytes(32), secrets.token_bytes(32))
    claimer = secrets.token_bytes(CLAIMER)
    block = MasterBlock(make_version(FIRST_EPOCH, 1), claimer, keys.ages, (), (places,), Floor(0, 0))
    keyfile.write(new, keys)
    layout = places.layout
    facts: dict[str, int | str | bytes] = {
        "epoch": FIRST_EPOCH,
        "claimer": claimer,
        "k": layout.k,
        "shard_length": shard_capacity(layout.block_size),
        "master_counter": block.counter,
        "master": seal_master(keys, block, node).data,
    }
    create_disk(new, time.time_ns, os.getuid(), os.getgid(), facts)
    new.rename(forming)
    sync_directory(home.disks)
    return forming


def begun(home: Home, node: NodeKey) -> LayoutPlaces | None:
    """What an earlier try that was cut short was for. StateError: damaged."""
    forming = home.disks / FORMING
    return read_forming(forming, node).block.layouts[0] if forming.exists() else None


def _nodes(places: LayoutPlaces) -> list[NodeKey]:
    return [store.node for column in places.columns for store in column]


def read_forming(directory: Path, node: NodeKey) -> Forming:
    """What was drawn for it. StateError: damaged."""
    keys = keyfile.read(directory)
    local = LocalDisk(directory, time.time_ns)
    try:
        block = read_master(local.database, keys, node)
    finally:
        local.close()
    assert keys.signing_seed is not None
    return Forming(keys, block, sign_claim(keys.signing_seed, FIRST_EPOCH, block.claimer, int(time.time())))


async def form(home: Home, directory: Path, node: NodeKey, network: Network, watch: Watch) -> Path:
    """Steps 3 and 4. Returns the directory of the finished disk. UsageError: a partner cannot be reached; PeerError:
    one refuses. Each question can be asked again, and is when a connection ends under it: of two that both sides
    opened at the same time one is closed."""
    forming = read_forming(directory, node)
    (places,) = forming.block.layouts
    waiting = {store.name: "no connection" for (store, *_) in places.columns}
    refusals: list[CoopfsError] = []

    async def reserve(store: StorePlace) -> None:
        partner = await network.reach(store.node)
        await partner.claim(forming.claim)
        spec = StoreSpec(places.rows, places.layout.block_size)
        session = await partner.open(Opening(forming.keys.disk, store.store, forming.claim, spec))
        await session.close()
        await partner.put_master(forming.claim, seal_master(forming.keys, forming.block, store.node))

    async def prepare(store: StorePlace) -> None:
        while store.name in waiting:
            try:
                await reserve(store)
            except PartnerAway as ended:
                waiting[store.name] = str(ended)
                await trio.sleep(RECONNECT_MIN)
            except PeerError as refusal:
                refusals.append(type(refusal)(f"{store.name}: {refusal}"))
                return
            else:
                del waiting[store.name]
        watch("reserve space at the partners", places.layout.n - len(waiting), places.layout.n)

    with trio.move_on_after(FORMAT_TIMEOUT):
        async with trio.open_nursery() as nursery:
            for store, *_ in places.columns:
                nursery.start_soon(prepare, store)
    if refusals:
        raise refusals[0]
    if waiting:
        who = ", ".join(f"{name} ({why})" for name, why in sorted(waiting.items()))
        raise UsageError(f"not reached within {FORMAT_TIMEOUT:.0f} s: {who}; try again")
    finished = home.disk(forming.keys.disk)
    directory.rename(finished)
    sync_directory(home.disks)
    return finished
