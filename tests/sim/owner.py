"""The process that owns the disk: started, killed, and started again."""

import contextlib
import os
import shutil
import stat
from collections.abc import Callable, Mapping
from copy import copy
from pathlib import Path
from random import Random
from typing import Any

import trio
from pyfuse3 import FUSEError

from coopfs.app.disk.own_disk import OwnDisk
from coopfs.core.cache import charge_of
from coopfs.core.quorum import Quorum
from coopfs.errors import OutOfSpace, StateError
from coopfs.fs.callers import ROOT
from coopfs.fs.handlers import Handlers
from coopfs.local.contents import Contents
from coopfs.local.disk import STAGE
from coopfs.local.groups import Group
from coopfs.local.stage import Stage
from coopfs.tasks.reshaping.incoming import Incoming
from coopfs.tasks.signal import Signal
from coopfs.types import Kind, Place
from tests.fs.operations import Operation, OurSide, shrinking
from tests.sim.history import History
from tests.sim.picture import SHOWN, Camera
from tests.sim.platter import Platter
from tests.sim.trace import Violation
from tests.sim.work import Work
from tests.sim.world import Seat, Stripe, World

WAIT = 100.0  # seconds that a program waits for room in the cache before it gives up
NEWLY_HELD = f"SELECT coalesce(sum(length), 0) FROM stripes WHERE kind = {Kind.DATA:d} AND born > ? AND born <= ?"
LIVE = (
    "SELECT row, version, layout FROM stripes"
    " WHERE length > 0 AND born <= :barrier AND (died IS NULL OR died > :barrier)"
)


class _Watched(Signal):
    """A signal that tells one observer first."""

    def __init__(self, look: Callable[[], None]) -> None:
        super().__init__()
        self._look = look

    def notify(self) -> None:
        self._look()
        super().notify()


class _Elsewhere(dict[int, bytes]):
    """Content of stripes that are not on this machine any more."""

    def __missing__(self, stripe: int) -> bytes:
        raise Violation(f"content of stripe {stripe} is nowhere")


