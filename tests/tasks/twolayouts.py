"""A disk that is between two layouts, on partners in this process: some have stores of both."""

import os
from collections.abc import Collection, Iterable
from pathlib import Path
from random import Random

import trio

from coopfs.core.claims import sign_claim
from coopfs.core.identity import Identity
from coopfs.core.keys import make_keys
from coopfs.core.master import Floor, LayoutPlaces, MasterBlock, StorePlace, seal_master
from coopfs.core.records import Extent, Inode, Record
from coopfs.core.storeformat import StoreHeader
from coopfs.local.home import Home
from coopfs.local.hosted.hostrecords import save_master
from coopfs.local.hosted.storefile import StoreFile, write_header
from coopfs.local.nodedb import NodeDatabase
from coopfs.types import (
    Layout,
    NodeKey,
    Opening,
    Partner,
    Place,
    StoredBlock,
    StoreId,
    StoreSpec,
    Write,
    make_version,
)
from tests.memory import MemoryHost
from tests.writtenlog import ROOT, WrittenLog, file

KEYS = make_keys(b"r" * 32, b"s" * 32)
OWNER = Identity.from_seed(b"o" * 32).key
OLD = Layout(1, 2, 2, 64 * 1024)
NEW = Layout(2, 3, 2, 32 * 1024)
OLD_HOSTS = (0, 1, 2, 3)  # by column
NEW_HOSTS = (4, 2, 0, 5, 3)  # host 1 goes, 4 and 5 come, and the others have other columns
ROWS = {OLD.id: 40, NEW.id: 60}


class TwoLayouts(WrittenLog):
    """What the stores hold is what `keep` was given; stripes get the old layout until `turn`."""

    def __init__(self) -> None:
        self.hosts = [MemoryHost(bytes([number + 1]) * 32) for number in range(6)]
        for host in self.hosts:
            host.given[OWNER] = 1 << 40
        self.old = self._places(OLD, OLD_HOSTS)
        self.new = self._places(NEW, NEW_HOSTS)
        super().__init__(KEYS, self.old)

    def _places(self, layout: Layout, hosts: Collection[int]) -> LayoutPlaces:
        stores = []
        for number in hosts:
            key, store = self.hosts[number].key, StoreId(bytes([layout.id, number]) * 8)
            stores.append((StorePlace(store, key, key, f"p{number}", (f"192.0.2.{number}:7530",)),))
        return LayoutPlaces(layout, ROWS[layout.id], tuple(stores))

    async def make(self) -> None:
        """The stores, and a master block that names both layouts."""
        assert KEYS.signing_seed is not None
        claim = sign_claim(KEYS.signing_seed, 1, bytes(16), 0)
        for places in (self.old, self.new):
            spec = StoreSpec(places.rows, places.layout.block_size)
            for store in places.primaries:
                partner = self.host(store.node).partner(OWNER)
                await (await partner.open(Opening(KEYS.disk, store.store, claim, spec))).close()
        self.tell(1, self.old, self.new)

    def tell(self, count: int, *layouts: LayoutPlaces) -> None:
        """Every partner has a master block that names these, and no other."""
        block = MasterBlock(make_version(1, count), bytes(16), KEYS.ages, (), layouts, Floor(0, 0))
        for host in self.hosts:
            host.disk(OWNER, KEYS.disk).masters = [seal_master(KEYS, block, host.key)]

    def host(self, node: NodeKey) -> MemoryHost:
        return next(host for host in self.hosts if host.key == node)

    def keep(self, store: StorePlace, place: Place, box: bytes) -> None:
        self.host(store.node).stores[store.store].blocks[place.row] = StoredBlock(place.version, box)

    def turn(self) -> None:
        """From now on stripes get the new layout."""
        self.places = self.new

    def add(self, *names: bytes, columns: Iterable[int] | None = None) -> Place:
        """A group with a file of each name; columns: those that its content reaches. The place of its END."""
        few = None if columns is None else tuple(columns)
        stripes, inodes = [], []
        for name in names:
            ino = name[0]
            stripe, (extent,) = self.write([(ino, 0, content(name))], few)
            stripes.append(stripe)
            inodes.append(_file(ino, name, extent))
        first: list[Record] = [] if self.groups else [ROOT]
        return self.group([*first, *stripes, *inodes])


def _file(ino: int, name: bytes, extent: Extent) -> Inode:
    return file(ino, name, len(content(name)), extent)


def content(name: bytes) -> bytes:
    """Of the file of this name; longer than a block of either layout."""
    return Random(name).randbytes(70_000)


class Calm:
    """tasks.network.Network: who is up stays up."""

    def __init__(self, disk: TwoLayouts, lost: Collection[int] = ()) -> None:
        self._up = {host.key: host for number, host in enumerate(disk.hosts) if number not in lost}

    async def reach(self, node: NodeKey) -> Partner:
        if node not in self._up:
            await trio.sleep_forever()
        return self._up[node].partner(OWNER)

    async def try_reach(self, node: NodeKey) -> Partner | None:
        await trio.lowlevel.checkpoint()
        return self._up[node].partner(OWNER) if node in self._up else None

    async def gone(self, partner: Partner) -> None:
        await trio.sleep_forever()


def write_homes(disk: TwoLayouts, directory: Path) -> list[Path]:
    """What the partners hold, as homes: store files and master blocks. By host."""
    homes = [directory / f"p{number}" for number in range(len(disk.hosts))]
    for number, (path, host) in enumerate(zip(homes, disk.hosts, strict=True)):
        home = Home(path)
        home.create(bytes([number + 1]) * 32)
        database = NodeDatabase(home.node_database)
        for master in host.disk(OWNER, KEYS.disk).masters:
            save_master(database, OWNER, KEYS.disk, master)
        database.close()
        for id_, store in host.stores.items():
            file_of = home.hosted / id_.hex()
            file_of.parent.mkdir(exist_ok=True)
            header = StoreHeader(KEYS.disk, id_, store.rows, store.block_size)
            file_of.touch()
            os.truncate(file_of, header.size)
            write_header(file_of, header)
            with StoreFile(file_of) as opened:
                writes = [Write(row, block.version, block.data) for row, block in store.blocks.items()]
                assert not any(opened.put(writes))
    return homes
