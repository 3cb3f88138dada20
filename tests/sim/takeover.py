"""A machine that has nothing but the kit becomes the node, with whoever is up."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import trio

from coopfs.core.claims import CLAIMER
from coopfs.core.master import Floor
from coopfs.core.quorum import Quorum
from coopfs.errors import NotRestorable
from coopfs.tasks.recovery.recovery import State
from coopfs.tasks.recovery.takeover import Taken, Takeover
from tests.sim.network import Weather
from tests.sim.restore import Refused, ignore
from tests.sim.trace import Violation
from tests.sim.world import World

TRIES = 5  # in good weather: the old machine, if it still runs, has weather of its own, which breaks links of all


@dataclass(frozen=True, slots=True)
class Found:
    """doubt: why something newer may have been held, told to a user who said yes."""

    taken: Taken
    doubt: str | None


async def take_over(world: World, directory: Path) -> Found | Refused:
    """What a user gets who tries in bad weather, is interrupted, says no to what is in doubt, and tries again until the
    same doubt is told twice."""

    def only_without_doubt(state: State) -> None:
        if state.doubt is not None:
            raise NotRestorable(state.doubt)

    for _ in range(world.random.randint(0, 2)):
        world.network = world.way(Weather(delay=0.5, loss=0.02))
        with trio.move_on_after(world.random.uniform(0, 20)):
            found = await _try(world, directory, only_without_doubt)
            if isinstance(found, Found):
                return found
    told: list[str] = []

    def only_what_was_told_before(state: State) -> None:
        if state.doubt is not None and state.doubt not in told and len(told) < TRIES - 1:
            told.append(state.doubt)
            raise NotRestorable(state.doubt)

    world.network = world.way(Weather())
    for _ in range(TRIES):
        found = await _try(world, directory, only_what_was_told_before)
        if isinstance(found, Found):
            break
    return found


async def _try(world: World, directory: Path, agree: Callable[[State], None]) -> Found | Refused:
    doubts: list[str | None] = []

    def hear(state: State) -> None:
        doubts.append(state.doubt)
        agree(state)

    claimer = world.random.randbytes(CLAIMER)
    takeover = Takeover(
        world.kit_keys(), world.node, world.network, claimer, world.wall, lambda node, addresses: None, ignore, hear
    )
    try:
        taken = await takeover.run(directory, world.kit, Floor(0, 0))
    except NotRestorable as refusal:
        return Refused(str(refusal))
    if doubts[-1] is None:
        _check_claims(world, taken)
    return Found(taken, doubts[-1])


def _check_claims(world: World, taken: Taken) -> None:
    """R12, counted at the partners: who says nothing about others that may write must be the only one that can."""
    for places in taken.master.layouts:
        stores, quorum = places.primaries, Quorum(places.layout.k, places.layout.m)
        granted = sum(world.granted(store) == (taken.claim.epoch, taken.claim.claimer) for store in stores)
        if granted < quorum.claims_needed:
            raise Violation(f"R12: a disk is taken over silently, and {granted} of {quorum.n} partners granted that")
