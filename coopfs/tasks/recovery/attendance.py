"""Who of its partners a restore view reaches, and what can be read with them: said whenever it changes."""

from collections.abc import Callable, Iterator, Sequence

import trio

from coopfs.core.inventory import Inventory
from coopfs.core.master import PRIMARY
from coopfs.core.newest import AllAnswers
from coopfs.limits import CHECK_SLICE
from coopfs.local.log import Log
from coopfs.tasks.reading.reader import Reader, answers_of
from coopfs.types import Layout, Place


class Attendance:
    """Watches the columns of a view. say: one line for the user.

    Call it with a file's stripes for what `user.coopfs.state` says of it: whether its content can be read now.
    """

    def __init__(
        self, layouts: Sequence[Layout], readers: Sequence[Reader], log: Log, say: Callable[[str], None]
    ) -> None:
        self._layouts = layouts
        self._readers = readers
        self._primaries = [reader for reader in readers if reader.place.role == PRIMARY]
        self._log = log
        self._say = say
        self._slots: dict[Reader, Inventory] = {}  # as it was when the store was opened
        self._told = ""

    async def run(self) -> None:
        """Speak until cancelled; not while all are there from the beginning."""
        async with trio.open_nursery() as nursery:
            for reader in self._readers:
                nursery.start_soon(self._watch, reader)

    async def _watch(self, reader: Reader) -> None:
        while True:
            session = reader.session
            if session is not None:
                slots = await reader.inventory()
                if slots is not None:
                    self._slots[reader] = slots
            self._tell()
            if reader.session is session:
                await reader.changed.wait()

    def _tell(self) -> None:
        if not (self._told or self._missing()):
            return  # looking at all stripes takes seconds
        line = self._describe()
        if line != self._told:
            self._say(line)
            self._told = line

    def _describe(self) -> str:
        missing = self._missing()
        names = f"missing {', '.join(missing)}" if missing else "all partners are up"
        short = min(sum(r.session is None for r in self._of(layout)) - layout.m for layout in self._layouts)
        if short > 0:
            return f"{names}: content can be read again when {short} of them {'is' if short == 1 else 'are'} back"
        here, lacking, total, after = self._here(), 0, 0, 0
        while page := self._log.places(after, CHECK_SLICE):
            after = page[-1][0]
            total += len(page)
            lacking += sum(not here.can_read(Place(version, row)) for _, row, version, _ in page)
        if lacking:
            return f"{names}: {lacking} of {total} stripes cannot be read now; user.coopfs.state of a file tells"
        return f"{names}: everything can be read"

    def _missing(self) -> list[str]:
        return list(dict.fromkeys(reader.place.name for reader in self._primaries if reader.session is None))

    def _of(self, layout: Layout) -> Iterator[Reader]:
        return (reader for reader in self._primaries if reader.layout.id == layout.id)

    def _here(self) -> AllAnswers:
        up = {reader: slots for reader, slots in self._slots.items() if reader.session is not None}
        return answers_of(self._layouts, up)

    def __call__(self, stripes: Sequence[int], group: int) -> str:
        here = self._here()
        places = [sealed.place for stripe in stripes if (sealed := self._log.get(stripe)) is not None]
        if len(places) == len(stripes) and all(map(here.can_read, places)):
            return "readable"
        return f"not readable now: missing {', '.join(self._missing()) or 'blocks'}"
