"""This node's own disk while the daemon runs: everything between the mount and the partners, put together.

mount -> fs.Disk -> committer -> writer -> columns -> partners
             ^                     cleaner --^ |
             +--- content <- fetcher <---------+
"""

import logging
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import trio

from coopfs.app.disk.cache_size import set_cache_size
from coopfs.app.disk.locating import inode_at
from coopfs.app.disk.mount_settings import DEFAULTS, MountSettings
from coopfs.app.disk.opening_books import open_ledger
from coopfs.config import Fsync
from coopfs.core import coding
from coopfs.core.claims import sign_claim
from coopfs.core.keys import DiskKeys
from coopfs.core.master import PRIMARY, LayoutPlaces, StorePlace
from coopfs.errors import MountError, NoDescriptors, NotAuthentic, StaleHome, StateError, first_of
from coopfs.fs.disk import Disk
from coopfs.fs.handlers import Handlers
from coopfs.fs.mounting import Mount
from coopfs.limits import PROGRESS_INTERVAL, RUN_LEAP
from coopfs.local import keyfile, stalefile
from coopfs.local.database import SqliteError, damage_of
from coopfs.local.disk import LocalDisk
from coopfs.local.groups import Group
from coopfs.local.incoming import IncomingAcks
from coopfs.local.kitrecord import KitRecord, MadeKit
from coopfs.local.log import Log, Sealed
from coopfs.local.mastercopy import MasterHolders, read_master, save_master
from coopfs.local.readerlist import ReaderList
from coopfs.local.refillmark import RefillMark
from coopfs.local.rekeymark import RekeyMark
from coopfs.local.rowmark import RowMark
from coopfs.local.scrubmark import ScrubMark
from coopfs.local.survey import Survey
from coopfs.tasks.checking.challenger import Challenger
from coopfs.tasks.checking.checker import Checker
from coopfs.tasks.checking.mastercheck import MasterCheck
from coopfs.tasks.checking.scrubber import Scrubber
from coopfs.tasks.cleaning.cleaner import Cleaner
from coopfs.tasks.cleaning.compactor import Compactor
from coopfs.tasks.cleaning.lost import Lost
from coopfs.tasks.cleaning.mender import Mender
from coopfs.tasks.cleaning.mover import Mover
from coopfs.tasks.cleaning.recaller import Recaller
from coopfs.tasks.cleaning.reclaimer import Reclaimer
from coopfs.tasks.cleaning.releaser import Releaser
from coopfs.tasks.cleaning.retirer import Retirer
from coopfs.tasks.network import Network
from coopfs.tasks.reading.content import RemoteContent
from coopfs.tasks.reading.fetcher import Fetched, Fetcher
from coopfs.tasks.recovery.refill import Refill
from coopfs.tasks.recovery.rehold import Rehold
from coopfs.tasks.recovery.salvager import Salvager
from coopfs.tasks.reshaping.growing import Growing
from coopfs.tasks.reshaping.incoming import Incoming
from coopfs.tasks.reshaping.lowering import Lowering
from coopfs.tasks.reshaping.rekeying import Rekeying
from coopfs.tasks.reshaping.replacing import Replacing
from coopfs.tasks.reshaping.reshaping import Reshaping
from coopfs.tasks.reshaping.returner import Returner
from coopfs.tasks.reshaping.rewriter import Rewriter
from coopfs.tasks.reshaping.spreading import Spreading
from coopfs.tasks.reshaping.wishing import Wishing
from coopfs.tasks.writing.chronicle import Chronicle
from coopfs.tasks.writing.coder import Coder
from coopfs.tasks.writing.column import Column
from coopfs.tasks.writing.columns import Columns
from coopfs.tasks.writing.committer import Committer
from coopfs.tasks.writing.file_state import StateOfFile
from coopfs.tasks.writing.granter import Granter
from coopfs.tasks.writing.heldsync import HeldSync
from coopfs.tasks.writing.keeper import MasterKeeper
from coopfs.tasks.writing.pace import HeldPace
from coopfs.tasks.writing.space import PartnerSpace
from coopfs.tasks.writing.strays import remove_strays
from coopfs.tasks.writing.writer import Writer
from coopfs.types import Claim, DiskId, Layout, NodeKey, Octets, Opening, Place, StoreSpec

