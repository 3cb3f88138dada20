"""This node's own disk while the daemon runs: everything between the mount and the partners, put together.

mount -> fs.Disk -> committer -> writer -> columns -> partners
             ^                     cleaner --^ |
             +--- content <- fetcher <---------+
"""

import logging
import os
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import trio

from coopfs.app.cache_size import set_cache_size
from coopfs.app.mount_settings import DEFAULTS, MountSettings
from coopfs.config import Fsync
from coopfs.core import coding
from coopfs.core.claims import sign_claim
from coopfs.core.master import PRIMARY, LayoutPlaces, StorePlace
from coopfs.errors import MountError, NotAuthentic, StaleHome, StateError, UsageError, first_of
from coopfs.fs.disk import Disk
from coopfs.fs.handlers import Handlers
from coopfs.fs.mounting import Mount
from coopfs.limits import PROGRESS_INTERVAL, ROOT_INO
from coopfs.local import keyfile, stalefile
from coopfs.local.database import SqliteError, damage_of
from coopfs.local.disk import LocalDisk
from coopfs.local.groups import Group
from coopfs.local.incoming import IncomingAcks
from coopfs.local.kitrecord import KitRecord
from coopfs.local.log import Log, Sealed
from coopfs.local.mastercopy import MasterHolders, read_master, save_master
from coopfs.local.readerlist import ReaderList
from coopfs.local.refillmark import RefillMark
from coopfs.local.rowmark import RowMark
from coopfs.local.scrubmark import ScrubMark
from coopfs.local.slots import Slots
from coopfs.local.survey import Survey
from coopfs.tasks.checker import Checker
from coopfs.tasks.chronicle import Chronicle
from coopfs.tasks.cleaner import Cleaner
from coopfs.tasks.coder import Coder
from coopfs.tasks.column import Column
from coopfs.tasks.columns import Columns
from coopfs.tasks.committer import Committer
from coopfs.tasks.compactor import Compactor
from coopfs.tasks.content import RemoteContent
from coopfs.tasks.fetcher import Fetched, Fetcher
from coopfs.tasks.file_state import StateOfFile
from coopfs.tasks.granter import Granter
from coopfs.tasks.growing import Growing
from coopfs.tasks.heldsync import HeldSync
from coopfs.tasks.incoming import Incoming
from coopfs.tasks.keeper import MasterKeeper
from coopfs.tasks.ledger import Ledger
from coopfs.tasks.mender import Mender
from coopfs.tasks.mover import Mover
from coopfs.tasks.network import Network
from coopfs.tasks.pace import HeldPace
from coopfs.tasks.recaller import Recaller
from coopfs.tasks.reclaimer import Reclaimer
from coopfs.tasks.refill import Refill
from coopfs.tasks.rehold import Rehold
from coopfs.tasks.replacing import Replacing
from coopfs.tasks.retirer import Retirer
from coopfs.tasks.salvager import Salvager
from coopfs.tasks.scrubber import Scrubber
from coopfs.tasks.space import PartnerSpace
from coopfs.tasks.writer import Writer
from coopfs.types import Claim, DiskId, Kind, NodeKey, Octets, Opening, Place, StoreSpec

logger = logging.getLogger(__name__)

Watch = Callable[[str, int, int], None]  # step, done, total
NS = 1_000_000_000