class Owner:
    """One process at a time. history: goes on over restarts, and when another machine takes over; elsewhere: content of
    stripes that this machine does not have, by stripe."""

    def __init__(self, world: World, platter: Platter, history: History, elsewhere: Mapping[int, bytes]) -> None:
        self.world = world
        self.history = history
        self.platter = platter
        self.took_over = bool(elsewhere)
        self._evicted = _Elsewhere(elsewhere)  # what left the cache, or died, of all processes
        self.own: OwnDisk
        self.side: OurSide
        self._camera: Camera
        self._scope: trio.CancelScope
        self._ended = trio.Event()
        self._starts = 0
        self._told = False
        self._zombie = False
        self._was_unseen = False  # a copy until now, whose groups became held while nobody looked
        self.may_be_fenced = False  # somebody is taking the disk over

    # --- the process ----------------------------------------------------------------------------------------------

    async def run(self, task_status: trio.TaskStatus[None]) -> None:
        """Be a process until it is killed."""
        self._ended = trio.Event()
        own = None
        try:
            async with trio.open_nursery() as nursery:
                self._scope = nursery.cancel_scope
                self._nursery = nursery
                directory = self.platter.directory
                world = self.world
                draw = world.random.randbytes
                try:
                    own = OwnDisk(
                        directory,
                        world.node,
                        world.network,
                        nursery,
                        world.wall,
                        draw=draw,
                        scrub=world.scrub,
                        lot=Random(directory.name).randrange,
                    )
                except StateError as refusal:
                    raise Violation(f"P3: the disk does not open: {refusal}") from None
                self._take_over(own)
                task_status.started()
                await own.run()
        finally:
            if own is not None:
                own.close()
            self._ended.set()

    def _take_over(self, own: OwnDisk) -> None:
        self.own = own
        own.ledger.changed = _Watched(self._look)
        self._look()
        own.reshaping.slicing.given = lambda node: self.world.given
        self._limit_cache(own.local.stage)
        self._remember_removed(own.local.stage.contents)
        own.local.metadata.extents.at_once = 1  # so that files of two extents are dropped in slices
        self.side = OurSide(own.disk)
        self.side.evicted = self._evicted
        if self.world.compresses and self._starts % 3 < 2:
            self.side.compress(1)
        self._handlers = Handlers(own.disk, own.committer)
        self._camera = Camera(own.disk, self.side.content)
        picture = self._camera.take()
        if self.history.moments:
            self.history.restart(own.local.metadata.group, picture)
        else:
            self.history.add(own.local.metadata.group, picture)
        self._starts += 1
        own.committer.on_closed = self._close

    def be_unseen(self) -> None:
        """What is done from now on is no part of the history: it is too much for a picture at the end of each group."""
        self.own.committer.on_closed = self.own.on_closed

    def _close(self, group: Group) -> None:
        self.history.close(group.id, self._camera.take())
        self.own.on_closed(group)

    def _look(self) -> None:
        """See whether a further group became held, at the moment it does, and whether the disk gave up."""
        if self._zombie:
            return
        if self.own.trouble is not None and not (self._told or self.may_be_fenced):
            self._told = True
            raise Violation(f"the disk gave up: {self.own.trouble}")
        self.seat()
        self._check_claims()
        progress = self.own.ledger.progress
        if progress.barrier < self.own.log.rehold:
            return  # after a takeover nothing is known to be held
        if progress.barrier > self.history.newest_held:
            self.history.held[progress.barrier] = self.away
            named = self.own.local.database.read(LIVE, {"barrier": progress.barrier}).fetchall()
            if any(row is None for row, _, _ in named):
                raise Violation(f"R7: group {progress.barrier} became held, and names a stripe that was never sealed")
            self._count(progress.barrier)
            self.history.named[progress.barrier] = [
                Stripe(Place(version, row), self.own.ledger.seats.of(layout).layout.k) for row, version, layout in named
            ]
            self.world.trace.protected = self.history.newest_versions
            if not self._was_unseen:  # else it became held with an A of before
                self._check_held(progress.barrier, progress.away, named)
        self._was_unseen = False

    def seat(self) -> None:
        """Let the world know who holds the columns now."""
        self.world.seat(self.own.keeper.block.layouts, self.own.ledger.layout.id)

    @property
    def away(self) -> frozenset[Seat]:
        """A, of all layouts."""
        away = self.own.ledger.progress.away
        seats = ((span, seat) for span in self.own.ledger.seats for seat in span.seats)
        return frozenset((span.layout.id, span.column(seat)) for span, seat in seats if away >> seat & 1)

    def _count(self, group: int) -> None:
        """How much user data became held, since the group that was held before."""
        ((content,),) = self.own.local.database.read(NEWLY_HELD, (max(self.history.named, default=0), group))
        self.world.trace.counts["held"] += 1
        self.world.trace.counts["held_bytes"] += content

    def _check_held(self, group: int, away: int, named: list[tuple[int, int, int]]) -> None:
        """R7, counted at the partners: all that the state names lies on enough columns outside A."""
        for row, version, layout in named:
            span = self.own.ledger.seats.of(layout)
            blocks, quorum = self._blocks(Place(version, row), layout, away), Quorum(span.layout.k, span.layout.m)
            if blocks < quorum.to_be_safe(span.own(away)):
                raise Violation(f"R7: group {group} became held with A = {away:#b}; row {row} is on {blocks} columns")

    def _check_claims(self) -> None:
        """R12, counted at the partners: who counts takes nothing of an older writer any more."""
        seats = {seat for span in self.own.ledger.progress.seats for seat in span.seats}
        for column in self.own.columns.columns:
            if column.away or column.number not in seats:
                continue
            granted, site = self.world.granted(column.place), self.world.known[column.place.node]
            if granted is None or site.number in self.world.damaged:
                continue  # what is lost takes nothing
            if granted[0] < self.own.log.epoch:
                raise Violation(f"R12: {column.place.name} counts, and takes blocks of epoch {granted[0]} still")

    def _blocks(self, place: Place, layout: int, away: int) -> int:
        """How many columns of its layout outside A have it."""
        stores = [column.place for column in self.own.columns.of(layout) if not away >> column.number & 1]
        return sum(self.world.holds(store, place.row, place.version) for store in stores)

    async def die(self, power: bool) -> None:
        """Leave a copy of the disk for the next process."""
        next_home = self.platter.directory.with_name(f"{self.platter.directory.name}+")
        if power:
            self.platter.lose_power(next_home, self.world.random)
        else:
            self.platter.kill(next_home)
        await self.burn()

    def content(self) -> dict[int, bytes]:
        """Of all stripes that this machine has or had, by stripe."""
        stage = self.platter.directory / STAGE
        return self._evicted | {int(path.name): path.read_bytes() for path in stage.iterdir() if path.name.isdigit()}

    def is_promoting(self) -> bool:
        """Whether a new store has just taken its place, or is about to: its loss is that of a column."""
        coming = self.own.columns.incoming
        if coming is None or coming.gone:
            return True
        assert isinstance(coming.seat, Incoming)
        return coming.seat.has_caught_up() and self.own.replacing.hindrance() is None

    def become_zombie(self) -> None:
        """Another machine is the node: what this one believes to be held, and that it gives up, is of no account."""
        self._zombie = True
        self.history = copy(self.history)

    def copied(self, directory: Path) -> "Owner":
        """Whoever starts a copy of this home as it is now: which of the two is the node is not known yet."""
        shutil.copytree(self.platter.directory, directory, ignore=shutil.ignore_patterns("*-shm"))
        past = self.history
        history = History(list(past.moments), past.durable, dict(past.held), dict(past.named))
        twin = Owner(self.world, Platter(directory), history, self._evicted)
        twin.took_over, twin._zombie = self.took_over, True
        return twin

    def go_on(self) -> None:
        """This one is the node, and the only one. What it has written meanwhile is on the disk by now, and what became
        held is what counts for puts that are still under way."""
        was_zombie, self._zombie, self.may_be_fenced = self._zombie, False, False
        if was_zombie:
            self.platter, self._was_unseen = Platter(self.platter.directory), True
            self._look()

    async def haunt(self, work: Work, random: Random) -> None:
        """A zombie's mount is still used, until it gives up."""
        with contextlib.suppress(StateError):
            while True:
                await trio.sleep(random.uniform(0, 20))
                for operation in work.next():
                    await self.apply(operation)
                self.in_background(self.own.committer.close_group)

    @property
    def is_running(self) -> bool:
        return not self._ended.is_set()

    async def burn(self) -> None:
        """The process is gone at once; nothing of its directory is used again."""
        self._scope.cancel()
        await self._ended.wait()

    # --- its mount ------------------------------------------------------------------------------------------------

    async def apply(self, operation: Operation) -> Any:
        """One operation, as the handlers do it."""
        committer, metadata = self.own.committer, self.own.local.metadata
        if self.world.compresses:
            operation = shrinking(operation)
        if operation[0] == "write":
            with trio.move_on_after(WAIT) as patience:
                await committer.until_may_append(len(operation[1][2]))
            if patience.cancelled_caught:  # the cache is full of what is not safe yet
                self.world.trace.note(trio.current_time(), "waited in vain")
                return None
        try:
            answer = self.side.apply(operation)
        except OutOfSpace:
            self.world.trace.note(trio.current_time(), "enospc")
            answer = "errno", "ENOSPC"
        self.history.add(metadata.group, self._camera.take())
        if metadata.totals.length > metadata.totals.content:
            self.world.trace.counts["compressed"] += 1
        committer.hurry()
        self._check_cap()
        return answer

    async def read(self, random: Random) -> bool:
        """Read some file. False: it cannot be had."""
        inodes = self.own.local.database.read("SELECT ino FROM inodes ORDER BY ino").fetchall()
        return await self.read_file(random.choice(inodes)[0])

    async def read_file(self, ino: int) -> bool:
        """The first bytes of a file, as the mount reads them. False: they cannot be had."""
        node = self.own.local.metadata.nodes.get(ino)
        if not stat.S_ISREG(node.mode):
            return True
        expected = self.side.content(ino, 0, SHOWN)
        handle = self.own.disk.open(node, os.O_RDONLY, ROOT)
        try:
            if await self._handlers.read(handle, 0, SHOWN) != expected:
                raise Violation(f"inode {ino} reads as something else than what was written")
        except FUSEError:
            return False
        finally:
            self.own.disk.release(handle)
            self._check_cap()
        return True

    # --- its cache ------------------------------------------------------------------------------------------------

    def _limit_cache(self, stage: Stage) -> None:
        cache, evict = stage.cache, stage.cache.evict
        if self.world.cache is not None:
            one = charge_of(stage.capacity)
            dirty = (self.world.cache - 1) * one if self.world.geometry.m else None
            cache.limit(self.world.cache * one, dirty)
            stage.make_room(0)

        def remember() -> int | None:
            stripe = evict()
            if stripe is not None and not self._zombie:
                self._check_evicted(stripe)
            if stripe is not None and stripe not in self._evicted:
                self._evicted[stripe] = stage.contents.path(stripe).read_bytes()
                self.world.trace.note(trio.current_time(), "evict")
            return stripe

        cache.evict = remember  # type: ignore[method-assign]

    def _remember_removed(self, contents: Contents) -> None:
        """What died and was given up may live in a state that a takeover finds, if nobody can know of a newer one."""
        remove = contents.remove

        def remember(stripe: int) -> int:
            path = contents.path(stripe)
            if stripe not in self._evicted and path.exists():
                self._evicted[stripe] = path.read_bytes()
            return remove(stripe)

        contents.remove = remember  # type: ignore[method-assign]

    def _check_evicted(self, id_: int) -> None:
        """R8, counted at the partners: what leaves this machine survives one loss more than it must."""
        stripe, away = self.own.log.get(id_), self.own.ledger.progress.away
        if stripe is None:
            return  # it died for good
        span = self.own.ledger.seats.of(stripe.layout)
        blocks = 0 if stripe.place is None else self._blocks(stripe.place, stripe.layout, away)
        if blocks < max(span.quorum.to_be_safe(span.own(away)), span.layout.k + 1):
            raise Violation(f"R8: stripe {id_} left the cache with {blocks} blocks outside A = {away:#b}")

    def _check_cap(self) -> None:
        """P6, counted on the disk."""
        stage = self.own.local.stage
        files = [path.stat().st_blocks * 512 for path in stage.contents.directory.iterdir()]
        if sum(files) > stage.cache.used:
            raise Violation(f"the stage takes {sum(files)} bytes, the books say {stage.cache.used}")
        if stage.cache.size is not None and sum(files) > stage.cache.size:
            raise Violation(f"P6: the stage takes {sum(files)} bytes of {stage.cache.size}")

    async def sync(self) -> None:
        """fsync(2): what was done before the call is durable when it returns."""
        moment = len(self.history.moments) - 1
        await self.own.committer.commit()
        self.history.synced(moment)

    async def close_group(self) -> None:
        moment = len(self.history.moments) - 1
        await self.own.committer.close_group()
        self.history.synced(moment)

    def in_background(self, work: Callable[[], Any]) -> None:
        """Somebody else asks at the same time; who asks dies with the process."""
        self._nursery.start_soon(work)
