"""What happens to partners besides being away: they rot, fill up, hang, and lose what they have, or a part of it.

All of it stays within what the design promises to survive (R7): blocks that were acknowledged go at one partner at a
time, and only while one more may be lost.
"""

from collections.abc import Callable
from random import Random

import trio

from coopfs.core.columnstate import Event
from coopfs.types import StoredBlock
from tests.sim.hosted import FileHost
from tests.sim.network import Site
from tests.sim.owner import Owner
from tests.sim.trace import Violation
from tests.sim.world import World

ALTERED = 0.3  # of all rot: it is not noticed where it is
SETTLED = 30.0  # seconds in which all that can be sent is
MUTE = 0.5  # of all troubles of a disk: it gives nothing back; else it takes nothing


class Mishaps:
    """Of the partners of this disk. is_moving: whether it moves to another layout."""

    def __init__(self, world: World, owner: Owner, is_moving: Callable[[], bool]) -> None:
        self._world = world
        self._owner = owner
        self._is_moving = is_moving

    @property
    def _random(self) -> Random:
        return self._world.random

    async def damage(self) -> None:
        """A partner loses blocks that it acknowledged, and may only be found out when it is reached again."""
        if (site := self.rot()) is not None and self._random.random() < 0.7:
            site.cut()

    def rot(self) -> Site | None:
        """A partner loses blocks that it acknowledged, in silence, or has others in their place. None: not now."""
        world = self._world
        if world.damaged or world.vanished() or not world.geometry.quorum.f:
            return None
        if self._owner.took_over and not (self._owner.own.ready.is_set() and self._owner.own.ledger.progress.margin()):
            return None  # a machine that took over has no content of its own to repair from
        site = self._random.choice(world.sites)
        if len(site.host.stores) != 1:  # it is getting another one just now
            return None
        ((id_, store),) = site.host.stores.items()
        if not store.blocks:
            return None
        # With m = 1 and a full cache, what a partner holds in the place of its blocks must wait for another partner.
        altered = self._random.random() < ALTERED and (world.cache is None or world.geometry.m > 1)
        for row in self._random.sample(sorted(store.blocks), self._random.randint(1, len(store.blocks))):
            if altered:
                store.blocks[row] = _altered(store.blocks[row])
            else:
                del store.blocks[row]
                world.trace.lose(site.name(id_), row)
        world.damaged.add(site.number)
        world.note(f"{'altered' if altered else 'damage'} {site.number}")
        return site

    async def empty(self) -> None:
        """A partner loses all that it stores for others, claims and master blocks too, with its disk or machine."""
        if self._may_lose_a_disk():
            site = self._random.choice(self._world.sites)
            site.host.forget()
            self._world.damaged.add(site.number)
            self._world.note(f"empty {site.number}")
            site.cut()

    async def set_back(self) -> None:
        """A partner's disk becomes what it was at some time: its claims and master blocks too."""
        site = self._random.choice(self._world.sites)
        image = self._world.images.get(site.host.key)
        if image is None or not self._may_lose_a_disk():
            return
        for id_, store in site.host.stores.items():
            for row in sorted(store.blocks):
                self._world.trace.lose(site.name(id_), row)
        site.host.set_back(image)
        self._world.damaged.add(site.number)
        self._world.note(f"setback {site.number}")
        site.cut()

    def _may_lose_a_disk(self) -> bool:
        own, world = self._owner.own, self._world
        if world.damaged or world.vanished() or not own.ready.is_set() or not own.ledger.progress.barrier:
            return False
        return own.ledger.progress.margin() > 0 and not own.places.spares and not self._is_moving()

    async def lose_too_many(self) -> None:
        """More partners than are promised to be survived are lost for good, and their owner says so. What status says
        then is not more than what there is."""
        own, world = self._owner.own, self._world
        newest = self._owner.history.newest_held
        if not own.ready.is_set() or not newest or world.damaged or own.places.spares or self._is_moving():
            return
        for site in self._random.sample(world.sites, self._random.randint(1, len(world.sites))):
            world.note(f"vanish {site.number}")
            site.vanished = True
            site.go(up=False)
            own.columns.happen(own.columns.columns[site.number], Event.LOST)
        await trio.sleep(SETTLED)
        newest, margin = self._owner.history.newest_held, own.ledger.progress.margin()
        left = [world.blocks_at(world.sites, stripe.place) - stripe.k for stripe in self._owner.history.named[newest]]
        world.note(f"margin {margin} {min(left, default=0)}")
        if left and margin > min(left):
            raise Violation(f"status says that group {newest} has a margin of {margin}, and it is {min(left)}")

    async def image(self) -> None:
        """Somebody copies the disks of all partners: what a swindler, or a hasty restore, may put in their place."""
        self._world.note("image")
        self._world.images = {site.host.key: site.host.image() for site in self._world.sites}

    async def stall(self) -> None:
        """A partner's disk fills up, or hangs; or it is well again."""
        site = self._random.choice(self._world.sites)
        if site.full or site.mute:
            site.full = site.mute = False
        elif self._random.random() < MUTE:
            site.mute = True
        else:
            site.full = True
        self._world.note(f"stall {site.number} {site.full} {site.mute}")

    async def power(self) -> None:
        """A partner loses its power, and keeps what it acknowledged."""
        site = self._random.choice(self._world.sites)
        self._world.note(f"power {site.number}")
        site.cut()
        assert isinstance(site.host, FileHost)
        site.host.lose_power(self._random)
        site.starts += 1
        if site.number in self._world.damaged:
            return
        for column in self._owner.own.columns.columns:
            if column.gone or column.place.node != site.host.key:
                continue  # another store may be taking the column's place
            for id_, row, version, acks in self._owner.own.ledger.places_at(column.number, 0, -1):
                if acks >> column.number & 1 and not self._world.holds(column.place, row, version):
                    raise Violation(f"R15: partner {site.number} had acked stripe {id_}, and lost it with its power")


def _altered(block: StoredBlock) -> StoredBlock:
    return StoredBlock(block.version, block.data[:-1] + bytes([block.data[-1] ^ 1]))
