"""One life of a disk: random operations and faults under one seed, the loss of the machine, and what comes back.

1. `live` makes the world of a seed, and runs the life in it until it ends or a promise is broken.
2. The owner's days (days.py) end with the loss of the machine (here); another one may take the disk over, and go on.
3. At last an ending (restores.py) takes the machine, and partners too, and looks at what can be restored.
"""

import contextlib
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Iterator, Set
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random
from typing import Any
from unittest.mock import patch

import trio

from coopfs.core import cleaning
from coopfs.local.database import Database
from coopfs.local.disk import DATABASE
from coopfs.local.kitrecord import KitRecord, MadeKit
from coopfs.local.rekeymark import RekeyMark
from coopfs.tasks.recovery.takeover import Taken
from coopfs.tasks.writing import keeper, writer
from coopfs.types import Kind
from tests.sim import schedule
from tests.sim.copies import Copies, author
from tests.sim.days import Days
from tests.sim.history import History
from tests.sim.network import Site
from tests.sim.owner import Owner
from tests.sim.patience import not_stuck
from tests.sim.platter import Platter
from tests.sim.restore import Refused
from tests.sim.restores import Restores
from tests.sim.steps import Steps
from tests.sim.takeover import Found, take_over
from tests.sim.trace import Violation
from tests.sim.work import Work
from tests.sim.world import Changes, Geometry, World

