"""Every road into a full disk: what fills it, and what stands in the way meanwhile."""

import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from random import Random
from unittest.mock import patch

import trio

from coopfs.core.cache import charge_of
from coopfs.core.columnstate import GONE_FOR_GOOD
from coopfs.limits import DATABASE_GROWTH, LOCAL_HEADROOM, MIB, WAL_ROOM
from tests.sim import world
from tests.sim.filler import WAYS, Stuck
from tests.sim.fulldisk import Rounds
from tests.sim.life import cause_of
from tests.sim.owner import Owner
from tests.sim.world import Geometry
from tests.tasks.homes import play

ROWS = 100
REDUNDANT, BARE = Geometry(2, 1), Geometry(2, 0)
DAY = 86_400.0  # seconds
HALF_DAYS = 30  # a little more than limits.GRACE_PERIOD
CACHE = 12  # stripes: less than half of what the smallest disk takes
LOCAL_DISK = WAL_ROOM + DATABASE_GROWTH + LOCAL_HEADROOM + 64 * MIB  # bytes: all rows and their metadata fit twice


class EverybodyAway(Rounds):
    """Nobody comes before the end of a round: nothing becomes held, and no row free."""

    def hinder(self) -> None:
        self.go(up=False)

    async def rest(self) -> None:
        self.go(up=False)


class AwayForWeeks(EverybodyAway):
    """Meanwhile more than two weeks go by, as on a machine that lost its network: nobody is given up for it."""

    pause = 20.0

    def hinder(self) -> None:
        super().hinder()
        self.owner.in_background(self._let_time_pass)

    async def _let_time_pass(self) -> None:
        for _ in range(HALF_DAYS):
            await trio.sleep(2 * self.pause)
            self.owner.world.skipped += DAY / 2
            self.own.ledger.changed.notify()

    async def settle(self) -> None:
        lost = [column.place.name for column in self.own.columns.columns if column.state in GONE_FOR_GOOD]
        if lost:
            raise Stuck(f"{', '.join(lost)} cannot help it, and {'are' if len(lost) > 1 else 'is'} given up")
        await super().settle()


class FullPartner(Rounds):
    """The disk below a partner is full: nothing is stored there. With m = 1 nothing becomes held meanwhile."""

    def hinder(self) -> None:
        self.random.choice(self.owner.world.sites).full = True

    async def settle(self) -> None:
        for site in self.owner.world.sites:
            site.full = False
        await super().settle()


class SmallCache(Rounds):
    """Writers wait while what is not safe fills the cache; what frees never does."""

    def __init__(self, owner: Owner, random: Random) -> None:
        super().__init__(owner, random)
        one = charge_of(self.own.local.stage.capacity)
        self.own.local.cache.limit(CACHE * one, (CACHE - 1) * one)

    def check_wait(self) -> None:
        if all(site.up for site in self.owner.world.sites):
            super().check_wait()


class CappedWithoutRedundancy(Rounds):
    """What is here stays here: writers get ENOSPC at the cap, and rows are left."""

    def __init__(self, owner: Owner, random: Random) -> None:
        super().__init__(owner, random)
        self._cap = CACHE * charge_of(self.own.local.stage.capacity)
        self.own.local.cache.limit(self._cap, None)

    def size(self) -> int:
        return self._cap


class FullLocalDisk(Rounds):
    """Other programs take the local disk, to the last byte or nearly, while it is filled and emptied."""

    def __init__(self, owner: Owner, random: Random) -> None:
        super().__init__(owner, random)
        self.own.local.database.hold_room()
        self._others = owner.world.directory / "others"

    def hinder(self) -> None:
        self._leave()
        left = self.random.choice([0, 0, LOCAL_HEADROOM, LOCAL_HEADROOM + 4 * MIB, LOCAL_DISK])
        with self._others.open("wb", buffering=0) as file, suppress(OSError):
            while True:
                file.write(bytes(MIB))
        with self._others.open("r+b") as file:
            file.truncate(max(0, self._others.stat().st_size - left))

    async def rest(self) -> None:
        """The others stay."""
        await super().settle()

    async def settle(self) -> None:
        self._leave()
        await super().settle()

    def _leave(self) -> None:
        self._others.unlink(missing_ok=True)


class FullLocalDiskAlone(FullLocalDisk):
    """And nobody takes anything."""

    def hinder(self) -> None:
        super().hinder()
        self.go(up=False)

    async def rest(self) -> None:
        self.go(up=False)


@contextmanager
def small_file_system(directory: Path) -> Iterator[None]:
    """CalledProcessError: only root can mount one."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={LOCAL_DISK}", "tmpfs", directory], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", directory], check=True)


@dataclass(frozen=True, slots=True)
class Road:
    """way: of Filler. rounds: with what in the way."""

    way: str
    rounds: Callable[[Owner, Random], Rounds] = Rounds
    geometry: Geometry = REDUNDANT

    @property
    def needs_root(self) -> bool:
        return self.rounds in (FullLocalDisk, FullLocalDiskAlone)


ROADS = {way: Road(way) for way in WAYS} | {
    "away": Road("data", EverybodyAway),
    "away, mixed": Road("mixed", EverybodyAway),
    "away for weeks": Road("mixed", AwayForWeeks),
    "partner": Road("mixed", FullPartner),
    "cache": Road("mixed", SmallCache),
    "cap": Road("mixed", CappedWithoutRedundancy, BARE),
    "local": Road("data", FullLocalDisk),
    "local, tiny": Road("tiny", FullLocalDisk),
    "local, mixed": Road("mixed", FullLocalDisk),
    "local, away": Road("tiny", FullLocalDiskAlone),
}


@dataclass(frozen=True, slots=True)
class Course:
    """How the rounds went. counts: of rounds, operations and bytes; broken: "" if all went well."""

    counts: Counter[str]
    broken: str


def travel(road: Road, count: int, seed: int, directory: Path, rows: int = ROWS) -> Course:
    """So many rounds on a new disk of so many rows. directory: empty."""
    travelled: list[Rounds] = []

    async def main(owner: Owner) -> None:
        travelled.append(road.rounds(owner, Random(seed)))
        await travelled[0].run(road.way, count)

    broken = ""
    place = small_file_system(directory) if road.needs_root else nullcontext()
    with place, patch.object(world, "ROWS", rows):
        try:
            play(directory, road.geometry, main)
        except* Exception as group:  # noqa: BLE001  whatever ends it is told with its seed
            end = cause_of(group)
            broken = f"{type(end).__name__}: {end}"
    counts: Counter[str] = Counter()
    for rounds in travelled:
        counts.update(rounds=rounds.done, operations=rounds.operations, written=rounds.written)
    return Course(counts, broken)
