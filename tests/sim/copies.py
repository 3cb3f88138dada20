"""A home that is copied, as by somebody who clones the machine or restores an image of it: both run at the same time,
for a while, and the same partners answer to both (R12)."""

from random import Random

import trio

from coopfs.core.columnstate import GONE_FOR_GOOD
from coopfs.local.database import Database
from coopfs.local.disk import DATABASE
from tests.sim.network import CALM
from tests.sim.owner import Owner
from tests.sim.trace import Violation
from tests.sim.work import Work
from tests.sim.world import World

OFTEN = 0.7  # of all times at which a machine may be lost
MOST = 3  # copies that are started in a life
SETTLED = 30.0  # seconds in which a home meets what its partners hold, and all that is under way is over
PATIENCE = 20  # such times until it has met them
TOLD = (
    "this home is a copy of another",
    "its database is older than the partners",
    "another machine has taken this disk over",  # a copy from before a takeover
)


class Copies:
    """random: of its own, so that lives without copies are what they were."""

    def __init__(self, world: World, random: Random) -> None:
        self._world = world
        self._random = random
        self._kept: Owner | None = None  # a copy that nobody has started
        self._made = 0
        self.started = 0

    async def keep(self, owner: Owner) -> None:
        """Make a copy, for later."""
        self._made += 1
        self._kept = owner.copied(self._world.directory / f"copy {self._made}")
        self._world.note("copy")

    def may_begin(self, owner: Owner) -> bool:
        """Whether there is one now, drawn by lot. What partners have lost is another story; and where nothing is held
        yet, both may stop with nothing that could be taken over."""
        if self.started == MOST or not owner.own.ready.is_set() or not owner.history.newest_held:
            return False
        if self._world.damaged or self._world.vanished():
            return False
        return self._random.random() < OFTEN

    async def start(self, owner: Owner, machine: trio.Nursery) -> Owner:
        """A second process, of a copy of before or of just now."""
        if self._kept is None or self._random.random() < 0.5:
            await self.keep(owner)
        assert self._kept is not None
        twin, self._kept = self._kept, None
        self.started += 1
        self._world.note("beside")
        owner.may_be_fenced, self._world.trace.disputed = True, []
        await machine.start(twin.run)
        return twin

    async def run_beside(self, owner: Owner, twin: Owner) -> Owner | None:
        """Both work, and then one of them is ended. Whichever goes on, killed and to be started again; None: both have
        stopped, and say why."""
        async with trio.open_nursery() as nursery:
            for each in (owner, twin):
                random = Random(self._random.random())
                nursery.start_soon(each.haunt, Work(random), random)
            for _ in range(self._random.randint(1, 12)):
                self._happen()
                await trio.sleep(self._random.choice([0.1, 2, 30]) * self._random.random())
            nursery.cancel_scope.cancel()
        going = [each for each in (owner, twin) if each.own.trouble is None]
        left = self._random.choice(going) if going else None
        for each in (owner, twin):
            if each is not left:
                await self._end(each)
        if left is not None and not await self._has_met_all(left):
            await self._end(left)
            left = None
        disputed, self._world.trace.disputed = self._world.trace.disputed, None
        if disputed and left is owner:
            raise disputed[0]
        self._world.note(f"goes on {None if left is None else ['original', 'copy'][left is twin]}")
        if left is not None:
            left.go_on()
            await left.die(power=False)
        return left

    def _happen(self) -> None:
        """Partners come and go."""
        site = self._random.choice(self._world.sites)
        match self._random.choice(["away", "back", "cut", "slow", "nothing"]):
            case "away":
                site.go(up=False)
            case "back":
                site.go(up=True)
            case "cut":
                site.cut()
            case "slow":
                site.slowness = self._random.choice([1.0, 30.0])

    async def _end(self, owner: Owner) -> None:
        if (trouble := owner.own.trouble) is not None and not any(words in trouble for words in TOLD):
            raise Violation(f"R12: of a home and its copy one stops, and says: {trouble}")
        await owner.burn()

    async def _has_met_all(self, owner: Owner) -> bool:
        """Every partner is reached, and what the other one has put there is seen, if it cannot be borne. Not by a copy
        from so long before that partners it knows are gone for ever: it may be older than what is held, and alone."""
        self._world.network.weather = CALM
        self._world.images = {}  # what they were while another home wrote is no image of this one's partners
        await trio.sleep(SETTLED)  # what the other one has sent arrives, or never will
        for site in self._world.known.values():
            site.recover()
            site.go(up=True)
            site.cut()
        for _ in range(PATIENCE):  # a call that set out in bad weather may be under way for minutes
            await trio.sleep(SETTLED)
            columns = [column for column in owner.own.columns.columns if column.state not in GONE_FOR_GOOD]
            if owner.own.trouble is not None or all(column.session is not None for column in columns):
                return owner.own.trouble is None
        return False


def author(version: int, *owners: Owner) -> Owner:
    """Whichever sealed this END, or found it; the first of those that have it, as they were the same until then."""
    return next(each for each in owners if _has(each, version))


def _has(owner: Owner, version: int) -> bool:
    database = Database(owner.platter.directory / DATABASE)
    try:
        return database.read("SELECT 1 FROM stripes WHERE version = ?", (version,)).fetchone() is not None
    finally:
        database.close()