LOG_SLACK = 3  # rows: so short a log that small lives retire heads and empty stripes
FLOOR_INTERVAL = 60  # seconds: lives last for minutes, and some for several half days
CACHES = (None, 4, 4, 5)  # stripes: a write may need three; all files together fill a dozen
COMPRESSES = 0.4  # of all lives
SCRUBS = 0.25  # of all lives
SCRUB = 120.0  # seconds of a pass: one or two while programs run
CHANGES = 0.125  # of all lives, in which the disk is resized; so many get new keys, move, and are copied each
NONE = Changes()
FEW = 60  # rows that a disk begins with which gets more, so that those are used
TAKEOVERS = 0.5  # of all machines, where one may be promised
BURNS_AGAIN = 0.2  # of all machines that took over: before all that they found is held again
ANEW = 3  # takeovers one after another, of what cannot be made safe again
Ending = Callable[[Restores, Owner], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a life went. steps: how many it had; trace: the digest of all that happened; counts: how often what happened;
    broken: the promise that was broken, or the error of the program that ended it; None: all went well."""

    steps: int
    trace: str
    counts: Counter[str]
    broken: BaseException | None

    def __str__(self) -> str:
        return "fine" if self.broken is None else f"{type(self.broken).__name__}: {self.broken}"


def drawn(seed: int, geometry: Geometry) -> Changes:
    """What a campaign has become of the disk of this life."""
    random = Random(f"changes {seed} {geometry}")
    resizes, rekeys, moves, copies = (random.random() < CHANGES for _ in range(4))
    return Changes(resizes, rekeys, moves and geometry.m > 0, copies)


def live(
    seed: int,
    geometry: Geometry,
    directory: Path,
    ending: Ending,
    without: Set[int] = frozenset(),
    changes: Changes = NONE,
) -> Verdict:
    """A whole life. directory: empty, for the files of all machines; without: steps that are left out."""
    name = f"{seed} {geometry}"
    random = Random(name)
    lives: list[Life] = []

    async def main() -> None:
        async with trio.open_nursery() as late:
            world = World(geometry, random, directory, late)
            world.cache = Random(f"cache {name}").choice(CACHES) if geometry.m else None
            world.compresses = Random(f"compress {name}").random() < COMPRESSES
            world.changes = changes
            if changes.resizes:
                world.rows = FEW
            world.least_k = max(1, geometry.k - changes.moves)
            world.scrub = SCRUB if Random(f"scrub {name}").random() < SCRUBS else 0.0
            copies = Copies(world, Random(f"copies {name}")) if changes.copies else None
            life = Life(world, Steps(random, name, without), ending, copies)
            lives.append(life)
            await life.run()
            late.cancel_scope.cancel()

    broken = None
    try:
        with (
            patch.object(cleaning, "LOG_SLACK", LOG_SLACK),
            patch.object(keeper, "FLOOR_INTERVAL", FLOOR_INTERVAL),
            _only_words_are_logged(),
        ):
            schedule.run(random, main)
    except* Exception as group:  # noqa: BLE001  whatever ends a life is told with its seed
        broken = cause_of(group)
    (life,) = lives
    return Verdict(life.steps.count, life.world.trace.digest, life.world.trace.counts, broken)


@contextlib.contextmanager
def _only_words_are_logged() -> Iterator[None]:
    """Whoever keeps what is logged, as pytest does until the end of a test, would keep a whole life with each error."""
    make = logging.getLogRecordFactory()

    def tell(*fields: Any, **more: Any) -> logging.LogRecord:
        record = make(*fields, **more)
        record.msg, record.args = record.getMessage(), ()
        return record

    logging.setLogRecordFactory(tell)
    try:
        yield
    finally:
        logging.setLogRecordFactory(make)


def cause_of(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """What is told of several: a broken promise rather than what followed from it."""
    leaves: list[BaseException] = []
    for each in group.exceptions:
        leaves.append(cause_of(each) if isinstance(each, BaseExceptionGroup) else each)
    return next((leaf for leaf in leaves if isinstance(leaf, Violation)), leaves[0])


class Life:
    """The owner's machines, one after another."""

    def __init__(self, world: World, steps: Steps, ending: Ending, copies: Copies | None) -> None:
        self.world = world
        self.steps = steps
        self._random = world.random
        self._restores = Restores(world)
        self._ending = ending
        self._copies = copies
        self._owner: Owner
        self._zombie: Owner | None = None  # a machine that was only believed to be lost
        self._formers: list[Owner] = []  # the newest last: what they wrote may still be found
        self._in_doubt = False  # whether one of them had few claims
        self._takeovers = 0

    async def run(self) -> None:
        """Everything between `format` and the last restore."""
        directory = await self.world.format()
        self._note_kit(directory)
        self._owner = Owner(self.world, Platter(directory), History(), {})
        bound = self._random.choice([1, 2, 64])  # of groups sent and not held: small ones pile up here, and die unsent
        with patch.object(writer, "MAX_GROUPS_UNHELD", bound):
            async with trio.open_nursery() as machine:
                goes_on = True
                while goes_on:
                    days = await self._begin(machine)
                    with self._watched():
                        await days.live()
                        goes_on = self.steps.begin() and (
                            await self._meet_a_copy(machine) or await self._lose_and_take_over()
                        )
                    while goes_on and self._random.random() < BURNS_AGAIN:
                        with self._watched():
                            await self._days(machine).be_cut_short()
                            await self._lose_and_take_over()
                self.steps.begin()
                with self._watched():
                    await self._end_zombie()
                    if self._random.random() < 0.3:
                        await days.quiet()
                        await self._owner.burn()
                        await self._restores.check_complete(self._owner)
                    else:
                        await days.last_words()
                        if self._ending is Restores.check_salvage and self._random.random() < 0.5:
                            await days.lose_too_many()
                        await self._owner.burn()
                    await self._ending(self._restores, self._owner)

    async def _begin(self, machine: trio.Nursery) -> Days:
        """The days of a machine that can be written to: what cannot be made safe again is given up for what can."""
        for _ in range(ANEW):
            days = self._days(machine)
            with self._watched():
                if await days.begin():
                    self._formers.clear()
                    self._in_doubt = False
                    return days
                await self._owner.burn()
                self.world.note("anew")
                self._follow(self._owner, (await self._take_over(self._owner, ())).taken)
        raise Violation(f"R13: {ANEW} takeovers found what cannot be made safe again")

    def _days(self, machine: trio.Nursery) -> Days:
        return Days(self.world, self._owner, self._restores, machine, self.steps, self._copies)

    @contextlib.contextmanager
    def _watched(self) -> Iterator[None]:
        """What is synced is seen, on this machine and at the partners."""
        files = contextlib.nullcontext() if self.world.files is None else self.world.files.watching()
        with self._owner.platter.watching(), files:
            yield

    async def _meet_a_copy(self, machine: trio.Nursery) -> bool:
        """Perhaps a copy of the home is started, and one of the two goes on, or a machine that takes over from both.
        False: not."""
        owner = self._owner
        if self._copies is None or not self._copies.may_begin(owner):
            return False
        await self._end_zombie()
        twin = await self._copies.start(owner, machine)
        left = await self._copies.run_beside(owner, twin)
        if left is not None:
            self._owner = left
            self.world.trace.protected = left.history.newest_versions
            return True
        taken = (await self._take_over(owner, ())).taken
        heir = author(taken.state.end.version, owner, twin)
        if heir is twin and owner.history.newest_held and author(owner.history.newest_named, twin, owner) is owner:
            raise Violation(f"P2: group {owner.history.newest_held} was held, and what is taken over is a copy's")
        self._follow(heir, taken)
        return True

    async def _lose_and_take_over(self) -> bool:
        """Perhaps the machine burns, or is only believed to be lost, and another one becomes the node. False: not, or
        nothing is promised now."""
        owner = self._owner
        if self._random.random() > TAKEOVERS:
            return False
        lost, newest = self._restores.promised(owner), owner.history.newest_held
        if lost is None:
            return False
        few = len(self.world.sites) - len(lost) < self.world.geometry.quorum.claims_needed
        if self._formers and (few or self._in_doubt):
            lost = set()  # who has the claim of a machine that was cut short would fence this one, as it is told
        await self._end_zombie()
        burns, owner.may_be_fenced = not owner.is_running or self._random.random() < 0.5, True
        if burns:
            await owner.burn()
        if owner.history.newest_held != newest:
            lost = set()  # another A has come meanwhile, with which this became held
        # A state that was never held may be found by a lie, and not be held again: then it takes another takeover.
        lying = self._restores.begin_lies(lost, owner.history.newest_named)
        liars = [self.world.sites[number] for number in sorted(lying)]
        found = await self._take_over(owner, lost, liars)
        self._restores.end_lies(liars)
        if not burns and found.doubt is None:
            self._leave_zombie(owner, found.taken.state.group)
        elif not burns:
            await owner.burn()  # as the user is told to
        self._follow(owner, found.taken)
        return True

    async def _take_over(self, owner: Owner, lost: Collection[int], liars: Collection[Site] = ()) -> Found:
        """Another machine does, without these partners, but for those that lie. Violation: it finds no state that is
        held, or an older one."""
        newest = owner.history.newest_held
        for site in self.world.known.values():
            site.recover()
            site.go(up=site in liars or site not in self.world.sites or site.number not in lost)
        self._takeovers += 1
        with not_stuck("a takeover"):
            found = await take_over(self.world, self.world.directory / f"takeover {self._takeovers}")
        if isinstance(found, Refused) or found.taken.state.group < newest:
            why = found.why if isinstance(found, Refused) else f"group {found.taken.state.group}"
            raise Violation(f"P2: group {newest} was held, without {sorted(lost)} a takeover finds {why}")
        self._in_doubt = self._in_doubt or found.doubt is not None
        doubt = f", in doubt: {found.doubt}" if found.doubt else ""
        self.world.note(f"takeover group {found.taken.state.group}{doubt}")
        return found

    def _follow(self, owner: Owner, taken: Taken) -> None:
        """The machine that took over goes on from what this one had written, or one before it, if this one was never
        ready."""
        self._note_kit(taken.directory)
        heir = author(taken.state.end.version, owner, *reversed(self._formers))
        if heir is not owner and owner.own.ready.is_set():
            raise Violation(f"R13: group {taken.state.group} of a machine that was taken over before is taken over")
        self._formers.append(owner)
        owner, there = heir, {}
        for former in self._formers[: self._formers.index(heir) + 1]:
            there |= former.content()  # what had died in a state that was found, and lives in an older one, it had not
        content = {id_: there[id_] for id_ in _stripes(taken.directory)}
        history = owner.history.up_to(taken.state.group)
        # What became held after the state that was found may have been given up; and where that is newer than what was
        # known to be held, the old machine may have learned since that it is, and given up what had died until then.
        self.world.trace.protected = history.newest_versions & _alive(taken.directory)
        self._owner = Owner(self.world, Platter(taken.directory), history, content)

    def _note_kit(self, directory: Path) -> None:
        """The owner of this machine has the kit that was written last. Durable, before anything is done with it."""
        database = Database(directory / DATABASE)
        KitRecord(database).note(MadeKit(0, self.world.kit))
        RekeyMark(database).carry(self.world.kit_secrets[-1].id)
        database.commit()
        database.sync_wal()
        database.close()

    def _leave_zombie(self, owner: Owner, group: int) -> None:
        if owner.history.newest_held > group:
            raise Violation(
                f"R13: taken over at group {group}, silently, and group {owner.history.newest_held} is held"
            )
        owner.become_zombie()
        self._zombie = owner
        random = Random(self._random.random())
        owner.in_background(partial(owner.haunt, Work(random), random))

    async def _end_zombie(self) -> None:
        if self._zombie is not None:
            await self._zombie.burn()
            self._zombie = None


def _stripes(directory: Path) -> list[int]:
    """The data stripes of a state: what a zombie goes on to write under ids of its own is something else."""
    database = Database(directory / DATABASE)
    try:
        return [id_ for (id_,) in database.read("SELECT id FROM stripes WHERE kind = ?", (Kind.DATA,))]
    finally:
        database.close()


def _alive(directory: Path) -> frozenset[int]:
    """The versions of all that a state needs."""
    database = Database(directory / DATABASE)
    try:
        return frozenset(version for (version,) in database.read("SELECT version FROM stripes WHERE died IS NULL"))
    finally:
        database.close()
