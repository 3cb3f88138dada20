"""The days of one machine: what programs do, and what goes wrong meanwhile.

Faults never exceed what the design promises to survive (R7).
"""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from math import exp, log

import trio

from coopfs.app.disk import changing
from coopfs.core.columnstate import Event
from coopfs.core.master import INCOMING, VAULT
from coopfs.core.space import fits
from coopfs.errors import UsageError
from coopfs.local.kitrecord import MadeKit
from coopfs.local.partners import PartnerEntry
from tests.sim.checks import Checks
from tests.sim.copies import Copies
from tests.sim.mishaps import Mishaps
from tests.sim.moving import Moving
from tests.sim.network import CALM, Weather
from tests.sim.owner import Owner
from tests.sim.patience import PATIENCE, not_stuck
from tests.sim.quiet import Quiet
from tests.sim.restores import Restores
from tests.sim.steps import Steps
from tests.sim.trace import Violation
from tests.sim.work import Work
from tests.sim.world import World

SHORTEST, LONGEST = 5, 140  # steps of one machine
MAX_ROWS = 200  # that the disk of a life has at the most: half of them are used
LONG_AWAY = 13 * 3600.0  # seconds: more than limits.AWAY_AFTER
CLOCK_OFF = 6 * 3600.0  # seconds that a clock is set forward or back at the most
STORMS = (CALM, Weather(delay=0.4, loss=0.01, late=0.5), Weather(delay=0.05, loss=0.05, late=0.5), Weather(delay=3.0))