logger = logging.getLogger(__name__)

Watch = Callable[[str, int, int], None]  # step, done, total
NS = 1_000_000_000


class OwnDisk:
    """One disk, opened. trouble: why nothing is sent any more, in words; None while all is well.

    directory: HOME/disks/<disk id>; node: this node's key; network: the way to partners; wall: seconds since 1970;
    settings: where mount options do not say otherwise; draw: random bytes; scrub: seconds in which every block of every
    partner is looked at once, 0 for never; lot: a random number below another. StateError: its files are missing,
    damaged, or of another version.
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
        lot: Callable[[int], int] = secrets.randbelow,
    ) -> None:
        self.keys = keyfile.read(directory)
        self.local = LocalDisk(directory, lambda: int(wall() * NS))
        master = read_master(self.local.database, self.keys, node)
        self.log = Log(self.local.database, self.local.metadata.stripes.take_id)
        self.log.versions.begin_run(partial(self._leap, lot))
        self.ledger = open_ledger(self.local, self.log, master, self._forget_content)
        self.kits, self.readers = KitRecord(self.local.database), ReaderList(self.local.database)
        self.chronicle = Chronicle(self.ledger, self.local.database, wall)
        self.space = PartnerSpace(self.ledger, self.local.metadata, self.local.stage, directory)
        pace = HeldPace(self.ledger, self.local.metadata, self.space)
        self.committer = Committer(self.local.metadata, self.local.stage, self.on_closed, pace)
        claim = sign_claim(self._seed(), self.log.epoch, bytes(self.local.database.fact("claimer")), int(wall()))
        acks = IncomingAcks(self.local.database)
        self.columns = Columns(master.layouts, partial(self._make_column, network, claim, acks), self.ledger, wall)
        save = partial(save_master, self.local.database, self.keys, node)
        holders = MasterHolders(self.local.database)
        self.keeper = MasterKeeper(self.keys, master, claim, self.log, save, self.committer.commit, holders)
        self.growing = Growing(self.keeper, self.columns, self.ledger, self.kits, RowMark(self.local.database))
        self.rekeying = self._make_rekeying(partial(keyfile.write, directory))
        self.granter = Granter(self.readers, self.disk_id, self.columns, network)
        self._fetcher = Fetcher(self.keys, self.columns.stores)
        coder = self._make_coder()
        self._writer = Writer(self.keys, self.ledger, coder, self.columns.stores, self.committer.commit)
        self._reclaimer = Reclaimer(self.local.metadata, self.committer.commit)
        self._releaser = Releaser(self.ledger, self.committer.commit)
        self._retirer = Retirer(self.ledger, self.local.metadata, self.space, self.committer.commit)
        content = RemoteContent(self.log, self._fetcher, self.local.stage, nursery)
        may_append = self.committer.until_may_append
        self._compactor = Compactor(self.ledger, self.local, self.space, may_append, coder.is_intact, content.read_once)
        self._lost = Lost(self.columns, self.ledger, self.local, self._compactor, self._retirer, self.committer)
        self.cleaner = Cleaner(self.ledger, coder, self._writer.in_hand, self._lost.note)
        self._mover = Mover(self.columns, self.ledger, self.space, self._compactor, self._retirer, self.local.database)
        self._rewriter = Rewriter(self.rekeying, self.ledger, self.space, self._compactor, self._retirer)
        tools = (self.keeper, self.columns, self.ledger, self.space, self.growing)
        self.reshaping = Reshaping(*tools, self.kits, self.local, draw)
        returning = self.reshaping.returning
        of_master = (self.keeper, self.columns, self.ledger, acks, self.kits, returning)
        self.replacing = Replacing(*of_master, self.committer.commit, draw)
        self._returner = Returner(returning, self.keeper, self.columns, network, claim)
        self._wishing = Wishing(self.keeper, self.growing, self.rekeying, self._returner)
        self._recaller = Recaller(self.ledger, self.local.cache, content)
        self.refill = Refill(RefillMark(self.local.database), self.ledger, self.local.cache, content)
        set_cache_size(self.local.stage, self.ledger.layout, settings.cache)
        self.held_sync = HeldSync(self.local.metadata, self.committer, self.ledger)
        self.disk = self._make_disk(content, settings)
        self._mender = Mender(self.columns, self.ledger, self._fetcher)
        self._fetcher.on_lack = self._mender.note
        self._challenger = Challenger(self.columns, self.ledger, self._fetcher, draw)
        self._fetcher.on_silence = self._challenger.note
        mark, survey = ScrubMark(self.local.database), Survey(self.local.database)
        self.scrubber = Scrubber(scrub, mark, survey, self.columns, self.ledger, self._fetcher, content, wall)
        self.salvager = Salvager(directory.parent, self.disk, self.committer, self.ledger)
        self.checker = self._make_checker(content.recall, network, wall)
        self.trouble: str | None = None
        self.ready = trio.Event()  # nothing hinders writing: after a takeover, all it found is held again
        self.mountpoint: Path | None = None
        self._mount: Mount | None = None
        self._settings, self._network, self._nursery = settings, network, nursery

    def _leap(self, lot: Callable[[int], int]) -> int:
        """By how many versions this run goes ahead: not to those of a key that is not in use yet."""
        left = self.keys.ages[-1].first - 1 - self.log.newest_version
        return lot(RUN_LEAP if left <= 0 else min(RUN_LEAP, left // 4 + 1))

    def _make_disk(self, content: RemoteContent, settings: MountSettings) -> Disk:
        disk = Disk(self.local, self.space, content, StateOfFile(self.ledger))
        disk.compressor.level = settings.compress.level
        disk.bury_orphans()
        return disk

    def _make_checker(
        self, recall: Callable[[int], Awaitable[None]], network: Network, wall: Callable[[], float]
    ) -> Checker:
        masters = MasterCheck(self.keys, self.keeper, self.columns, network)
        books = (self.keys, self.local, self.ledger, self.columns)
        of_files = (self.disk.handles.in_use, self.disk.tell)
        commit = self.committer.commit
        return Checker(*books, self._fetcher, self._fetch, *of_files, commit, wall, recall, masters)

    def _make_coder(self) -> Coder:
        stripes = self.local.metadata.stripes
        return Coder(self.keys, self._layout_of, self.local.stage, stripes, self.log, self._fetch)

    def _make_column(
        self, network: Network, claim: Claim, acks: IncomingAcks, number: int, store: StorePlace
    ) -> Column:
        """What is being filled, or of a layout that is not used yet, is made if need be; what counts never is (R16)."""
        span = self.ledger.seats.at(number)
        spec = StoreSpec(self.ledger.rows_at(number).total, span.layout.block_size)
        counts = store.role == PRIMARY and span in self.ledger.progress.seats
        opening = Opening(self.disk_id, store.store, claim, None if counts else spec)
        books = self.ledger if store.role == PRIMARY else Incoming(number, self.ledger, acks, trio.current_time())
        may = (self._is_mine, self.committer.until_may_change)
        return Column(span, number, store, opening, network, books, *may)

    def _layout_of(self, id_: int) -> Layout:
        return self.ledger.seats.of(id_).layout

    def _make_rekeying(self, save: Callable[[DiskKeys], None]) -> Rekeying:
        spreading = Spreading(self.keeper, self.columns, self.ledger, self.kits)
        mark = RekeyMark(self.local.database)
        return Rekeying(self.keys, save, mark, self.keeper, spreading, self.log, self.ledger.moved)

    @property
    def places(self) -> LayoutPlaces:
        """Who holds the columns of the layout that new stripes get, as of the newest master block."""
        return self.keeper.of(self.ledger.layout.id)

    def _seed(self) -> bytes:
        assert self.keys.signing_seed is not None
        return self.keys.signing_seed

    @property
    def disk_id(self) -> DiskId:
        return self.keys.disk

    def _is_mine(self, store: StorePlace, number: int, place: Place, data: Octets) -> bool:
        span = self.ledger.seats.at(number)
        try:
            coding.unbox(self.keys, store, span.layout.id, span.column(number), place, data)
        except NotAuthentic:
            return False
        return True

    async def _fetch(self, stripe: Sealed) -> Fetched:
        fetched = await self._fetcher.fetch(stripe.layout, stripe.place, stripe.tag)
        if stripe.end is None:
            self.log.set_named_end(stripe.id, fetched.header.end)
        return fetched

    def _forget_content(self, stripes: Sequence[int]) -> None:
        self._nursery.start_soon(self._remove_content, list(stripes))

    async def _remove_content(self, stripes: list[int]) -> None:
        try:
            await self.committer.commit()  # freed by commit first, unlinked after (R5)
        except StateError:  # told as `trouble`; the next start sweeps up
            return
        try:
            self.local.stage.remove(stripes)
        except OSError as failed:  # the next start tries it again
            logger.warning("a stage file that is not needed any more stays: %s", failed)

    def hand_out(self, kit: MadeKit) -> None:
        """A kit is its owner's from now on, for which some changes wait. Durable with the next commit."""
        self.kits.note(kit)
        self.keeper.changed.notify()

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
            self.local.database.fail(str(torn))  # half of what met it may be in the transaction
            self.give_up(str(damage_of(path, torn)))
        except* (OSError, NoDescriptors) as group:
            failed = f"the local disk failed: {first_of(group)}"
            self.local.database.fail(failed)
            self.give_up(failed)

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
            nursery.start_soon(self.columns.each, self._challenger.run)
            nursery.start_soon(self.columns.each, self.cleaner.run)
            nursery.start_soon(self.keeper.run, self.columns, self._network)
            nursery.start_soon(self.replacing.run)
            nursery.start_soon(self._returner.run)  # a partner may have no room for what is to be held again until then
            nursery.start_soon(self.rekeying.run)
            nursery.start_soon(self._wishing.run)
            rehold = Rehold(self.local, self.ledger, self.committer)
            await rehold.hold_again()
            nursery.start_soon(self._writer.run)
            nursery.start_soon(remove_strays, self.local.stage, self.ledger)
            await rehold.begin_epoch()
            self.ready.set()
            nursery.start_soon(self.refill.run)
            nursery.start_soon(self.salvager.run)
            nursery.start_soon(self.granter.run)
            nursery.start_soon(self._releaser.run)
            nursery.start_soon(self._retirer.run)
            nursery.start_soon(self._compactor.run)
            nursery.start_soon(self._lost.run)
            nursery.start_soon(self.columns.each, self.scrubber.run)
            lowering = Lowering(self.ledger, self.space, self._compactor, self._retirer, self.local.database)
            # until now all may be in A, and for whoever is there no store has to grow
            for each in (self._mover, self._rewriter, lowering, self.reshaping, self.growing):
                nursery.start_soon(each.run)

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

    def inode_at(self, path: Path) -> int:
        """The inode at a path below the mountpoint. UsageError: the disk is not mounted there, or there is none."""
        return inode_at(self.local.metadata.names, self.mountpoint, path)

    def damage(self) -> dict[str, int]:
        """Partner -> blocks of it that were met rotten or not authentic since the start."""
        return self._fetcher.damage()

    def close(self) -> None:
        """Close the files; what is not committed is lost."""
        self.local.close()
