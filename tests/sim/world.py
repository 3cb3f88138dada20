"""A disk on k+m partners that keep what they acknowledged, whatever happens to them; and the time of day."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from random import Random

import trio

from coopfs.core.claims import CLAIMER, sign_claim
from coopfs.core.geometry import MIN_STRIPE, OVERHEAD, check_layout, shard_capacity
from coopfs.core.identity import Identity
from coopfs.core.keys import DiskKeys, keys_of, make_keys
from coopfs.core.master import Floor, LayoutPlaces, MasterBlock, StorePlace, open_master, seal_master
from coopfs.core.quorum import Quorum
from coopfs.core.seal import key_id_of
from coopfs.limits import BLOCK_ROUNDING, MIN_BLOCK_SIZE
from coopfs.local import keyfile
from coopfs.local.disk import create_disk
from coopfs.types import Layout, NodeKey, Opening, Place, StoreId, StoreSpec, make_version
from tests.memory import HostImage, MemoryHost
from tests.sim.hosted import FileHost, Writes
from tests.sim.network import SimNetwork, Site, Weather
from tests.sim.trace import Trace

START = 1_700_000_000.0  # seconds since 1970
EPOCH = 1
FILES = 0.3  # share of lives in which partners keep real files, and may lose power
ROWS = 160  # a life takes about 40 for its groups: head retirement does not exist yet
NS = 1_000_000_000

Seat = tuple[int, int]  # id of a layout, column


@dataclass(frozen=True, slots=True)
class Stripe:
    """What a state names. k: blocks that it takes."""

    place: Place
    k: int


@dataclass(frozen=True, slots=True)
class Geometry:
    k: int
    m: int

    def __str__(self) -> str:
        return f"{self.k}+{self.m}"

    @property
    def quorum(self) -> Quorum:
        return Quorum(self.k, self.m)

    @property
    def layout(self) -> Layout:
        """With the smallest blocks that can be."""
        return self.layout_beside(self.k)

    def layout_beside(self, least_k: int) -> Layout:
        """With the smallest blocks of which so few carry a stripe."""
        least = -(-MIN_STRIPE // least_k) + OVERHEAD
        layout = Layout(1, self.k, self.m, max(MIN_BLOCK_SIZE, -(-least // BLOCK_ROUNDING) * BLOCK_ROUNDING))
        check_layout(layout)
        return layout


@dataclass(frozen=True, slots=True)
class Changes:
    """What becomes of the disk itself, now and then. resizes: it gets more rows, or less; rekeys: new keys; moves:
    other layouts; copies: its home is copied, and both are used."""

    resizes: bool = False
    rekeys: bool = False
    moves: bool = False
    copies: bool = False


class World:
    """Everything but the owner's machine."""

    def __init__(self, geometry: Geometry, random: Random, directory: Path, late: trio.Nursery) -> None:
        self.geometry = geometry
        self.random = random
        self.directory = directory
        self.trace = Trace()
        self.damaged: set[int] = set()  # columns that lost blocks they had acknowledged, until all is repaired
        self.given = 0  # bytes that each partner gives, as the owner's node has noted it; 0: nothing was
        self.least_k = geometry.k  # that any layout of the disk is going to have
        self.cache: int | None = None  # stripes that the owner's cache has room for; None: for all
        self.scrub = 0.0  # seconds in which the owner looks at every block once; 0: never
        self.changes = Changes()
        self.rows = ROWS  # that the disk begins with
        self.compresses = False  # some of its owner's processes, and what they write shrinks
        self.images: dict[NodeKey, HostImage] = {}  # of all partners, as they were at some time
        self.skipped = 0.0  # seconds that went by while nothing happened
        self._looks = 0
        self.node = Identity.from_seed(random.randbytes(32)).key
        self.keys = make_keys(random.randbytes(32), random.randbytes(32))
        self.files = Writes() if random.random() < FILES else None  # of partners whose stores are files
        self.known: dict[NodeKey, Site] = {}  # all that ever were
        # who counts: the columns of the layout in use, in their order, then those of others
        self.sites = [self.join(number) for number in range(geometry.k + geometry.m)]
        self.kit: tuple[NodeKey, ...] = ()  # whom the newest kit names
        self.kit_secrets = self.keys.secrets  # the read keys that it has
        self._late = late
        self.network = self.way(Weather())

    def _host(self, seed: bytes) -> MemoryHost:
        return MemoryHost(seed) if self.files is None else FileHost(seed, self.directory, self.files)

    def join(self, number: int) -> Site:
        """A further partner, who gives what is needed for a column."""
        site = Site(number, self._host(self.random.randbytes(32)), len(self.known))
        site.host.given[self.node] = 1 << 40
        self.known[site.host.key] = site
        return site

    def seat(self, layouts: tuple[LayoutPlaces, ...], in_use: int) -> None:
        """Who holds the columns now. in_use: id of the layout that new stripes get."""
        if (layouts, in_use) == (self.layouts, self.places.layout.id):
            return
        before = [each.layout for each in (self.places, *self.layouts)]
        damaged = {self.sites[number] for number in self.damaged}
        self.layouts = layouts
        self.places = next(each for each in layouts if each.layout.id == in_use)
        self.geometry = Geometry(self.places.layout.k, self.places.layout.m)
        nodes = (store.node for each in (self.places, *layouts) for store in each.primaries)
        self.sites[:] = [self.known[node] for node in dict.fromkeys(nodes)]
        for number, site in enumerate(self.sites):
            site.number = number
        if before != [each.layout for each in (self.places, *self.layouts)]:  # others are counted otherwise
            self.damaged = {site.number for site in damaged.intersection(self.sites)}

    @property
    def used(self) -> list[LayoutPlaces]:
        """The layout in use, and those before it in which stripes may be left."""
        return [each for each in self.layouts if each.layout.id <= self.places.layout.id]

    def seats_of(self, number: int) -> list[Seat]:
        """The columns that a site holds in these."""
        node = self.sites[number].host.key
        stores = ((each.layout.id, column, s) for each in self.used for column, s in enumerate(each.primaries))
        return [(layout, column) for layout, column, store in stores if store.node == node]

    @property
    def others(self) -> list[Site]:
        """Those that do not count: whose stores are being filled, or were given up."""
        return [site for site in self.known.values() if site not in self.sites]

    def way(self, weather: Weather) -> SimNetwork:
        """The owner's network, or that of somebody with the kit."""
        return SimNetwork(self.known, self.node, weather, Random(self.random.random()), self.trace, self._late)

    def wall(self) -> float:
        """Seconds since 1970. It goes on by a microsecond with each look, so that all times differ."""
        self._looks += 1
        return START + self.skipped + trio.current_time() + self._looks * 1e-6

    def note(self, what: str) -> None:
        """Something that happens now."""
        self.trace.note(trio.current_time(), what)

    def vanished(self) -> list[Site]:
        """Partners that are gone for good and still have a column."""
        return [site for site in self.sites if site.vanished]

    def holds(self, store: StorePlace, row: int, version: int) -> bool:
        """Whether a store has this block, or had it before it was damaged."""
        site = self.known[store.node]
        if site.number in self.damaged:
            return True
        content = site.host.stores.get(store.store)
        stored = None if content is None else content.blocks.get(row)
        return stored is not None and stored.version == version

    def granted(self, store: StorePlace) -> tuple[int, bytes] | None:
        """Epoch and claimer of whoever may write to a store. None: it is not there."""
        host = self.known[store.node].host
        disk = host.known_disk(self.node, self.keys.disk)
        if disk is None or disk.claim is None or store.store not in host.stores:
            return None
        return disk.claim.epoch, disk.claim.claimer

    def blocks_at(self, sites: Iterable[Site], place: Place) -> int:
        """How many whole blocks of a stripe are left at those of these that may come back."""
        return sum(
            self.trace.is_whole(site.name(id_), place.row, store.blocks.get(place.row), place.version)
            for site in sites
            if not site.vanished
            for id_, store in site.host.stores.items()
        )

    def masters(self, column: int) -> list[MasterBlock]:
        """What a partner keeps, the newest first; but for what the newest kit has no key of, be it older or newer."""
        host = self.sites[column].host
        disk = host.known_disk(self.node, self.keys.disk)
        masters = [] if disk is None else disk.masters
        keys = self.kit_keys()
        oldest, newest = keys.secrets[0].id, keys.secrets[-1].id
        known = [stored for stored in masters if oldest <= key_id_of(stored.data) <= newest]
        blocks = [open_master(keys, stored, host.key) for stored in known]
        return sorted(blocks, key=lambda block: block.counter, reverse=True)

    async def format(self) -> Path:
        """A new disk. Returns its directory on the owner's machine."""
        layout = self.geometry.layout_beside(self.least_k)
        stores = [StoreId(self.random.randbytes(16)) for _ in self.sites]
        columns = tuple(
            (StorePlace(store, site.host.key, site.host.key, f"p{site.number}", ()),)
            for store, site in zip(stores, self.sites, strict=True)
        )
        self.places = places = LayoutPlaces(layout, self.rows, columns)
        self.layouts = (places,)
        claimer = self.random.randbytes(CLAIMER)
        self.kit = places.nodes
        block = MasterBlock(make_version(EPOCH, 1), claimer, self.keys.ages, (), (places,), Floor(0, 0))
        await self._prepare_partners(block, places)
        directory = self.directory / "home 0"
        directory.mkdir()
        keyfile.write(directory, self.keys)
        facts: dict[str, int | str | bytes] = {
            "epoch": EPOCH,
            "claimer": claimer,
            "k": layout.k,
            "shard_length": shard_capacity(layout.block_size),
            "master_counter": block.counter,
            "master": seal_master(self.keys, block, self.node).data,
        }
        create_disk(directory, lambda: int(self.wall() * NS), 0, 0, facts)
        return directory

    def kit_keys(self) -> DiskKeys:
        """As whoever has the newest kit begins."""
        assert self.keys.signing_seed is not None
        return keys_of(self.kit_secrets, self.keys.signing_seed)

    async def _prepare_partners(self, block: MasterBlock, places: LayoutPlaces) -> None:
        assert self.keys.signing_seed is not None
        claim = sign_claim(self.keys.signing_seed, EPOCH, block.claimer, int(START))
        spec = StoreSpec(places.rows, places.layout.block_size)
        for site, (store,) in zip(self.sites, places.columns, strict=True):
            partner = site.host.partner(self.node)
            session = await partner.open(Opening(self.keys.disk, store.store, claim, spec))
            await session.close()
            await partner.put_master(claim, seal_master(self.keys, block, store.node))