class Days:
    """machine: the nursery in which its process runs; copies: of its home; None: nobody makes any."""

    def __init__(
        self,
        world: World,
        owner: Owner,
        restores: Restores,
        machine: trio.Nursery,
        steps: Steps,
        copies: Copies | None,
    ) -> None:
        self.world = world
        self.owner = owner
        self.random = world.random
        self._quiet = Quiet(world, owner, restores, self._follow_the_stubborn)
        self._moving = Moving(world, owner, self._quiet.is_moving)
        self._mishaps = Mishaps(world, owner, lambda: self._moving.is_under_way)
        self._checks = Checks(world, owner)
        self._copies = copies
        self._machine = machine
        self._steps = steps
        self._work = Work(world.random)

    async def begin(self) -> bool:
        """Start the process, and wait until the disk can be written. False: it never can, as some of what a takeover
        found is lost, and had never been held."""
        await self._machine.start(self.owner.run)
        await self._trouble_before_it_is_ready()
        if self.owner.own.ready.is_set() or await self._is_held_again():
            return True
        await self._follow_the_lost()  # it takes two that know, and one of them may never come back
        await self._follow_the_stubborn()
        if await self._is_held_again():
            return True
        own = self.owner.own
        if own.log.rehold > self.owner.history.newest_held and own.cleaner.unavailable:
            return False
        raise Violation("the wait until all that was found is held again is stuck")

    async def live(self) -> None:
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
            self._mishaps.damage: 1.5,
            self._mishaps.stall: 1,
            self._set_clock: 0.5,
            self._checks.begin: 1,
            self._crash: 1.5,
            self.quiet: 1,
        }
        actions[self._replace] = 3
        actions[self._export_kit] = 2
        actions[self._mishaps.empty] = 1
        if self.world.changes.resizes:
            actions[self._resize] = 4
        if self.world.changes.rekeys:
            actions[self._rekey] = 4
        if self.world.changes.moves:
            actions[self._move] = 10
        if self._copies is not None:
            actions[self._copy] = 2
        if self.world.files is None:
            actions[self._mishaps.image] = 2
            actions[self._mishaps.set_back] = 2
        else:
            actions[self._mishaps.power] = 3
        self._steps.begin()
        for _ in range(self._length()):
            if self._steps.begin():
                if self.world.changes.moves:
                    self.owner.seat()  # the master block may have changed, and the ledger not
                (action,) = self.random.choices(list(actions), list(actions.values()))
                await action()

    def _length(self) -> int:
        """Steps of this machine: as many have 5 to 12 as 60 to 140, as more goes wrong near a beginning and an end."""
        return int(exp(self.random.uniform(log(SHORTEST), log(LONGEST))))

    async def be_cut_short(self) -> None:
        """A machine that took over ends before anything is written there."""
        await self._machine.start(self.owner.run)
        await self._trouble_before_it_is_ready()
        self.world.note("cutshort")
        await self.owner.die(power=self.random.random() < 0.5)

    async def _trouble_before_it_is_ready(self) -> None:
        """After a takeover, while all that was found is made safe again."""
        while not self.owner.own.ready.is_set() and self.random.random() < 0.7:
            await self.random.choice([self._pause, self._outage, self._return, self._cut, self._slow, self._crash])()

    async def _is_held_again(self) -> bool:
        """All that was found, when everybody is back."""
        for site in self.world.known.values():
            site.recover()
            site.go(up=True)
        with trio.move_on_after(PATIENCE):
            await self.owner.own.ready.wait()
        return self.owner.own.ready.is_set()

    async def _operate(self) -> None:
        with not_stuck("an operation"):
            for operation in self._work.next():
                await self.owner.apply(operation)
        self.world.note("operate")

    async def _read(self) -> None:
        """Any file as a whole. Where partners are away, or have just lost blocks, it may not be had."""
        with not_stuck("reading"):
            came = await self.owner.read(self.random)
        self.world.note("read" if came else "unreadable")

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
        with not_stuck("fsync"):
            await self.owner.sync()

    async def _close_group(self) -> None:
        if self.random.random() < 0.5:
            self.owner.in_background(self.owner.close_group)
            return
        with not_stuck("the end of a group"):
            await self.owner.close_group()

    async def _outage(self) -> None:
        site = self.random.choice([*self.world.sites, *self.world.others])
        self.world.note(f"outage {site.number}")
        site.go(up=False)

    async def _return(self) -> None:
        for site in self.world.known.values():
            if self.random.random() < 0.7:
                if not site.up and self.random.random() < 0.4:
                    site.slowness = 100.0  # what it lacks will take its time
                site.go(up=True)

    async def _cut(self) -> None:
        site = self.random.choice(self.world.sites)
        self.world.note(f"cut {site.number}")
        site.cut()

    async def _slow(self) -> None:
        site = self.random.choice(self.world.sites)
        site.slowness = 1.0 if site.slowness > 1 else self.random.choice([10.0, 100.0])
        self.world.note(f"slow {site.number} {site.slowness}")

    async def _change_weather(self) -> None:
        weather = self.world.network.weather = self.random.choice(STORMS)
        self.world.note(f"weather {weather}")

    async def _long_away(self) -> None:
        """Who is down now stays so for more than 12 hours."""
        self.world.note(f"away {[site.number for site in self.world.sites if not site.up]}")
        self.world.skipped += LONG_AWAY
        self.owner.own.ledger.changed.notify()  # this machine slept, and looks around
        await trio.sleep(self.random.uniform(0, 15))

    async def _replace(self) -> None:
        """A partner is lost for good, or is to go; another one gets its column. Or nothing comes of who was to get it,
        and yet another one does."""
        own, places = self.owner.own, self.owner.own.places
        if self._moving.is_under_way:
            self._vanish()
            return
        if not own.ready.is_set():
            if self.world.vanished() and not places.spares:
                await self._give(self.world.vanished()[0].number)
            return
        if (incoming := places.spare(INCOMING)) is not None:
            if self.owner.is_promoting():
                return  # it has just become the column's, as the next master block says, or is about to
            self.world.known[incoming[1].node].vanished = True
            self.world.known[incoming[1].node].go(up=False)
            await self._give(incoming[0])
            return
        if places.spares:
            return
        site = self.random.choice(self.world.vanished() or self.world.sites)
        if self._may_vanish() and self.random.random() < 0.5:
            self.world.note(f"vanish {site.number}")
            site.vanished = True
            site.go(up=False)
            own.columns.happen(own.columns.columns[site.number], Event.LOST)
            if self.random.random() < 0.3:
                return
        await self._give(site.number)

    def _may_vanish(self) -> bool:
        progress = self.owner.own.ledger.progress
        return bool(not self.world.damaged and not self.world.vanished() and progress.barrier and progress.margin() > 0)

    def _vanish(self) -> None:
        """Perhaps a partner is lost for good while the disk moves."""
        site = self.random.choice(self.world.sites)
        if self._may_vanish() and self.random.random() < 0.5:
            self.world.note(f"vanish {site.number}")
            self._moving.lose(site)

    async def _move(self) -> None:
        with not_stuck("the beginning of a move"):
            await self._moving.begin()
        if self.random.random() < 0.5:
            await self._export_kit()

    async def _resize(self) -> None:
        """A few rows more are wanted than there are, or than were wanted before, or less."""
        growing, usage = self.owner.own.growing, self.owner.own.space.usage()
        rows = growing.rows + self.random.randint(-40, 30)
        if rows <= MAX_ROWS and (rows > growing.rows or fits(replace(usage, total=rows))):
            growing.want(rows)
            self.world.note(f"resize to {rows}")

    async def _copy(self) -> None:
        """Somebody keeps an image of the machine."""
        assert self._copies is not None
        await self._copies.keep(self.owner)

    async def _rekey(self) -> None:
        """A new key is wanted, and now and then all that is there is to be written again with it. The kit that it waits
        for is exported at once, later, or never."""
        with suppress(UsageError):  # one is under way
            everything = self.random.random() < 0.6
            self.world.note(f"key {self.owner.own.rekeying.begin(self.random.randbytes(32), everything)} {everything}")
        if self.random.random() < 0.6:
            await self._export_kit()

    async def _give(self, number: int) -> None:
        """A new partner gets a column. Who has it is declared lost if it is, maybe again after a crash."""
        self.world.note(f"replace {number}")
        if self.world.sites[number].vanished:
            self.owner.own.columns.happen(self.owner.own.columns.columns[number], Event.LOST)
        old, site = self.owner.own.columns.columns[number].place, self.world.join(number)
        entries = [PartnerEntry(f"p{s.life}", s.host.key, (), 0, 1 << 40) for s in (self.world.known[old.node], site)]
        with not_stuck("giving a column away"), suppress(UsageError):  # one that was emptied may get a store just now
            await changing.give(self.owner.own, *entries)
        if self.random.random() < 0.5:
            await self._export_kit()

    async def _forget_former(self, number: int) -> None:
        """Who has a column went right after it got it: whoever had it before is kept until that one is declared
        lost."""
        own = self.owner.own
        with not_stuck("forgetting who had a column"):
            while own.places.spare(VAULT) is not None:
                own.columns.happen(own.columns.columns[number], Event.LOST)
                await trio.sleep(1)

    async def _follow_the_stubborn(self) -> None:
        """Who keeps altered blocks in the place of others has somebody in its place: it is the only way while nothing
        can be written anew."""
        own = self.owner.own
        for column in own.columns.columns:
            if column.disputed and not own.places.spares:
                await self._give(column.number)
                await self._export_kit()

    def _kit_is_spent(self) -> bool:
        """Whether too few of those that the kit names have the newest master block (R14)."""
        own = self.owner.own
        return len(own.keeper.holders().intersection(self.world.kit)) <= own.ledger.seats.f

    async def _export_kit(self) -> None:
        own = self.owner.own
        self.world.kit = tuple(store.node for column in own.places.columns for store in column if store.role != VAULT)
        self.world.kit_secrets = own.keys.secrets
        own.hand_out(MadeKit(0, self.world.kit))
        own.rekeying.carry(self.world.kit_secrets[-1].id)
        await own.committer.commit()

    async def _set_clock(self) -> None:
        """The clock was wrong, or is from now on."""
        self.world.skipped += self.random.uniform(-CLOCK_OFF, CLOCK_OFF)
        self.world.note(f"clock {self.world.skipped:.0f}")

    async def _crash(self) -> None:
        power = self.random.random() < 0.5
        self.world.note("powerloss" if power else "kill")
        await self.owner.die(power)
        if self.random.random() < 0.2:
            self.world.skipped += LONG_AWAY
        await self._machine.start(self.owner.run)

    async def lose_too_many(self) -> None:
        """What must not happen, while this machine still runs."""
        await self._mishaps.lose_too_many()

    async def last_words(self) -> None:
        """What is written at the very end reaches some partners only."""
        if self.random.random() < 0.5:
            return
        up = self.random.sample(self.world.sites, self.random.randint(1, len(self.world.sites)))
        for site in self.world.sites:
            site.go(up=site in up)
        await self._operate()
        self.owner.in_background(self.owner.close_group)
        await trio.sleep(self.random.uniform(0, 10))
        self.world.note(f"lastwords {[site.number for site in up]}")

    async def quiet(self) -> None:
        """Everybody comes back, and all invariants hold."""
        self.world.network.weather = CALM
        for site in self.world.known.values():
            site.recover()
            site.go(up=True)
            if site.number in self.world.damaged and not self.world.scrub:
                site.cut()  # only a new session tells what is lost, or looking at all of it
        await self._checks.finish()
        if self._moving.is_under_way:
            await self._export_kit()
        await self._moving.finish()
        await self._follow_the_lost()
        if self.world.scrub:
            self._mishaps.rot()
            await trio.sleep(3 * self.world.scrub)  # a pass that was under way when the clock was set begins anew
        elif self.world.damaged:
            await self._look_closely()
        await self._quiet.check()

    async def _look_closely(self) -> None:
        """What was altered is found by who looks at it only."""
        with not_stuck("a deep check"):
            while self.owner.own.columns.reached < len(self.owner.own.columns.columns):
                await trio.sleep(15)
            await self.owner.own.checker.run(lambda step, done, total: None, deep=True, repair=True)

    async def _follow_the_lost(self) -> None:
        """Whoever never comes back has somebody in its place, and its owner exports the kit that status asks for."""
        places = self.owner.own.places
        if (incoming := places.spare(INCOMING)) is not None and self.world.known[incoming[1].node].vanished:
            await self._give(incoming[0])
        elif vanished := self.world.vanished():
            await self._forget_former(vanished[0].number)
            if not self.owner.own.places.spares:
                await self._give(vanished[0].number)
        if places.spares or self._kit_is_spent():
            await self._export_kit()
