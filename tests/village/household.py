"""A household: a machine with a home, a disk on its partners, their stores, a recovery kit in a drawer."""

import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import trio

from coopfs.app.disk.own_disk import OwnDisk
from coopfs.app.node import Node
from coopfs.app.recovery.dialogue import Dialogue
from coopfs.app.recovery.takeover import take_over
from coopfs.app.running import begin
from coopfs.core.identity import Identity
from coopfs.core.kit import Kit, from_text
from coopfs.errors import UsageError
from coopfs.local import partners
from coopfs.local.home import Home
from coopfs.local.nodedb import NodeDatabase
from coopfs.local.partners import PartnerEntry
from coopfs.local.steps import MemberStep
from coopfs.net.whereabouts import Whereabouts
from coopfs.tasks.signal import changes
from coopfs.types import NodeKey
from tests.village.diary import Diary
from tests.village.streams import HERE, Streams
from tests.village.wishes import Wishes, ignore

PORT = 7530


async def nobody_looks(house: "Household", row: MemberStep | None) -> None:
    """`on_step` of who is in no season."""


class Household:
    """number: it lives at 20.NUMBER.0.1, in a town of its own. directory: for all its machines."""

    def __init__(self, number: int, wishes: Wishes, directory: Path, streams: Streams, random: Random) -> None:
        self.number = number
        self.name = f"house-{number}"
        self.at = f"20.{number}.0.1"
        self.wishes = wishes
        self.diary = Diary(Random(random.random()))
        self.on_step = nobody_looks  # told how far it is, as one of two between whom somebody steps
        self.disturbed = 0  # times that it went down, or off its line
        self.kit: Kit | None = None
        self.node: Node | None = None  # while its machine runs
        self.online = True
        self.gone = False  # for good
        self.busy = False  # something befalls it
        self.lacking: set[NodeKey] = set()  # holders that lost what they had of its disk, until they have it again
        self.holders: tuple[NodeKey, ...] = ()  # by column, as of the last look
        self.seed = random.randbytes(32)
        self.key = Identity.from_seed(self.seed).key
        self._directory = directory
        self._streams = streams
        self._machines = 0
        self._scope: trio.CancelScope
        self._ended = trio.Event()
        self._dies = False
        self._took_over = False
        self.settings = wishes.settings(self.name, f"{self.at}:{PORT}")
        self.home = self._new_home()
        self.home.create(self.seed)

    def __str__(self) -> str:
        return self.name

    def _new_home(self) -> Home:
        self._machines += 1
        return Home(self._directory / f"{self.name} {self._machines}")

    # --- its machine ----------------------------------------------------------------------------------------------

    async def run(self, task_status: trio.TaskStatus[None]) -> None:
        """Be a daemon until it is killed."""
        HERE.set(self.at)
        self._ended = trio.Event()
        database = NodeDatabase(self.home.node_database)
        node = None
        try:
            async with trio.open_nursery() as nursery:
                self._scope = nursery.cancel_scope
                whereabouts = Whereabouts(self.settings.advertise, (), None, partial(partners.move, database))
                self.node = node = Node(self.home, self.settings, database, nursery, whereabouts)
                self._streams.listen(self.at, nursery, node.roster.accept)
                await nursery.start(node.roster.run)
                await begin(node, nursery)
                if node.own is not None:
                    self._look_back(node.own)
                nursery.start_soon(self._follow_steps, node)
                task_status.started()
                await trio.sleep_forever()
        finally:
            self._streams.stop(self.at)
            self.node, self._dies = None, False
            if node is not None:
                node.hosting.close()
                if node.own is not None:
                    node.own.close()
            database.close()
            self._ended.set()

    async def _follow_steps(self, node: Node) -> None:
        stepping = node.matchmaking.stepping
        while True:
            with changes(stepping.changed) as changed:
                await self.on_step(self, stepping.row)
                await changed.wait()

    def _look_back(self, own: OwnDisk) -> None:
        if self._took_over:
            self.diary.go_back(own.log.rehold)
            self._took_over = False
        self.diary.open(own)

    async def die(self) -> None:
        """The process is killed."""
        self.disturbed += 1
        if self.node is not None:
            self._dies = True  # at once: somebody else may be about to
            self._scope.cancel()
            await self._ended.wait()

    async def burn(self) -> None:
        """The machine is gone, with all that was on it."""
        if self.own is not None:
            self.diary.keep(self.own.local.database.path.parent)
        await self.die()
        shutil.rmtree(self.home.path)

    def go(self, online: bool) -> None:
        """Its line is up, or down."""
        self.disturbed += 1
        self.online = online
        (self._streams.join if online else self._streams.part)(self.at)

    # --- its owner ------------------------------------------------------------------------------------------------

    @property
    def own(self) -> OwnDisk | None:
        return None if self.node is None else self.node.own

    @property
    def is_careless(self) -> bool:
        return self.wishes.careless

    @property
    def is_up(self) -> bool:
        return self.node is not None and self.online and not self._dies

    def partners(self) -> list[NodeKey]:
        """All that it has an agreement with; of a machine that runs."""
        assert self.node is not None
        return [entry.key for entry in partners.all_partners(self.node.database)]

    def candidates(self) -> list[PartnerEntry]:
        """Those of them that may get a column of its disk."""
        assert self.node is not None
        return self.node.candidates(())

    def lacks(self) -> bool:
        """Whether it looks for partners."""
        assert self.node is not None
        return bool(self.node.matchmaking.describe()["lacking"])

    def reaches(self, key: NodeKey) -> bool:
        """Whether it is connected with a partner."""
        assert self.node is not None
        return self.node.roster.live(key) is not None

    async def declare_lost(self, name: str) -> bool:
        """The owner says that a partner is lost; False: there is nothing to lose, or it answers."""
        try:
            await self.ask("partner_lose", partner=name)
        except UsageError:
            return False
        return True

    async def ask(self, call: str, **arguments: Any) -> Any:
        """What a command asks of the daemon."""
        assert self.node is not None
        with self.being_here():
            return await self.node.calls()[call](arguments, ignore)

    def being_here(self) -> "_Here":
        return _Here(self.at)

    async def format(self) -> None:
        """Make the disk, on the first partners that there are."""
        assert self.node is not None
        geometry = self.wishes.geometry
        names = [entry.name for entry in self.candidates()][: geometry.quorum.n]
        await self.ask(
            "format",
            data=geometry.k,
            redundancy=geometry.m,
            target=None,
            block_size=geometry.layout.block_size,
            partners=names,
            no_redundancy=False,
        )
        assert self.node.own is not None
        self.diary.open(self.node.own)

    async def export_kit(self) -> None:
        """A new kit, into the drawer."""
        made = await self.ask("kit_export", read_only=None, until=None)
        kit = from_text(made["text"])
        assert isinstance(kit, Kit)
        self.kit = kit
        await self.ask("kit_written", key=made["key"], date=made["date"])

    async def take_over(self, say: Callable[[str], None]) -> None:
        """A new machine becomes the node, with what is in the drawer. NotRestorable."""
        assert self.kit is not None
        self.home = self._new_home()
        talk = Dialogue(True, 0, lambda question: True, say, ignore)
        with self.being_here():
            await take_over(self.home.path, self.kit, self.settings, False, talk)
        self._took_over = True


class _Here:
    """What is done within is done on this machine."""

    def __init__(self, at: str) -> None:
        self._at = at

    def __enter__(self) -> None:
        self._token = HERE.set(self._at)

    def __exit__(self, *_: object) -> None:
        HERE.reset(self._token)
