"""The writer's end of a disk's log, stripe by stripe and made with the real code; where the blocks go is up to the
test. Nothing else of a writer is there: what is written is right because the test writes it so."""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from coopfs.core import coding, meta, records
from coopfs.core.keys import DiskKeys
from coopfs.core.master import LayoutPlaces, StorePlace
from coopfs.core.meta import FIRST_CHAIN, MetaHead, extend_chain
from coopfs.core.records import Extent, Inode, Record, Stripe
from coopfs.core.stripe import Fragment
from coopfs.types import Kind, Layout, Place, make_version
from tests.core.samples import coded_data

SECOND = 1_000_000_000
NOON = 1_700_000_000 * SECOND


class WrittenLog(ABC):
    """places: the layout that stripes get from now on. columns: those that a stripe reaches, None: all."""

    def __init__(self, keys: DiskKeys, places: LayoutPlaces) -> None:
        self.keys = keys
        self.places = places
        self.epoch, self.sequence = 1, 0
        self.rows: Counter[int] = Counter()  # given so far, by layout
        self.chain: list[tuple[Place, bytes]] = []  # place and tag of every meta stripe since the head
        self.tags = FIRST_CHAIN
        self.ends: list[bytes] = []  # their payloads
        self.groups = 0
        self.stripes = 0

    @abstractmethod
    def keep(self, store: StorePlace, place: Place, box: bytes) -> None:
        """The partner has this block from now on."""

    @property
    def layout(self) -> Layout:
        return self.places.layout

    def place(self) -> Place:
        """The next version, in the next row of the layout."""
        self.sequence += 1
        self.rows[self.layout.id] += 1
        return Place(make_version(self.epoch, self.sequence), self.rows[self.layout.id] - 1)

    def put(self, place: Place, kind: Kind, coded: coding.Coded, columns: Sequence[int] | None = None) -> None:
        head = coding.header_of(coded, kind, self.layout, Place(0, 0), self.groups)
        for j in range(self.layout.n) if columns is None else columns:
            store = self.places.primaries[j]
            box = coding.box(self.keys, store, j, place, head, bytearray(coded.blocks[j]))
            self.keep(store, place, bytes(box))

    def write(
        self, runs: list[tuple[int, int, bytes]], columns: Sequence[int] | None = None
    ) -> tuple[Stripe, list[Extent]]:
        """A data stripe of runs (ino, offset, content): its record, and the extents that name it."""
        fragments = [Fragment(ino, offset, len(content), 1, b"name") for ino, offset, content in runs]
        content = b"".join(content for _, _, content in runs)
        place = self.place()
        coded = coded_data(self.layout, self.keys.tag_key(place.version), content, fragments)
        self.stripes += 1
        id_ = self.stripes
        self.put(place, Kind.DATA, coded, columns)
        extents, at = [], 0
        for ino, offset, run in runs:
            extents.append(Extent(ino, offset, len(run), id_, at, len(run), len(run)))
            at += len(run)
        return Stripe(
            self.stripes, place, self.layout.id, len(content), coded.slices, coded.tag, self.groups + 1
        ), extents

    def head(self, place: Place, index: int) -> MetaHead:
        places = [each for each, _ in self.chain]
        first = places[0] if places else None
        previous = tuple(reversed(places[-16:]))
        return MetaHead(place, self.groups, index, first, previous, (), self.tags, NOON, 0, 0, 99, 99)

    def group(self, *stripes: Sequence[Record], columns: Sequence[int] | None = None) -> Place:
        """A group whose records are split into so many meta stripes. The place of its END."""
        self.groups += 1
        for index, some in enumerate(stripes):
            kind = Kind.END if index == len(stripes) - 1 else Kind.META
            place = self.place()
            payload = meta.encode(self.keys, kind, self.head(place, index), records.join(map(records.encode, some)))
            coded = coding.code_meta(self.layout, self.keys.tag_key(place.version), payload)
            self.put(place, kind, coded, columns)
            self.chain.append((place, coded.tag))
            if kind == Kind.END:
                self.ends.append(payload)
            self.tags = extend_chain(self.tags, coded.tag)
        return place


def file(ino: int, name: bytes | None, size: int, extent: Extent | None = None, **changed: Any) -> Inode:
    """A regular file in the root, unless said otherwise."""
    parent = None if name is None else 1
    inode = Inode(ino, 0o100640, 12, 34, 1, 0, size, NOON, NOON + ino, NOON, parent, name, None, extent)
    return replace(inode, **changed)


ROOT = file(1, None, 0, mode=0o040755, nlink=3)
