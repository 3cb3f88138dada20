"""Reading runs of content from this machine: plain bytes straight into the reply, compressed ones by way of their unit.

The last decoded units are kept, so that a reader that asks for less than a unit at a time decodes each only once. What
lies at a byte of a stripe never changes, and stripe ids are never used again, so that they cannot become stale.

A read may wait for partners for minutes, with a thousand others: no memory is taken for what it waits for.
"""

from collections import OrderedDict
from dataclasses import dataclass

from coopfs.core.units import PLAIN, Run, decode
from coopfs.errors import NotAuthentic
from coopfs.limits import DECODED_UNITS
from coopfs.local.contents import Local
from coopfs.local.stage import Stage

Kept = OrderedDict[tuple[int, int], bytes]  # (stripe, at) -> a decoded unit


class Room:
    """So many bytes, of their own or of a whole from `at` on, whose memory is taken when it is first asked for."""

    __slots__ = ("_at", "_view", "_whole", "length")

    def __init__(self, length: int, whole: "Room | None" = None, at: int = 0) -> None:
        self.length = length
        self._whole = whole
        self._at = at
        self._view: memoryview | None = None

    def view(self) -> memoryview:
        """The same each time."""
        if self._view is None:
            whole, at = self._whole, self._at
            self._view = memoryview(bytearray(self.length)) if whole is None else whole.view()[at : at + self.length]
        return self._view


@dataclass(frozen=True, slots=True)
class Missing:
    """Part of a read that could not be had at once: fill `room` with the stripe's bytes from `at` on, then `finish`.

    here: on this machine's disk, but not in memory. run, reply: what was asked for, and where it goes.
    """

    stripe: int
    at: int
    room: Room
    here: bool
    run: Run
    reply: Room
    kept: Kept

    def finish(self) -> bool:
        """The room is filled. False: it is not the unit that it should be."""
        if self.run.codec == PLAIN:
            return True
        try:
            unit = decode(self.run.codec, self.room.view(), self.run.raw)
        except NotAuthentic:
            return False
        self.reply.view()[:] = memoryview(unit)[self.run.skip : self.run.skip + self.run.length]
        self.kept[self.stripe, self.at] = unit
        if len(self.kept) > DECODED_UNITS:
            self.kept.popitem(last=False)
        return True


class UnitReader:
    """Reads from the stage without waiting."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._kept: Kept = OrderedDict()

    def read(self, run: Run, reply: Room) -> Missing | None:
        """Fill `reply`, which is as long as the run; or return what must be had first. A damaged unit is not here."""
        if run.codec == PLAIN:
            found = self._stage.read_into(run.stripe, run.at, reply.view)
            if found is Local.READ:
                return None
            return Missing(run.stripe, run.at, reply, found is Local.SLOW, run, reply, self._kept)
        unit = self._kept.get((run.stripe, run.at))
        if unit is not None:
            self._kept.move_to_end((run.stripe, run.at))
            reply.view()[:] = memoryview(unit)[run.skip : run.skip + run.length]
            return None
        room = Room(run.stored)
        found = self._stage.read_into(run.stripe, run.at, room.view)
        missing = Missing(run.stripe, run.at, room, found is Local.SLOW, run, reply, self._kept)
        return None if found is Local.READ and missing.finish() else missing