class OwnDisk:
    """One disk, opened. trouble: why nothing is sent any more, in words; None while all is well.

    directory: HOME/disks/<disk id>; node: this node's key; network: the way to partners; wall: seconds since 1970;
    settings: where mount options do not say otherwise; draw: random bytes; scrub: seconds in which every block of every
    partner is looked at once, 0 for never. StateError: its files are missing, damaged, or of another version.
    UsageError: the cache is too small.
    """

    def __init__(
        self,
        directory: Path,
        node: NodeKey,
        network: Network,
        nursery: trio.Nursery,
        wall: Callable[[], float],
        settings: MountSettings = DEFAULTS,
        draw: Callable[[int], bytes] = secrets.token_bytes,
        scrub: float = 0.0,
    ) -> None:
        self.keys = keyfile.read(directory)
        self.local = LocalDisk(directory, lambda: int(wall() * NS))
        master = read_master(self.local.database, self.keys, node)
        places = master.layouts[-1]
        layout = places.layout
        self.log = Log(self.local.database, self.local.metadata.stripes.take_id)
        slots = Slots(self.local.database)
        rows = RowMark(self.local.database)
        used = rows.used(places.rows)
        self.ledger = Ledger(self.log, slots, layout, used, self._forget_content, self.local.cache)
        self.kits = KitRecord(self.local.database)
        self.readers = ReaderList(self.local.database)
        self.chronicle = Chronicle(self.ledger, self.local.database, wall)
        self.space = PartnerSpace(self.ledger, self.local.metadata, self.local.stage, directory)
        pace = HeldPace(self.ledger, self.local.metadata, self.space)
        self.committer = Committer(self.local.metadata, self.local.stage, self.on_closed, pace)
        claimer = bytes(self.local.database.fact("claimer"))
        claim = sign_claim(self._seed(), self.log.epoch, claimer, int(wall()))
        acks = IncomingAcks(self.local.database)
        self.columns = Columns(places, partial(self._make_column, network, claim, acks), self.ledger, wall)
        save = partial(save_master, self.local.database, self.keys, node)
        holders = MasterHolders(self.local.database)
        self.keeper = MasterKeeper(self.keys, master, claim, self.log, save, self.committer.commit, holders)
        self._network = network
        self.replacing = Replacing(self.keeper, self.columns, self.ledger, acks, self.kits, self.readers, draw)
        self.growing = Growing(self.keeper, self.columns, self.ledger, self.kits, rows)
        self.granter = Granter(self.readers, self.disk_id, self.columns, network)
        self._fetcher = Fetcher(self.keys, layout, self.columns.stores)
        coder = Coder(self.keys, layout, self.local.stage, self.local.metadata.stripes, self.log, self._fetch)
        self._writer = Writer(self.keys, layout, self.ledger, coder, self.columns.stores, self.committer.commit)
        self.cleaner = Cleaner(self.ledger, coder, self._writer.in_hand, self._pass_by)
        self._reclaimer = Reclaimer(self.local.metadata, self.committer.hurry)
        self._retirer = Retirer(self.ledger, self.local.metadata, self.space, self.committer.hurry)
        content = RemoteContent(self.log, self._fetcher, self.local.stage, nursery)
        may_append = self.committer.until_may_append
        self._compactor = Compactor(self.ledger, self.local, self.space, may_append, content.read_once)
        self._mover = Mover(self.columns, self.ledger, self.space, self._compactor, self._retirer, self.local.database)
        self._recaller = Recaller(self.ledger, self.local.cache, content)
        self.refill = Refill(RefillMark(self.local.database), self.ledger, self.local.cache, content)
        self._settings = settings
        set_cache_size(self.local.stage, layout, settings.cache)
        self.held_sync = HeldSync(self.local.metadata, self.committer, self.ledger)
        self.disk = Disk(self.local, self.space, content, StateOfFile(self.ledger))
        self.disk.compressor.level = settings.compress.level
        self.disk.bury_orphans()
        self._mender = Mender(self.columns, self.ledger, self._fetcher)
        self._fetcher.on_lack = self._mender.note
        mark, survey = ScrubMark(self.local.database), Survey(self.local.database)
        self.scrubber = Scrubber(scrub, mark, survey, self.columns, self.ledger, self._fetcher, content, wall)
        self.salvager = Salvager(directory.parent, self.disk, self.committer, self.ledger)
        commit, in_use, tell = self.committer.commit, self.disk.handles.in_use, self.disk.tell
        self.checker = Checker(
            self.keys, self.local, self.ledger, self.columns, self._fetcher, self._fetch, in_use, tell, commit, wall
        )
        self.trouble: str | None = None
        self.ready = trio.Event()  # nothing hinders writing: after a takeover, all it found is held again
        self.mountpoint: Path | None = None
        self._mount: Mount | None = None
        self._nursery = nursery

    def _make_column(
        self, network: Network, claim: Claim, acks: IncomingAcks, number: int, store: StorePlace
    ) -> Column:
        """One that is being filled is made at the partner if it is not there yet; what counts never is (R16)."""
        if store.role == PRIMARY:
            opening = Opening(self.disk_id, store.store, claim)
            return Column(number, store, opening, network, self.ledger, self._is_mine)
        spec = StoreSpec(self.ledger.rows.total, self.ledger.layout.block_size)
        seat = Incoming(number, self.ledger, acks, trio.current_time())
        return Column(number, store, Opening(self.disk_id, store.store, claim, spec), network, seat, self._is_mine)

    @property
    def places(self) -> LayoutPlaces:
        """Who holds the columns, as of the newest master block."""
        return self.keeper.places

    def _seed(self) -> bytes:
        assert self.keys.signing_seed is not None
        return self.keys.signing_seed

    @property
    def disk_id(self) -> DiskId:
        return self.keys.disk

    def _is_mine(self, store: StorePlace, column: int, place: Place, data: Octets) -> bool:
        try:
            coding.unbox(self.keys, store, self.ledger.layout.id, column, place, data)
        except NotAuthentic:
            return False
        return True

    async def _fetch(self, stripe: Sealed) -> Fetched:
        fetched = await self._fetcher.fetch(stripe.place, stripe.tag)
        if stripe.end is None:
            self.log.set_named_end(stripe.id, fetched.header.end)
        return fetched

    def _pass_by(self, stripe: Sealed) -> None:
        """A stripe cannot be read now. If it is lost for good, nobody waits for it, and if it is one of the log, that
        goes on without it."""
        if not self.ready.is_set() or self.columns.blocks_left(stripe) >= self.ledger.layout.k:
            return
        self.ledger.progress.give_up(stripe.id)
        if stripe.kind != Kind.DATA:
            self._retirer.pass_by(stripe.place.version)

    def _forget_content(self, stripes: Sequence[int]) -> None:
        self._nursery.start_soon(self._remove_content, list(stripes))

    async def _remove_content(self, stripes: list[int]) -> None:
        try:
            await self.committer.commit()  # freed by commit first, unlinked after (R5)
        except StateError:  # told as `trouble`; the next start sweeps up
            return
        self.local.stage.remove(stripes)

    def on_closed(self, group: Group) -> None:
        self.ledger.changed.notify()

    # --- running --------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Commit and stream until cancelled. What stops either is told in `trouble`, and the mount is read-only then;
        the other goes on."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._until_trouble, self.committer.run)
            nursery.start_soon(self._until_trouble, self._reclaimer.run)
            nursery.start_soon(self._until_trouble, self._stream)

    async def follow(self, known: Callable[[], Mapping[NodeKey, tuple[str, ...]]]) -> None:
        """Keep it with the partners where they are, until cancelled. known: where that is."""
        await self._until_trouble(partial(self.keeper.follow, known))

    async def _until_trouble(self, work: Callable[[], Awaitable[None]]) -> None:
        path = self.local.database.path
        try:
            await work()
        except* StateError as group:
            first = first_of(group)
            if isinstance(first, StaleHome):
                stalefile.write(path.parent, str(first))
            self.give_up(str(first))
        except* SqliteError as group:
            torn = first_of(group)
            assert isinstance(torn, SqliteError)
            self.give_up(str(damage_of(path, torn)))

    def give_up(self, trouble: str) -> None:
        """Nothing is written or sent any more; `trouble` says why."""
        self.trouble = trouble
        self.space.stop()
        self.committer.give_up(StateError(trouble))
        self.held_sync.give_up(StateError(trouble))
        logger.error("%s", trouble)
        self.ledger.changed.notify()

    async def _stream(self) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.columns.run)
            nursery.start_soon(self.chronicle.run)
            nursery.start_soon(self._recaller.run)
            nursery.start_soon(self._mender.run)
            nursery.start_soon(self.columns.each, self.cleaner.run)
            nursery.start_soon(self.keeper.run, self.columns, self._network)
            nursery.start_soon(self.replacing.run)
            nursery.start_soon(self.growing.run)
            rehold = Rehold(self.local, self.ledger, self.committer)
            await rehold.hold_again()
            nursery.start_soon(self._writer.run)
            await rehold.begin_epoch()
            self.ready.set()
            nursery.start_soon(self.refill.run)
            nursery.start_soon(self.salvager.run)
            nursery.start_soon(self.granter.run)
            nursery.start_soon(self._retirer.run)
            nursery.start_soon(self._compactor.run)
            nursery.start_soon(self.columns.each, self.scrubber.run)
            nursery.start_soon(self._mover.run)

    async def wait_until_ready(self, watch: Watch) -> None:
        """After a takeover: until all that was found is held again. StateError."""
        first = self.ledger.progress.pending
        while not self.ready.is_set():
            if self.trouble is not None:
                raise StateError(self.trouble)
            up = f"{self.columns.reached} of {len(self.columns.columns)} partners up"
            watch(f"make what was found safe again ({up})", first - self.ledger.progress.pending, first)
            with trio.move_on_after(PROGRESS_INTERVAL):
                await self.ready.wait()

    async def mount(self, home: Path, mountpoint: Path, options: Sequence[str], watch: Watch) -> None:
        """Return when the mount answers; home is what the table of mounts names. MountError, StateError, UsageError: a
        setting among them is wrong."""
        await self.wait_until_ready(watch)
        if self.trouble is not None:
            raise StateError(self.trouble)
        if self._mount is not None:
            raise MountError(f"this disk is mounted at {self.mountpoint} already")
        settings, rest = self._settings.with_options(options)
        set_cache_size(self.local.stage, self.ledger.layout, settings.cache)
        self.disk.compressor.level = settings.compress.level
        fsync = self.held_sync.sync if settings.fsync is Fsync.PARTNERS else None
        mount = Mount(Handlers(self.disk, self.committer, fsync), mountpoint, rest, str(home))
        await self._nursery.start(self._serve, mount, mountpoint)

    async def _serve(self, mount: Mount, mountpoint: Path, task_status: trio.TaskStatus[None]) -> None:
        self._mount, self.mountpoint = mount, mountpoint
        try:
            await mount.run(task_status)
        finally:
            self._mount = self.mountpoint = None

    async def unmount(self) -> None:
        """Unmount, and close the group that holds the last changes. MountError: not mounted, or in use."""
        if self._mount is None:
            raise MountError("this disk is not mounted")
        await self._mount.unmount()
        if self.trouble is None:
            await self.committer.close_group()

    # --- waiting ----------------------------------------------------------------------------------------------

    async def sync(self, path: Path | None, complete: bool, watch: Watch) -> None:
        """Wait until what was written so far, or what is at `path` and below, is held, or complete.

        UsageError: the path is not in the mount. StateError: nothing is sent any more.
        """
        if self.trouble is not None:
            raise StateError(self.trouble)
        metadata = self.local.metadata
        group = metadata.group if path is None else metadata.newest_group(self.inode_at(path))
        if group >= metadata.group:
            group = await self.committer.close_group() or 0
        progress = self.ledger.progress
        word = "complete" if complete else "held"
        first = None

        def is_there() -> bool:
            return (progress.complete() if complete else progress.barrier) >= group

        while not is_there():
            if self.trouble is not None:
                raise StateError(self.trouble)
            left = self.log.unsealed() + progress.pending
            first = max(first or left, left)
            watch(
                f"wait until {word} ({self.columns.reached} of {len(self.columns.columns)} partners up)",
                first - left,
                first,
            )
            with trio.move_on_after(PROGRESS_INTERVAL):  # acks come by the hundred: what is left is not counted at each
                await self.ledger.changed.wait_until(lambda: is_there() or self.trouble is not None)

    def inode_at(self, path: Path) -> int:
        """The inode at a path below the mountpoint. UsageError: the disk is not mounted there, or there is none."""
        if self.mountpoint is None or not path.is_relative_to(self.mountpoint):
            raise UsageError(f"{path} is not in the mounted disk")
        ino = ROOT_INO
        for part in path.relative_to(self.mountpoint).parts:
            found = self.local.metadata.names.find(ino, os.fsencode(part))
            if found is None:
                raise UsageError(f"{path} does not exist")
            ino = found
        return ino

    def damage(self) -> dict[str, int]:
        """Partner -> blocks of it that were met rotten or not authentic since the start."""
        return self._fetcher.damage()

    def close(self) -> None:
        """Close the files; what is not committed is lost."""
        self.local.close()
