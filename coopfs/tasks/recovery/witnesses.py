"""Who answers in a recovery: what they claim to hold, and who has gone since. A line that breaks says nothing of what
a partner holds: it is asked again when it is back.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import trio

from coopfs.core.header import Header
from coopfs.core.inventory import Inventory
from coopfs.core.master import PRIMARY
from coopfs.core.newest import AllAnswers
from coopfs.errors import PeerError
from coopfs.limits import RESTORE_NOTICE, RESTORE_PATIENCE, RESTORE_TRIES
from coopfs.tasks.reading.fetcher import Fetcher
from coopfs.tasks.reading.reader import Reader, answers_of
from coopfs.types import BlockStore, Layout, Place

Watch = Callable[[str, int, int], None]  # step, done, total (0: not known)


def _number(reader: Reader) -> int:
    """As in Answers.places."""
    return reader.column if reader.place.role == PRIMARY else reader.column + reader.layout.n


@dataclass(frozen=True, slots=True)
class Candidate:
    """A stripe that some stores, the holders, claim to have there."""

    layout: int
    place: Place
    holders: tuple[Reader, ...]


class Witnesses:
    """The stores of all layouts in force. readers: of each one; watch: told how far the asking is."""

    def __init__(self, layouts: Sequence[Layout], readers: Sequence[Reader], fetcher: Fetcher, watch: Watch) -> None:
        self._layouts = layouts
        self._readers = {(reader.layout.id, _number(reader)): reader for reader in readers}
        self._fetcher = fetcher
        self._watch = watch
        self._sessions: dict[Reader, BlockStore | None] = {}  # when it was asked for its inventory
        self._given_up: set[Reader] = set()  # of those who went away since then: who did not come back
        self._silent: set[tuple[Reader, Place]] = set()  # who was asked for what it claims, and did not answer

    def __getitem__(self, layout_and_store: tuple[int, int]) -> Reader:
        """By layout and store, the latter as in Answers.places."""
        return self._readers[layout_and_store]

    async def gather(self) -> None:
        """Wait until every column is open or was tried in vain, twice if it answers; RESTORE_PATIENCE at the most."""

        async def wait(reader: Reader) -> None:
            await reader.opened()
            if reader.session is None and reader.trouble is not None:
                await reader.changed.wait()  # a line may break at any moment: once more
            self._sessions[reader] = reader.session
            up = sum(each.session is not None for each in self._readers.values())
            self._watch("reaching partners", up, len(self._readers))

        with trio.move_on_after(RESTORE_PATIENCE):
            async with trio.open_nursery() as nursery:
                for reader in self._readers.values():
                    nursery.start_soon(wait, reader)

    async def ask_all(self) -> AllAnswers:
        """The inventories of those that answer."""
        found: dict[Reader, Inventory] = {}
        primaries = sum(layout.n for layout in self._layouts)

        async def ask(reader: Reader) -> None:
            inventory = await self._inventory(reader)
            if inventory is not None:
                found[reader] = inventory
            self._watch("reading inventories", sum(each.place.role == PRIMARY for each in found), primaries)

        async with trio.open_nursery() as nursery:
            for reader in self._readers.values():
                nursery.start_soon(ask, reader)
        return answers_of(self._layouts, found)

    async def _inventory(self, reader: Reader) -> Inventory | None:
        """Of who was reached, once more if the line broke meanwhile. None: it does not answer."""
        for _ in range(RESTORE_TRIES):
            before = self._sessions.get(reader)
            self._sessions[reader] = reader.session
            inventory = await reader.inventory()
            if inventory is not None or (before, reader.session) == (None, None):
                return inventory
            with trio.move_on_after(RESTORE_PATIENCE):
                while reader.session in (None, self._sessions[reader]):
                    await reader.changed.wait()
            if reader.session is None:
                break
        return None

    def missing(self, layouts: Iterable[Layout]) -> str:
        """Who does not answer, in words."""
        primaries = (self._readers[layout.id, column] for layout in layouts for column in range(layout.n))
        missing = [f"{r.place.name} ({r.trouble or 'not reached'})" for r in primaries if r.session is None]
        return "missing are " + ", ".join(dict.fromkeys(missing)) if missing else "all partners answer"

    async def headers(self, wanted: Sequence[Candidate]) -> list[Header | None]:
        """Of each stripe the header, from the first authentic block that its holders give; all are asked for at once.
        None: nobody gives one."""
        found: dict[Candidate, Header] = {}
        silent: set[tuple[Reader, Place]] = set()

        async def ask(candidate: Candidate, first: int) -> None:
            for reader in (*candidate.holders[first:], *candidate.holders[:first]):
                try:
                    block = await self._fetcher.ask(reader, candidate.place)
                except PeerError:
                    silent.add((reader, candidate.place))
                    continue
                if block is not None:
                    found[candidate] = block[0]
                    return

        left = list(wanted)
        for _ in range(RESTORE_TRIES):
            silent.clear()
            async with trio.open_nursery() as nursery:
                for turn, each in enumerate(left):
                    nursery.start_soon(ask, each, turn % len(each.holders))  # so that all lines carry some
            left = [each for each in left if each not in found and silent & {(r, each.place) for r in each.holders}]
            if not left or not await self.came_back():
                break
        self._silent |= silent.intersection((reader, each.place) for each in left for reader in each.holders)
        return [found.get(each) for each in wanted]

    async def came_back(self) -> bool:
        """Wait for those who have gone since they told what they hold, as a line may break. False: in vain."""
        await trio.sleep(RESTORE_NOTICE)
        here = {reader: session for reader, session in self._sessions.items() if session is not None}
        gone = [r for r, session in here.items() if r.session is not session and (r.session or r not in self._given_up)]
        with trio.move_on_after(RESTORE_PATIENCE):
            for reader in gone:
                while reader.session is None:
                    await reader.changed.wait()
        back = {reader: reader.session for reader in gone if reader.session is not None}
        self._sessions.update(back)
        self._given_up = self._given_up.union(gone).difference(back)
        return bool(back)

    def why_not(self, candidate: Candidate) -> str | None:
        """Why what its holders claim to have there could not be had; None: it has been overwritten since.

        Who has left since it told its inventory may hold it. Whose block is damaged, or was never there, does not deny
        either that others hold it who do not answer.
        """
        place = candidate.place
        if any(
            (reader, place) in self._silent or reader.session is not self._sessions[reader]
            for reader in candidate.holders
        ):
            return f"who claims row {place.row} went away"
        if any(self._fetcher.met_damage(reader, place.row) for reader in candidate.holders):
            return f"who claims row {place.row} has no intact block of it"
        return None
