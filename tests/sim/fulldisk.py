"""A disk that is filled, emptied and filled again: deleting always works, it is never stuck (P4, R9).

A round fills the disk until it says ENOSPC, deletes some of it in some order, fills it again and deletes all. Whoever
hinders it (here: partners come and go) has gone at the end, and then everything must have come back.
"""

from random import Random

import trio

from coopfs.errors import OutOfSpace
from tests.sim.filler import PER_SECOND, Filler, Stuck, WaitsForRoom
from tests.sim.owner import Owner

PATIENCE = 3600.0  # seconds in which everything that was deleted must have come back
GRAIN = 400_000  # bytes: four rows, of one file's inode and the group's last stripes
READS = 5  # files read after each wait


class Rounds:
    """One disk, filled and emptied again and again. Partners come and go. pause: seconds between two operations."""

    pause = 1 / PER_SECOND

    def __init__(self, owner: Owner, random: Random) -> None:
        self.owner = owner
        self.random = random
        self.own = owner.own
        owner.be_unseen()
        self.done = self.operations = self.written = 0

    async def run(self, way: str, count: int) -> None:
        """Stuck: a promise was broken."""
        await self.settle()
        empty = self.own.space.figures()[1]
        if empty < 0.9 * self.size():
            raise Stuck(f"an empty disk of {self.size()} bytes has {empty} free")
        for _ in range(count):
            filler = Filler(self.owner, Random(self.random.random()), self.pause)
            await self.round(filler, way)
            self.done += 1
            self.operations += filler.operations
            self.written += filler.written
            if self.own.space.figures()[1] < 0.9 * empty:
                raise Stuck(f"not all that was deleted came back: {self.describe()}, first {empty} were free")

    async def round(self, filler: Filler, way: str) -> None:
        """Fill, delete some of it, fill again, and delete all."""
        self.hinder()
        await self._fill(filler, way)
        await self._stay_full(filler)
        self.hinder()
        await filler.delete(self.random.choice([0, 0.2, 0.5, 0.9]))
        await self.rest()
        if self.random.random() < 0.5:
            await self._check_figures(filler)
        await self._fill(filler, way)
        self.hinder()
        await filler.delete(0)
        await self.settle()

    async def _fill(self, filler: Filler, way: str) -> None:
        try:
            await filler.fill(way)
        except WaitsForRoom:
            self.check_wait()

    async def _stay_full(self, filler: Filler) -> None:
        """What may be done on a full disk."""
        if self.random.random() < 0.3:
            await filler.shorten()
        if self.random.random() < 0.3:
            await filler.touch()
        if self.random.random() < 0.3:
            await self.rest()

    async def _check_figures(self, filler: Filler) -> None:
        """What statvfs says is free can be written: of content, but for what a few files and their groups cost."""
        free, before = self.own.space.figures()[1], filler.written
        try:
            if free > GRAIN:
                await filler.grow(free - GRAIN)
        except WaitsForRoom:
            self.check_wait()
        except OutOfSpace:
            written = filler.written - before
            raise Stuck(f"{free} bytes were free, {written} could be written: {self.describe()}") from None

    # --- what differs from road to road -----------------------------------------------------------------------------

    def size(self) -> int:
        """Bytes of content that the disk can hold in all."""
        return self.own.space.figures()[0]

    def hinder(self) -> None:
        """Who is away from now on."""
        chance = self.random.random()
        self.go(up=chance < 0.5)
        if 0.5 <= chance < 0.75:
            for site in self.owner.world.sites[1:]:
                site.go(up=True)

    async def rest(self) -> None:
        """A pause in the middle of a round."""
        await self.settle()

    def check_wait(self) -> None:
        """A writer has waited for room until it lost patience."""
        raise Stuck(f"a writer waits, and the cache has no cap: {self.describe()}")

    # --- the end of a round -----------------------------------------------------------------------------------------

    def go(self, up: bool) -> None:
        """All partners come, or go away."""
        for site in self.owner.world.sites:
            site.go(up=up)

    async def settle(self) -> None:
        """Everybody comes back; until all is held and nothing is cleaned any more. What is there can be read then."""
        self.go(up=True)
        metadata, ledger = self.own.local.metadata, self.own.ledger
        closed = None
        with trio.move_on_after(PATIENCE) as patience:
            while closed != metadata.group or metadata.group_changed:
                await self.own.committer.close_group()
                closed = metadata.group
                await trio.sleep(60)
                await ledger.changed.wait_until(lambda: ledger.progress.barrier >= metadata.group - 1)
        if patience.cancelled_caught:
            raise Stuck(f"not all is held after {PATIENCE:.0f} s: {self.describe()}")
        await self._read()
        self._forget()

    async def _read(self) -> None:
        for _ in range(READS):
            if not await self.owner.read(self.random):
                raise Stuck(f"a file cannot be read: {self.describe()}")

    def _forget(self) -> None:
        """What the simulation remembers of stripes that are gone, of which a hundred rounds make many."""
        evicted, stripes = self.owner.side.evicted, self.own.local.metadata.stripes
        for stripe in [stripe for stripe in evicted if not stripes.known(stripe)]:
            del evicted[stripe]
        named = self.owner.history.named
        for group in sorted(named)[:-1]:
            del named[group]

    def describe(self) -> str:
        log, ledger = self.own.log, self.own.ledger
        return (
            f"{ledger.rows.free} of {ledger.rows.total} rows free, {log.unsealed()} unsealed, {log.live_data()} data, "
            f"{log.chain.length()} metas, group {self.own.local.metadata.group}, sealed {ledger.progress.sealed}, "
            f"held {ledger.progress.barrier}, of {self.own.space.figures()} bytes free"
        )
