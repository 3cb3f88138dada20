"""One stripe on its way back: which columns were asked, what came, and whether that is enough."""

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Protocol

from coopfs.core.header import Header
from coopfs.core.master import PRIMARY, StorePlace
from coopfs.tasks.signal import Signal
from coopfs.types import BlockStore, Layout, Place


class Source(Protocol):
    """A column to read from; session None: not reached now. changed: opened or closed."""

    layout: Layout
    column: int  # of this layout
    place: StorePlace
    session: BlockStore | None
    changed: Signal


def turn(source: Source) -> tuple[bool, int]:
    """Of two stores of one column, the one that is primary comes first, and all primary ones before all others."""
    return source.place.role != PRIMARY, source.column


@dataclass(slots=True)
class Hunt:
    """layout: of the stripe, its id; tag: None: not known. k: shards that are enough; left: columns not asked yet, best
    first; under_way: that were asked and owe an answer; found: header -> column -> shard: who has the read key can
    forge a header around a true tag, so only blocks of equal headers are combined."""

    layout: int
    place: Place
    tag: bytes | None
    k: int
    left: list[Source]
    under_way: int
    found: defaultdict[Header, dict[int, memoryview]] = field(default_factory=lambda: defaultdict(dict))
    overwritten: set[int] = field(default_factory=set)  # columns whose slot holds something newer

    @property
    def caught(self) -> Header | None:
        """A header of which k shards are there."""
        return next((header for header, shards in self.found.items() if len(shards) >= self.k), None)

    @property
    def goes_on(self) -> bool:
        """Whether an answer is owed that may be needed."""
        return self.under_way > 0 and self.caught is None

    def take(self, source: Source, block: tuple[Header, memoryview] | None) -> bool:
        """An answer came, None: without a block. False: somebody else should be asked instead."""
        self.under_way -= 1
        if block is not None and self.tag in (None, block[0].tag):
            header, shard = block
            self.found[header][source.column] = shard
        return self.caught is not None or (block is not None and self.under_way > 0)
