"""A month of a workstation whose disk is 70 % full: what its rows and its writes cost over what is in them (R9).

A day is a dozen bursts of work. In each, documents are saved (a new file, renamed over the old one), a mailbox is
written here and there, temporary files come, and those of the burst before go; now and then something large comes.
Then old files go, single ones and runs that came together, until the disk is as full as before. Hours in which nothing
happens are left out.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from unittest.mock import patch

import trio

from coopfs.core.space import stripe_payload
from coopfs.core.units import plain
from coopfs.fs.callers import ROOT
from coopfs.limits import KIB, MIB, ROOT_INO
from coopfs.local.nodes import Node
from tests.sim import world
from tests.sim.filler import OLD, PER_SECOND
from tests.sim.owner import Owner
from tests.sim.world import Geometry
from tests.tasks.homes import play

ROWS = 1200
FULL = 0.7
BURSTS = 12  # a day
PAUSE = 60.0  # seconds after each: its group is closed and held
MEDIAN = 4 * KIB  # bytes of a file; they are distributed log-normally, so that the mean is five times that
SPREAD = 1.8
LARGEST = 1 * MIB
SAVES, SCRAPS, PAGES = 6, 20, 10  # in a burst
PAGE = 4 * KIB
REQUEST = 128 * KIB


@dataclass(frozen=True, slots=True)
class Amplification:
    """space: rows taken, over what the content alone would fill, at the end of each day; written: bytes that partners
    stored, of which redundancy is not counted, over bytes that programs wrote."""

    space: Sequence[float]
    written: float


class Workstation:
    """Its files: cold ones in the order in which they came, hot ones that are saved again and again."""

    def __init__(self, owner: Owner, random: Random) -> None:
        self.own = owner.own
        owner.be_unseen()
        self._counts = owner.world.trace.counts
        self._random = random
        self._disk = self.own.disk
        self._names = 0
        self._cold: list[bytes] = []
        self._hot: list[bytes] = []
        self._scraps: list[bytes] = []
        self.written = 0

    async def live(self, days: int) -> Amplification:
        """Fill the disk, and go on for so many days."""
        self._hot = [await self._create(self._size()) for _ in range(100)]
        mailbox = self._disk.tree.lookup(ROOT_INO, await self._create(LARGEST))
        while self._is_below():
            self._cold.append(await self._create(self._size()))
        await self._pause()
        self.written, before = 0, self._counts["put_bytes"]
        space = []
        for _ in range(days):
            for _ in range(BURSTS):
                await self._burst(mailbox)
                await self._pause()
            space.append(self._space())
        layout = self.own.ledger.layout
        stored = (self._counts["put_bytes"] - before) * layout.k / (layout.k + layout.m)
        return Amplification(space, stored / self.written)

    async def _burst(self, mailbox: Node) -> None:
        random = self._random
        for _ in range(random.randint(0, 2 * SAVES)):
            name = random.choice(self._hot[: random.randint(1, len(self._hot))])
            self._disk.renaming.rename(ROOT_INO, await self._create(self._size()), ROOT_INO, name, 0)
        for _ in range(random.randint(0, 2 * PAGES)):
            await self._write(mailbox, random.randrange(LARGEST // PAGE) * PAGE, PAGE)
        self._delete(self._scraps)
        self._scraps = [await self._create(random.randint(1, PAGE)) for _ in range(random.randint(0, 2 * SCRAPS))]
        if random.random() < 1 / 3:
            self._cold.append(await self._create(random.randint(LARGEST // 8, LARGEST)))
        while not self._is_below():
            first = random.randrange(len(self._cold))
            last = first + random.choice([1, 1, 1, 20])
            self._delete(self._cold[first:last])
            del self._cold[first:last]

    def _size(self) -> int:
        return min(LARGEST, int(self._random.lognormvariate(0, SPREAD) * MEDIAN))

    async def _create(self, size: int) -> bytes:
        self._names += 1
        name = b"%d" % self._names
        node = self._disk.tree.create(ROOT_INO, name, OLD, 0, 0)
        for offset in range(0, size, REQUEST):
            await self._write(node, offset, min(REQUEST, size - offset))
        return name

    async def _write(self, node: Node, offset: int, size: int) -> None:
        await self.own.committer.until_may_append(size)
        handle = self._disk.open(node, 1, ROOT)
        self._disk.files.write(self._disk.handles.get(handle), offset, [plain(self._random.randbytes(size))])
        self._disk.release(handle)
        self.written += size
        self.own.committer.hurry()
        await trio.sleep(1 / PER_SECOND)

    def _delete(self, names: Sequence[bytes]) -> None:
        for name in names:
            self._disk.tree.unlink(ROOT_INO, name)

    async def _pause(self) -> None:
        await trio.sleep(PAUSE)

    def _is_below(self) -> bool:
        return self.own.local.metadata.totals.content < FULL * self.own.space.figures()[0]

    def _space(self) -> float:
        rows, layout = self.own.ledger.rows, self.own.ledger.layout
        return (rows.total - rows.free) * stripe_payload(layout) / self.own.local.metadata.totals.content


def month(days: int, seed: int, directory: Path, rows: int = ROWS) -> Amplification:
    """So many days on a disk of so many rows. directory: empty."""
    found: list[Amplification] = []

    async def main(owner: Owner) -> None:
        found.append(await Workstation(owner, Random(seed)).live(days))

    with patch.object(world, "ROWS", rows):
        play(directory, Geometry(2, 1), main)
    return found[0]
