"""Whether the newest recovery kit is still good (design R14), and telling the owner in time when another is wanted."""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import trio

from coopfs.app.disk.own_disk import OwnDisk
from coopfs.limits import KIT_AGAIN, KIT_CHECK
from coopfs.local.kitrecord import MUST_EXPORT

logger = logging.getLogger(__name__)

TITLE = "coopfs: a new recovery kit is wanted"
ADVICE = "Export one with coopfs kit export FILE, and keep it somewhere else."


@dataclass(frozen=True, slots=True)
class Standing:
    """time: wall seconds when the kit was made; holders: of the partners it names, those that can give the newest
    master block, of which whoever restores needs so many; lacks: who holds a column, or gets one, and is not named."""

    time: int
    holders: int
    needed: int
    lacks: tuple[str, ...]


def standing(own: OwnDisk) -> Standing | None:
    """Of the newest kit. None: none was exported from this home."""
    made = own.kits.newest()
    if made is None:
        return None
    away = {column.place.node for column in own.columns.columns if column.away}
    good = (own.keeper.holders() - away).intersection(made.partners)
    lacks = tuple(column.place.name for column in own.columns.stores if column.place.node not in made.partners)
    return Standing(made.time, len(good), own.ledger.seats.f + 1, lacks)


def wanted(own: OwnDisk) -> str | None:
    """Why the owner should export another kit, in words. None: it would be of no use.

    One that names everybody is as good as a new one: while a newer master block is on its way, nobody has it.
    """
    made = standing(own)
    if made is None:
        return "without a recovery kit nothing can be restored, and none was exported"
    if waits := [why for why in _hindrances(own) if why is not None and why.startswith(MUST_EXPORT)]:
        return f"{waits[0]}, for what was begun to go on"
    if made.lacks and made.holders <= made.needed:
        names = ", ".join(made.lacks)
        return f"the newest kit does not name {names}, who came later, and no more of those that it names may be lost"
    return None


def _hindrances(own: OwnDisk) -> list[str | None]:
    """Why what is under way does not go on."""
    return [
        own.replacing.hindrance() if own.columns.incoming is not None else own.replacing.kit_lacking(),
        own.reshaping.hindrance() if own.reshaping.coming is not None else None,
        own.growing.hindrance() if not own.growing.is_done else None,
        own.rekeying.hindrance() if not own.rekeying.is_done else None,
    ]


class KitWatch:
    """disk: the own one, if it is open; tell: the owner, with a title and a text."""

    def __init__(self, disk: Callable[[], OwnDisk | None], tell: Callable[[str, str], Awaitable[None]]) -> None:
        self._disk = disk
        self._tell = tell

    async def run(self) -> None:
        """Look now and then, and tell the owner: when something new makes a kit wanted, and once a day while it is.
        Not at once: who has just made a disk is about to export its kit."""
        told, when = None, 0.0
        while True:
            await trio.sleep(KIT_CHECK)
            own = self._disk()
            why = None if own is None else wanted(own)
            if why is not None and (why != told or trio.current_time() - when >= KIT_AGAIN):
                when = trio.current_time()
                text = f"{why[0].upper()}{why[1:]}. {ADVICE}"
                logger.warning("%s", text)
                await self._tell(TITLE, text)
            told = why
