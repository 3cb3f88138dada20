"""What befalls households: one table, with how often it befalls each. An event is one function of the season and a
household, and tells whether it has come to pass: the budget may forbid it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import trio

from coopfs.errors import UsageError
from tests.village.household import Household
from tests.village.wishes import SWAPS

if TYPE_CHECKING:
    from tests.village.season import Season

HOUR = 3600.0
DAY = 24 * HOUR
LEAST = SWAPS // 2  # bytes at each partner that are enough for all that is written
Befall = Callable[["Season", Household], Awaitable[bool]]


@dataclass(frozen=True, slots=True)
class Event:
    """days: between two of them, of one household, on average; who: whom it may befall."""

    days: float
    befall: Befall
    who: Callable[[Household], bool] = lambda house: True


async def crash(season: "Season", house: Household) -> bool:
    """The daemon is killed at any moment, and starts again."""
    season.note(f"crash {house}")
    await house.die()
    await trio.sleep(season.random.uniform(1, 600))
    await season.start(house)
    return True


async def cut_off(season: "Season", house: Household) -> bool:
    """Its line is down for some hours."""
    if not season.budget.may_lose(house):
        return False
    season.note(f"cut {house}")
    house.go(online=False)
    await trio.sleep(season.random.uniform(HOUR / 10, 10 * HOUR))
    house.go(online=True)
    return True


async def be_off(season: "Season", house: Household) -> bool:
    """Its machine is off for some hours, or over a holiday of days."""
    if not season.budget.may_lose(house):
        return False
    hours = season.random.choice([season.random.uniform(1, 10), season.random.uniform(13, 120)])
    season.note(f"off {house} {hours:.0f} h")
    await house.die()
    await trio.sleep(hours * HOUR)
    await season.start(house)
    return True


async def burn(season: "Season", house: Household) -> bool:
    """Its machine is lost, with the stores of others, and after a while another one takes over."""
    if not (season.budget.may_lose(house) and season.budget.is_restorable(house)):
        return False
    season.note(f"burn {house}")
    await lose_machine(season, house)
    await season.check_restore(house)
    await trio.sleep(season.random.uniform(1, 48) * HOUR)
    await house.take_over(lambda line: season.note(f"told {house} {line}"))
    season.note(f"takeover {house}")
    await season.start(house)
    return True


async def vanish(season: "Season", house: Household) -> bool:
    """It is never heard of again. Some of its partners' owners know, and say so."""
    if not season.budget.may_lose(house):
        return False
    season.note(f"vanish {house}")
    house.gone = True
    bereaved = season.partners_of(house)
    await lose_machine(season, house)
    for each in bereaved:
        knows = season.random.random() < 0.5 and each.is_up and each.own is not None and not each.busy
        if knows and await each.declare_lost(house.name):
            season.note(f"declared {house} by {each}")
    return True


async def leave(season: "Season", house: Household) -> bool:
    """It says goodbye: its partners need not wait."""
    if not season.budget.may_lose(house):
        return False
    season.note(f"leave {house}")
    house.gone = True
    season.budget.lose(house)
    await house.ask("leave", yes=True)
    await trio.sleep(DAY)  # whoever is away for longer than that never hears of it
    await house.die()
    await season.look_at_bereaved()
    return True


async def lose_machine(season: "Season", house: Household) -> None:
    """And with it what it stored for others, whose disks come back without."""
    season.budget.lose(house)
    await house.burn()
    await season.look_at_bereaved()


async def sleep(season: "Season", house: Household) -> bool:
    """Somebody switches the machine off for an evening."""
    if not season.budget.may_lose(house):
        return False
    season.note(f"sleep {house}")
    await house.die()
    await trio.sleep(season.random.uniform(3, 6) * HOUR)
    await season.start(house)
    return True


async def rekey(season: "Season", house: Household) -> bool:
    """Somebody may have seen the kit. A new one is made as soon as the owner is about."""
    assert house.own is not None
    if house.own.rekeying.hindrance() is not None:
        return False  # one is under way
    season.note(f"rekey {house}")
    await house.ask("rekey", everything=season.random.random() < 0.5)
    return True


async def resize(season: "Season", house: Household) -> bool:
    """The disk is to have another size, within what its partners give: more or less than it has, or than it is just
    getting."""
    size = season.random.randrange(LEAST, SWAPS)
    try:
        done = await house.ask("resize", size=size)
    except UsageError:  # what is there does not fit
        return False
    season.note(f"{'shrink' if done['smaller'] else 'grow'} {house} to {done['rows']}")
    return True


async def move_in(season: "Season", house: Household) -> bool:
    """Somebody new, where everybody may have all the partners that they want."""
    await season.join()
    return True


def _has_disk(house: Household) -> bool:
    return house.own is not None


def _is_careful(house: Household) -> bool:
    """Whoever is careless breaks its promise bit by bit, so that there is time to warn."""
    return not house.is_careless


EVENTS = (
    Event(20, crash),
    Event(15, cut_off, _is_careful),
    Event(25, be_off, _is_careful),
    Event(1, sleep, lambda house: house.is_careless),
    Event(60, burn, _has_disk),
    Event(45, rekey, _has_disk),
    Event(40, resize, _has_disk),
    Event(800, move_in),
    Event(120, vanish),
    Event(160, leave),
)
