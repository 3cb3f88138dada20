"""Moves of a disk to other layouts, in the midst of its life."""

from collections.abc import Callable
from contextlib import suppress

import trio

from coopfs.app.disk import shaping
from coopfs.app.disk.own_disk import OwnDisk
from coopfs.core.columnstate import ColumnState, Event
from coopfs.core.storeformat import store_size
from coopfs.errors import UsageError
from coopfs.local.partners import PartnerEntry
from tests.sim.network import Site
from tests.sim.owner import Owner
from tests.sim.patience import not_stuck
from tests.sim.world import ROWS, Geometry, World

SHAPES = [Geometry(*km) for km in [(1, 1), (1, 2), (2, 1), (2, 2), (3, 1), (3, 2), (1, 3)]]
GIVEN = 2 * ROWS + 60  # rows that fit into what each partner gives
LONG = 300  # seconds after which a move that has not really begun is taken back


class Moving:
    """Of the disk of this owner. is_moving: whether there is another layout, or a store of one can be given back."""

    def __init__(self, world: World, owner: Owner, is_moving: Callable[[], bool]) -> None:
        self._world = world
        self._owner = owner
        self._is_moving = is_moving

    @property
    def _own(self) -> OwnDisk:
        return self._owner.own

    @property
    def is_under_way(self) -> bool:
        return self._own.reshaping.is_under_way

    async def begin(self) -> None:
        """Other partners are wanted, or another k or m; or that is taken back."""
        if not self._own.ready.is_set() or self._world.vanished():
            return
        with suppress(UsageError):  # it is used already, or something else is changing
            if self._own.reshaping.coming is None:
                await self._move()
            elif self._world.random.random() < 0.3:
                self._world.note("stay")
                await self._own.reshaping.give_up()

    async def _move(self) -> None:
        world, random = self._world, self._world.random
        block_size = self._own.ledger.layout.block_size
        world.given = store_size(GIVEN, block_size)
        target = random.choice(SHAPES)
        old = [world.known[store.node] for store in self._own.places.primaries]
        staying = random.sample(old, random.randint(0, min(len(old), target.quorum.n)))
        new = [world.join(len(old)) for _ in range(target.quorum.n - len(staying))]
        entries = [PartnerEntry(_name(site), site.host.key, (), 0, world.given) for site in (*old, *new)]
        leave_out = [_name(site) for site in old if site not in staying]
        await shaping.reshape(self._own, entries, target.k, target.m, [_name(site) for site in new], leave_out)
        world.note(f"move {target}")

    def lose(self, site: Site) -> None:
        """A partner never comes back, as its owner says."""
        site.vanished = True
        site.go(up=False)
        for column in self._own.columns.columns:
            if column.place.node == site.host.key and column.state is not ColumnState.LOST:
                self._own.columns.happen(column, Event.LOST)

    async def finish(self) -> None:
        """All are back but those that never come: it is over, or taken back."""
        for site in self._world.vanished() if self._is_moving() else ():
            self.lose(site)
        with not_stuck("a move"):
            begun = trio.current_time()
            while self._is_moving():
                if self._is_hopeless() or trio.current_time() > begun + LONG:
                    with suppress(UsageError):
                        await self._own.reshaping.give_up()
                await trio.sleep(15)
        if self._world.changes.moves:
            self._owner.seat()

    def _is_hopeless(self) -> bool:
        """Whether somebody who is to hold a column of the new layout never comes."""
        coming = self._own.reshaping.coming
        return coming is not None and any(self._world.known[store.node].vanished for store in coming.primaries)


def _name(site: Site) -> str:
    return f"p{site.life}"
