"""Makes changes durable: one commit for all who wait, once a second while things change, and the boundaries of groups.

A commit (see local/database for the argument):

1. the stage files written since the last one are synced in a thread, while writes go on;
2. writes of content are held back, and the little that came meanwhile is synced too;
3. COMMIT on the loop, in which a group that is old enough is closed; writes go on;
4. the WAL is synced in a thread. Whoever waited since before 3 is answered; dead stage files are unlinked.

A group that is full of content is closed at once, between two operations and without waiting for the disk: whoever
sends it asks for a commit first. So writes go on at the speed of memory until that commit, and groups have a bounded
size (R9).

Operations that carry no content are not held back by the cache. Those that do also wait while it holds as much as it
may of what is not safe elsewhere (R8), and while UNSYNCED_MAX has still to be synced. All wait while one commit would
become larger than the room that the database has on a full disk.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from math import inf

import trio

from coopfs.errors import StateError
from coopfs.limits import (
    CHANGES_MOST,
    CHANGES_SOON,
    COMMIT_INTERVAL,
    GROUP_AGE,
    MIB,
    SYNC_EARLY_BYTES,
    UNSYNCED_MAX,
    WAL_CHECKPOINT_BYTES,
)
from coopfs.local.groups import Group
from coopfs.local.metadata import Metadata
from coopfs.local.stage import Stage
from coopfs.tasks.signal import Signal, changes
from coopfs.tasks.writing.pace import Pace, Steady

HELD_BACK_BYTES = 8 * MIB  # unsynced bytes below which writes are held back for their sync: 0.1 s at 80 MB/s
PRESYNCS = 4  # rounds that may try to get there while somebody writes faster than the disk
SOONEST = 0.01  # seconds that are waited at least, so that rounding makes nobody turn in circles
WAL_HARD_BYTES = 2 * WAL_CHECKPOINT_BYTES  # the WAL is cut here even if the loop has to wait: one commit more has room


@dataclass(slots=True, eq=False)
class _Request:
    """Somebody who waits for a commit."""

    close_group: bool
    done: trio.Event = field(default_factory=trio.Event)
    group: int | None = None
    error: StateError | None = None


class Committer:
    """The only one who commits. on_closed: called with each group that was closed; the next commit makes it durable."""

    def __init__(
        self, metadata: Metadata, stage: Stage, on_closed: Callable[[Group], None], pace: Pace | None = None
    ) -> None:
        self._metadata = metadata
        self._database = metadata.database
        self._stage = stage
        self.on_closed = on_closed
        self._pace = Steady() if pace is None else pace
        self._asked = False  # somebody wants the open group closed as soon as that may be
        self._requests: list[_Request] = []
        self._wake = trio.Event()
        self._gate: trio.Event | None = None
        self._never_sent: list[int] = []  # stripes whose stage files go after the next commit
        self._group_since: float | None = None  # trio time of the first commit of the open group
        self._failure: StateError | None = None
        self._end: StateError | None = None  # nobody commits any more
        self._hopeless: StateError | None = None  # why room will not come
        self._room = Signal()
        self._stirred = Signal()  # something was changed, or somebody asks
        self.waiting = 0  # who wants to append and may not, as the cache is full of what is not safe yet
        stage.cache.on_room = self._room.notify
        self._database.on_touched = self._stirred.notify

    def may_append(self, length: int) -> bool:
        """Whether so many bytes of one file may be appended just now."""
        return not self._is_syncing() and self._stage.may_append(length)

    def _is_syncing(self) -> bool:
        return self._gate is not None or self._stage.unsynced_bytes >= UNSYNCED_MAX

    async def until_may_append(self, length: int) -> None:
        """Wait until they may be. StateError: that will not be, since nothing is committed or sent any more.

        Called between two operations, as `hurry`.
        """
        self.hurry()
        while not self.may_append(length):
            if (hopeless := self._failure or self._hopeless) is not None:
                raise hopeless
            if self._is_syncing():
                await self._until_synced()
                continue
            self.waiting += 1
            try:
                await self._room.wait()
            finally:
                self.waiting -= 1

    async def until_may_move(self) -> None:
        """Wait until what is in the cache may be appended again, be that full of what is not safe yet. StateError."""
        while self._is_syncing():
            if (hopeless := self._failure or self._hopeless) is not None:
                raise hopeless
            await self._until_synced()

    async def _until_synced(self) -> None:
        """Until the commit under way, or the one that is due, is over."""
        if self._gate is not None:
            await self._gate.wait()
        else:
            self._hasten()
            await self._room.wait()

    def may_change(self) -> bool:
        """Whether anything may be changed just now. If much has been, it is committed before time."""
        changes = self._metadata.uncommitted
        if changes > CHANGES_SOON:
            self._hasten()
        return changes <= CHANGES_MOST or self._failure is not None or self._end is not None

    async def until_may_change(self) -> None:
        """Wait until it may be."""
        await self._room.wait_until(self.may_change)

    def give_up(self, failure: StateError) -> None:
        """Nothing is sent any more, so nobody need wait for room."""
        self._hopeless = failure
        self._room.notify()

    def hurry(self) -> None:
        """Close the open group if its content is all it may hold, and commit before time if much has changed. Called
        after every change."""
        if self._metadata.is_full_of_content(self._stage):
            self._close()
        many = self._metadata.uncommitted > CHANGES_SOON
        much = self._stage.unsynced_bytes > SYNC_EARLY_BYTES
        if many or much or (self._metadata.should_close(self._stage, 0.0) and not self._is_held_back()):
            self._hasten()

    def _hasten(self) -> None:
        """Commit now."""
        self._wake.set()
        self._stirred.notify()

    async def commit(self) -> None:
        """Return when all changes made before the call survive a power loss. StateError: the disk failed."""
        await self._ask(_Request(close_group=False))

    async def close_group(self) -> int | None:
        """Close the open group, durably, at once or as soon as that may be. Returns the group that holds all that came
        before; None: nothing did."""
        return await self._ask(_Request(close_group=True))

    async def _ask(self, request: _Request) -> int | None:
        if self._failure is not None:
            raise self._failure
        if self._end is not None:
            await trio.lowlevel.checkpoint_if_cancelled()  # who ends with the disk has not failed
            raise self._end
        self._requests.append(request)
        self._hasten()
        await request.done.wait()
        if request.error is not None:
            raise request.error
        return request.group

    async def run(self) -> None:
        """Commit until cancelled. StateError: the disk failed; everybody who waits has been told."""
        try:
            while True:
                await self._until_changed()
                with trio.move_on_after(COMMIT_INTERVAL):
                    await self._wake.wait()
                self._wake = trio.Event()
                with trio.CancelScope(shield=True):  # a commit that began is finished: its waiters are owed an answer
                    await self._commit_once()
        finally:
            self._end = StateError("the disk is closed")
            self._refuse(self._end)  # who waits where it cannot be cancelled would wait for ever
            self._room.notify()

    async def _until_changed(self) -> None:
        """Until there is something to commit, somebody asks, or the open group is due: an idle disk wakes nobody."""
        while not (self._metadata.changed or self._wake.is_set() or self._due()):
            with changes(self._stirred, self._pace.changed) as changed, trio.move_on_after(self._until_due()):
                await changed.wait()

    def _until_due(self) -> float:
        """Seconds until the age of the open group closes it, as things stand."""
        if self._group_since is None or self._is_held_back():
            return inf
        left = self._group_since + GROUP_AGE * self._pace.stretch() - trio.current_time()
        return max(left, SOONEST)

    async def _commit_once(self) -> None:
        if not (self._metadata.changed or self._requests or self._due()):
            return
        answered: list[_Request] = []
        try:
            await self._durable_commit(answered)
        except (StateError, OSError) as failed:
            self._fail(failed if isinstance(failed, StateError) else StateError(f"the local disk failed: {failed}"))
            raise StateError(str(self._failure)) from failed
        except BaseException:
            self._fail(StateError("the last commit met an error of this program: see the log"))
            raise
        finally:
            for request in answered:
                request.error = self._failure
                request.done.set()

    def _fail(self, failure: StateError) -> None:
        """Nobody is told any more that anything is durable."""
        self._failure = failure
        self._database.fail(str(failure))
        self._refuse(failure)
        self._room.notify()

    def _refuse(self, error: StateError) -> None:
        """Who waits for a commit gets none."""
        for request in self._requests:
            request.error = error
            request.done.set()
        self._requests.clear()

    async def _durable_commit(self, answered: list[_Request]) -> None:
        """Moves the requests that this commit serves to `answered`."""
        await self._sync_ahead()
        self._gate = trio.Event()
        try:
            await self._sync_stage()
            answered.extend(self._requests)
            self._requests.clear()
            never_sent = self._end_transaction(any(r.close_group for r in answered))
            newest = self._metadata.group - (not self._asked)
            await self._cut_wal()
        finally:
            self._gate.set()
            self._gate = None
            self._room.notify()
        await trio.to_thread.run_sync(self._database.sync_wal)
        for request in answered:
            request.group = newest or None
        self._stage.remove(never_sent)

    async def _sync_ahead(self) -> None:
        for _ in range(PRESYNCS):
            if self._stage.unsynced_bytes < HELD_BACK_BYTES:
                return
            await self._sync_stage()

    async def _sync_stage(self) -> None:
        paths = self._stage.take_unsynced()
        if paths:
            await trio.to_thread.run_sync(self._stage.sync, paths)

    def _end_transaction(self, close_group: bool) -> list[int]:
        """COMMIT. Returns the stripes that go once that is durable."""
        self._asked = self._asked or close_group
        if self._due():
            self._close()
        else:
            self._never_sent += self._metadata.prepare(self._stage)
            self._asked = self._asked and self._metadata.group_changed
        never_sent, self._never_sent = self._never_sent, []
        self._database.commit()
        if not self._metadata.group_changed:
            self._group_since = None
        elif self._group_since is None:
            self._group_since = trio.current_time()
        return never_sent

    def _close(self) -> None:
        """Close the open group here, between two operations."""
        closed, never_sent = self._metadata.close_group(self._stage)
        self._never_sent += never_sent
        self._group_since = None
        self._asked = False
        if closed is not None:
            self.on_closed(closed)

    def _due(self) -> bool:
        age = 0.0 if self._group_since is None else trio.current_time() - self._group_since
        due = self._asked or self._metadata.should_close(self._stage, age / self._pace.stretch())
        return due and not self._is_held_back()

    def _is_held_back(self) -> bool:
        return not self._metadata.is_full_of_content(self._stage) and self._pace.holds_back()

    async def _cut_wal(self) -> None:
        """Checkpoint when the WAL is long. Right after a commit nobody reads from it, so it can start again: if nothing
        is changed before the thread is done, or else here, where most was copied before."""
        size = self._database.wal_bytes()
        if size >= WAL_HARD_BYTES:
            self._database.checkpoint()
        elif size >= WAL_CHECKPOINT_BYTES:
            await trio.to_thread.run_sync(self._database.checkpoint)
