"""One life of a disk: random operations and faults under one seed, the loss of the machine, and what comes back.

Faults never exceed what the design promises to survive (R7): see `_promised`. Beyond that, a restore must be honest:
either it brings what was held, or it says that something newer may have been.
"""

import contextlib
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random
from unittest.mock import patch

import trio

from coopfs.local.database import Database
from coopfs.local.disk import DATABASE
from coopfs.tasks import writer
from coopfs.types import Kind, StoredBlock
from tests.sim import schedule
from tests.sim.history import History
from tests.sim.hosted import FileHost
from tests.sim.invariants import check_cache, check_ledger, check_replay, have_masters
from tests.sim.network import Weather
from tests.sim.owner import Owner
from tests.sim.picture import difference
from tests.sim.platter import Platter
from tests.sim.restore import Refused, Restored, restore
from tests.sim.takeover import take_over
from tests.sim.trace import Violation
from tests.sim.work import Work
from tests.sim.world import Geometry, World

LONG_AWAY = 13 * 3600.0  # seconds: more than limits.AWAY_AFTER
PATIENCE = 900.0  # seconds in which whatever can happen must have happened
CALM = Weather(delay=0.05)
CACHES = (None, 4, 4, 5)  # stripes: a write may need three; all files together fill a dozen
STORMS = (CALM, Weather(delay=0.4, loss=0.01, late=0.5), Weather(delay=0.05, loss=0.05, late=0.5), Weather(delay=3.0))


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a life went. trace: the digest of all that happened; broken: the promise that was broken, or the error of the
    program that ended it; None: all went well."""

    seed: int
    geometry: Geometry
    trace: str
    counts: Counter[str]
    broken: BaseException | None

    def __str__(self) -> str:
        how = "fine" if self.broken is None else f"{type(self.broken).__name__}: {self.broken}"
        return f"COOPFS_SIM_SEED={self.seed} COOPFS_SIM_GEOMETRY={self.geometry}: {how}"


def live(seed: int, geometry: Geometry, directory: Path) -> Verdict:
    """A whole life. directory: empty, for the files of all machines."""
    random = Random(f"{seed} {geometry}")
    lives: list[Life] = []

    async def main() -> None:
        async with trio.open_nursery() as late:
            world = World(geometry, random, directory, late)
            world.cache = Random(f"cache {seed} {geometry}").choice(CACHES) if geometry.m else None
            life = Life(world)
            lives.append(life)
            await life.run()
            late.cancel_scope.cancel()

    broken = None
    try:
        schedule.run(random, main)
    except* Exception as group:  # noqa: BLE001  whatever ends a life is told with its seed
        broken = _first(group)
    trace = lives[0].world.trace
    return Verdict(seed, geometry, trace.digest, trace.counts, broken)


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """What is told of several: a broken promise rather than what followed from it."""
    leaves: list[BaseException] = []
    for each in group.exceptions:
        leaves.append(_first(each) if isinstance(each, BaseExceptionGroup) else each)
    return next((leaf for leaf in leaves if isinstance(leaf, Violation)), leaves[0])


class Life:
    """The owner's days, and what is left when the machine burns."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.random = world.random
        self.owner: Owner
        self._work = Work(Random(self.random.random()))
        self._zombie: Owner | None = None  # a machine that was only believed to be lost
        self._restores = 0

    async def run(self) -> None:
        """Everything between `format` and the last restore."""
        self.owner = Owner(self.world, Platter(await self.world.format()), History(), {})
        bound = self.random.choice([1, 2, 64])  # of groups sent and not held: small ones pile up here, and die unsent
        with patch.object(writer, "MAX_GROUPS_UNHELD", bound):
            async with trio.open_nursery() as self._machine:
                goes_on = True
                while goes_on:
                    with self._watched():
                        await self._live()
                        goes_on = self.random.random() < 0.3 and await self._lose_and_take_over()
                with self._watched():
                    await self._end_zombie()
                    if self.random.random() < 0.3:
                        await self._quiet()
                        await self.owner.burn()
                        await self._check_complete()
                    else:
                        await self.owner.burn()
                    await self._check_restores()

    @contextlib.contextmanager
    def _watched(self) -> Iterator[None]:
        """What is synced is seen, on this machine and at the partners."""
        files = contextlib.nullcontext() if self.world.files is None else self.world.files.watching()
        with self.owner.platter.watching(), files:
            yield

    async def _live(self) -> None:
        """The days of one machine, but for its last."""
        actions: dict[Callable[[], Awaitable[None]], float] = {
            self._operate: 40,
            self._pause: 12,
            self._read: 0 if self.world.cache is None else 8,
            self._burst: 3,
            self._sync: 3,
            self._close_group: 8,
            self._outage: 4,
            self._return: 4,
            self._cut: 2,
            self._slow: 1.5,
            self._change_weather: 2,
            self._long_away: 1.5,
            self._damage: 1.5,
            self._crash: 1.5,
            self._quiet: 1,
        }
        if self.world.files is not None:
            actions[self._power_of_a_partner] = 3
        await self._machine.start(self.owner.run)
        await self._hold_again()
        for _ in range(self.random.randint(20, 140)):
            (action,) = self.random.choices(list(actions), list(actions.values()))
            await action()

    async def _hold_again(self) -> None:
        """After a takeover: outages and crashes, then everybody is back, and the disk can be written."""
        while not self.owner.own.ready.is_set() and self.random.random() < 0.7:
            await self.random.choice([self._pause, self._outage, self._return, self._cut, self._slow, self._crash])()
        if not self.owner.own.ready.is_set():
            for site in self.world.sites:
                site.slowness = 1.0
                site.go(up=True)
            with self._not_stuck("the wait until all that was found is held again"):
                await self.owner.own.ready.wait()

    async def _lose_and_take_over(self) -> bool:
        """The machine burns, or is only believed to be lost; another one becomes the node. False: nothing is promised
        now, so it does not."""
        lost, newest, owner = self._promised(), self.owner.history.newest_held, self.owner
        if lost is None:
            return False
        await self._end_zombie()
        burns, owner.may_be_fenced = self.random.random() < 0.5, True
        if burns:
            await owner.burn()
        for site in self.world.sites:
            site.slowness = 1.0
            site.go(up=site.number not in lost)
        self._restores += 1
        directory = self.world.directory / f"takeover {self._restores}"
        with self._not_stuck("a takeover"):
            found = await take_over(self.world, directory)
        if isinstance(found, Refused) or found.taken.state.group < newest:
            why = found.why if isinstance(found, Refused) else f"group {found.taken.state.group}"
            raise Violation(f"P2: group {newest} was held, without {sorted(lost)} a takeover finds {why}")
        taken = found.taken
        self._note(f"takeover group {taken.state.group}" + (f", in doubt: {found.doubt}" if found.doubt else ""))
        if not burns and found.doubt is None:
            self._leave_zombie(owner, taken.state.group)
        elif not burns:
            await owner.burn()  # as the user is told to
        history = owner.history.up_to(taken.state.group)
        there = owner.content()
        content = {id_: there[id_] for id_ in _stripes(taken.directory)}
        self.owner = Owner(self.world, Platter(taken.directory), history, content)
        return True

    def _leave_zombie(self, owner: Owner, group: int) -> None:
        if owner.history.newest_held > group:
            raise Violation(
                f"R13: taken over at group {group}, silently, and group {owner.history.newest_held} is held"
            )
        owner.become_zombie()
        self._zombie = owner
        owner.in_background(partial(owner.haunt, Work(Random(self.random.random()))))

    async def _end_zombie(self) -> None:
        if self._zombie is not None:
            await self._zombie.burn()
            self._zombie = None

    # --- what happens ---------------------------------------------------------------------------------------------

    def _note(self, what: str) -> None:
        self.world.trace.note(trio.current_time(), what)

    async def _operate(self) -> None:
        with self._not_stuck("an operation"):
            for operation in self._work.next():
                await self.owner.apply(operation)
        self._note("operate")

    async def _read(self) -> None:
        """Any file as a whole. Where partners are away, or have just lost blocks, it may not be had."""
        with self._not_stuck("reading"):
            came = await self.owner.read(self.random)
        self._note("read" if came else "unreadable")

    async def _burst(self) -> None:
        """Groups that follow each other faster than they can be sent."""
        for _ in range(self.random.randint(2, 5)):
            await self._operate()
            self.owner.in_background(self.owner.close_group)
            await trio.sleep(self.random.uniform(0, 0.3))

    async def _pause(self) -> None:
        await trio.sleep(self.random.choice([0.01, 0.1, 1, 1, 5, 40]) * self.random.random())

    async def _sync(self) -> None:
        if self.random.random() < 0.3:
            self.owner.in_background(self.owner.sync)
            return
        with self._not_stuck("fsync"):
            await self.owner.sync()

    async def _close_group(self) -> None:
        if self.random.random() < 0.5:
            self.owner.in_background(self.owner.close_group)
            return
        with self._not_stuck("the end of a group"):
            await self.owner.close_group()

    async def _outage(self) -> None:
        site = self.random.choice(self.world.sites)
        self._note(f"outage {site.number}")
        site.go(up=False)

    async def _return(self) -> None:
        for site in self.world.sites:
            if self.random.random() < 0.7:
                if not site.up and self.random.random() < 0.4:
                    site.slowness = 100.0  # what it lacks will take its time
                site.go(up=True)

    async def _cut(self) -> None:
        self.random.choice(self.world.sites).cut()

    async def _slow(self) -> None:
        site = self.random.choice(self.world.sites)
        site.slowness = 1.0 if site.slowness > 1 else self.random.choice([10.0, 100.0])

    async def _change_weather(self) -> None:
        self.world.network.weather = self.random.choice(STORMS)

    async def _long_away(self) -> None:
        """Who is down now stays so for more than 12 hours."""
        self._note(f"away {[site.number for site in self.world.sites if not site.up]}")
        self.world.skipped += LONG_AWAY
        await trio.sleep(self.random.uniform(0, 15))

    async def _damage(self) -> None:
        """A partner loses blocks that it acknowledged. One at a time, and only if one may be lost."""
        if self.world.damaged or not self.world.geometry.quorum.f:
            return
        if self.owner.took_over and not (self.owner.own.ready.is_set() and self.owner.own.ledger.progress.margin()):
            return  # a machine that took over has no content of its own to repair from
        site = self.random.choice(self.world.sites)
        (store,) = site.host.stores.values()
        if not store.blocks:
            return
        for row in self.random.sample(sorted(store.blocks), self.random.randint(1, len(store.blocks))):
            del store.blocks[row]
            self.world.trace.lose(site.number, row)
        self.world.damaged.add(site.number)
        self._note(f"damage {site.number}")
        if self.random.random() < 0.7:
            site.cut()

    async def _power_of_a_partner(self) -> None:
        """It keeps what it acknowledged."""
        site = self.random.choice(self.world.sites)
        self._note(f"power {site.number}")
        site.cut()
        assert isinstance(site.host, FileHost)
        site.host.lose_power(self.random)
        if site.number in self.world.damaged:
            return
        for id_, row, version, acks in self.owner.own.log.places():
            if acks >> site.number & 1 and not self.world.holds(site.number, row, version):
                raise Violation(f"R15: partner {site.number} had acked stripe {id_}, and lost it with its power")

    async def _crash(self) -> None:
        power = self.random.random() < 0.5
        self._note("powerloss" if power else "kill")
        await self.owner.die(power)
        if self.random.random() < 0.2:
            self.world.skipped += LONG_AWAY
        await self._machine.start(self.owner.run)

    # --- when all is quiet ----------------------------------------------------------------------------------------

    async def _quiet(self) -> None:
        """Everybody comes back, and all invariants hold."""
        self.world.network.weather = CALM
        for site in self.world.sites:
            site.slowness = 1.0
            site.go(up=True)
            if site.number in self.world.damaged:
                site.cut()  # only a new session tells what is lost
        with self._not_stuck("the wait until all is complete"):
            metadata, ledger = self.owner.own.local.metadata, self.owner.own.ledger
            closed = None
            while closed != metadata.group or metadata.group_changed:  # retiring and compacting change the open group
                await self.owner.close_group()
                closed = metadata.group
                await trio.sleep(15)  # AWAY_CHECK, CLEANER_INTERVAL, reconnects
                await ledger.changed.wait_until(lambda: self._is_complete() and not ledger.progress.away)
            while not have_masters(self.owner):
                await trio.sleep(15)
        check_ledger(self.owner)
        await check_cache(self.owner)
        self.world.damaged.clear()
        self._note("quiet")
        found = await self._restore(range(len(self.world.sites)))
        if isinstance(found, Refused) or (found.doubt is not None and not self._spoiled()):
            raise Violation(f"everything is complete, and a restore says: {_brief(found)}")
        if found.group != self.owner.own.local.metadata.group - 1:
            raise Violation(f"everything is complete, and a restore finds group {found.group}")
        check_replay(self.owner, found.state.directory)

    def _spoiled(self) -> bool:
        """Whether power losses tore blocks that nobody needs any more: they cannot deny what they were."""
        return any(isinstance(site.host, FileHost) and site.host.spoiled() for site in self.world.sites)

    def _is_complete(self) -> bool:
        ledger = self.owner.own.ledger
        newest = self.owner.own.local.metadata.group - 1
        return not ledger.progress.pending and ledger.progress.barrier == newest

    def _not_stuck(self, what: str) -> "_Deadline":
        return _Deadline(what)

    # --- the end --------------------------------------------------------------------------------------------------

    async def _check_complete(self) -> None:
        """What is complete survives any m; with a_min answers nobody is asked."""
        quorum = self.world.geometry.quorum
        lost = set(self.random.sample(range(quorum.n), quorum.m))
        found = await self._restore(set(range(quorum.n)) - lost)
        newest = self.owner.history.newest_held
        if isinstance(found, Refused) or found.group < newest:
            raise Violation(f"P2: group {newest} was complete, without {sorted(lost)} there is {_brief(found)}")
        if quorum.n - len(lost) >= quorum.answers_needed and found.doubt is not None and not self._spoiled():
            raise Violation(f"R11: all was complete, {quorum.n - len(lost)} answers are enough, but {found.doubt}")

    async def _check_restores(self) -> None:
        quorum = self.world.geometry.quorum
        newest = self.owner.history.newest_held
        lost = self._promised()
        if newest and lost is not None:
            found = await self._restore(set(range(quorum.n)) - (lost - self._liars(lost)))
            if isinstance(found, Refused) or found.group < newest:
                raise Violation(f"P2: group {newest} was held, without {sorted(lost)} there is {_brief(found)}")
        if self.world.damaged:
            return  # who lost blocks says that they never were: more than the budget would be lost
        for _ in range(3):
            left = set(self.random.sample(range(quorum.n), self.random.randint(quorum.k, quorum.n)))
            await self._restore(left, self.random.choice([CALM, CALM, Weather(delay=0.5, loss=0.02)]))

    def _promised(self) -> set[int] | None:
        """Partners whose loss the newest held group must survive: those in A when it became held, or now, and some
        others (P2). None: nothing is promised at present."""
        quorum = self.world.geometry.quorum
        newest = self.owner.history.newest_held
        if not newest:
            return None
        away = self.owner.history.held[newest]
        others = max(quorum.f - away.bit_count(), quorum.f_min)
        progress = self.owner.own.ledger.progress
        if progress.barrier == newest and self.random.random() < 0.5:
            away, others = progress.away, progress.margin()
        gone = {column for column in range(quorum.n) if away >> column & 1}
        others -= len(self.world.damaged - gone)
        if others < 0:
            return None
        rest = sorted(set(range(quorum.n)) - gone - self.world.damaged)
        chosen = self.random.sample(rest, min(others, len(rest)))
        lost = {*chosen, *(column for column in sorted(gone | self.world.damaged) if self.random.random() < 0.7)}
        self._note(f"lost {sorted(lost)}")
        return lost

    def _liars(self, lost: set[int]) -> set[int]:
        """Who is lost may answer all the same, and claim blocks that it has let go."""
        liars = {column for column in sorted(lost) if self.random.random() < 0.3}
        for column in liars:
            (store,) = self.world.sites[column].host.stores.values()
            for row in self.random.sample(sorted(store.blocks), self.random.randint(0, len(store.blocks))):
                store.blocks[row] = StoredBlock(store.blocks[row].version, b"gone")
        self.world.damaged |= liars
        if liars:
            self._note(f"liars {sorted(liars)}")
        return liars

    async def _restore(self, left: "range | set[int]", weather: Weather = CALM) -> Restored | Refused:
        """P1 and R11 hold for every restore, whoever is left."""
        for site in self.world.sites:
            site.slowness = 1.0
            site.go(up=site.number in left)
        self._restores += 1
        directory = self.world.directory / f"restore {self._restores}"
        with self._not_stuck("a restore"):
            found = await restore(self.world, self.world.way(weather), directory)
        self._note(f"restore {sorted(left)} {_brief(found)}")
        if isinstance(found, Refused):
            return found
        expected = self.owner.history.end_of(found.group)
        if found.picture != expected:
            raise Violation(f"P1: group {found.group} as restored: {difference(found.picture, expected)}")
        floor = max(self.world.masters(number)[0].floor.version for number in left)
        if found.state.end.version < floor:
            raise Violation(f"R14: group {found.group} is older than the floor that {sorted(left)} know")
        newest = self.owner.history.newest_held
        if found.group < newest and found.doubt is None and not self.world.damaged:
            raise Violation(f"R11: group {newest} was held, {sorted(left)} silently give {found.group}")
        return found


def _stripes(directory: Path) -> list[int]:
    """The data stripes of a state: what a zombie goes on to write under ids of its own is something else."""
    database = Database(directory / DATABASE)
    try:
        return [id_ for (id_,) in database.read("SELECT id FROM stripes WHERE kind = ?", (Kind.DATA,))]
    finally:
        database.close()


def _brief(found: Restored | Refused) -> str:
    if isinstance(found, Refused):
        return f"refused: {found.why}"
    return f"group {found.group}" + (f", in doubt: {found.doubt}" if found.doubt else "")


class _Deadline:
    """What takes longer than PATIENCE is stuck."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._scope = trio.move_on_after(PATIENCE)

    def __enter__(self) -> None:
        self._scope.__enter__()

    def __exit__(self, *exception: object) -> None:
        self._scope.__exit__(*exception)  # type: ignore[arg-type]
        if self._scope.cancelled_caught:
            raise Violation(f"{self._what} is stuck")
