"""Everything back from the kit and the partners alone: the restore view, and the copy (design R11, R14, section 2.4).

1. be the node that the kit names, but serve nothing and call its partners;
2. master blocks, inventories, T, replay: tasks/recovery/recovery;
3. mount the rebuilt database read only; content comes from the partners on demand;
   or walk it and write it out. Who is missing, and what can be read without them, is said all the while.
"""

import random
import secrets
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import trio

from coopfs.app.rates import download_toll
from coopfs.app.recovery.callers import wait_for_calls
from coopfs.app.recovery.copying import CopyOut
from coopfs.app.recovery.dialogue import Dialogue
from coopfs.core.identity import Identity
from coopfs.core.kit import Kit, KitDisk
from coopfs.core.wire.node_requests import Hello
from coopfs.core.wire.session import Standing
from coopfs.errors import NotRestorable, UsageError
from coopfs.fs.disk import Disk
from coopfs.fs.handlers import Handlers
from coopfs.fs.mounting import Mount, check_mountpoint
from coopfs.fs.ports import NothingToCommit, ReadOnlySpace
from coopfs.limits import PROTOCOL_VERSION
from coopfs.local.disk import LocalDisk
from coopfs.local.log import Log
from coopfs.net.channel import LocalNode
from coopfs.net.dialer import Contact
from coopfs.net.roster import Roster
from coopfs.net.tcp import dial_tcp
from coopfs.tasks.reach import RosterNetwork
from coopfs.tasks.reading.content import RemoteContent
from coopfs.tasks.reading.fetcher import Fetcher
from coopfs.tasks.reading.reader import readers_of
from coopfs.tasks.recovery.attendance import Attendance
from coopfs.tasks.recovery.masters import MasterSearch
from coopfs.tasks.recovery.nobody import Nobody
from coopfs.tasks.recovery.recovery import Recovery, State
from coopfs.types import NodeKey

NS = 1_000_000_000


async def mount_view(taken: Kit, mountpoint: Path, talk: Dialogue, ready: Callable[[], None]) -> None:
    """Serve the newest state read only until it is unmounted. MountError, NotRestorable."""
    await trio.to_thread.run_sync(check_mountpoint, mountpoint)
    async with opened(taken, talk) as disk:
        mount = Mount(Handlers(disk, NothingToCommit()), mountpoint, ["ro"])
        async with trio.open_nursery() as nursery:
            await nursery.start(mount.run)
            ready()


async def copy_out(taken: Kit, directory: Path, talk: Dialogue) -> None:
    """Write the newest state into a directory. UsageError, NotRestorable, ContentUnavailable."""
    directory.mkdir(parents=True, exist_ok=True)
    if any(directory.iterdir()):
        raise UsageError(f"{directory} is not empty: choose another directory")
    async with opened(taken, talk) as disk:
        await CopyOut(disk, directory, talk.watch).run()


@asynccontextmanager
async def opened(taken: Kit, talk: Dialogue) -> AsyncIterator[Disk]:
    """The disk of the kit at its newest state, with content from whoever is up."""
    if not taken.disks:
        raise UsageError("this kit is of a node without a disk")
    wanted = taken.disks[0]
    hello = Hello(secrets.token_bytes(16), PROTOCOL_VERSION, PROTOCOL_VERSION, serves=False)
    node = LocalNode(Identity.from_seed(taken.identity), hello, secrets.token_bytes)
    roster = Roster(node, lambda key: standing(roster, key), lambda key: Nobody(), dial_tcp, random.random)
    with tempfile.TemporaryDirectory(prefix="coopfs-restore-") as work, ExitStack() as afterwards:
        async with trio.open_nursery() as nursery:
            await nursery.start(roster.run)
            disk, fetcher = await _recover(taken, wanted, roster, nursery, Path(work), talk)
            afterwards.callback(_close, disk, fetcher, talk)  # when no task looks into it any more
            try:
                yield disk
            finally:
                nursery.cancel_scope.cancel()


def _close(disk: Disk, fetcher: Fetcher, talk: Dialogue) -> None:
    disk.close()
    for name, count in fetcher.damage().items():
        talk.say(f"{name}: {count} blocks are damaged; others took their place")


async def _recover(
    taken: Kit, wanted: KitDisk, roster: Roster, nursery: trio.Nursery, work: Path, talk: Dialogue
) -> tuple[Disk, Fetcher]:
    network = RosterNetwork(roster, download_toll(talk.download_limit, time.time))
    for partner in taken.partners:
        roster.add(Contact(partner.node, partner.addresses))
    await wait_for_calls(roster, [partner.node for partner in taken.partners], talk, nursery)
    search = MasterSearch(wanted.keys, network, lambda node, places: know(roster, node, places), talk.watch)
    master = await search.run([partner.node for partner in taken.partners])
    readers = readers_of(master.layouts, wanted.keys.disk, network)
    for reader in readers:
        nursery.start_soon(reader.run)
    fetcher = Fetcher(wanted.keys, readers)
    recovery = Recovery(wanted.keys, master.layouts, readers, fetcher, work, talk.watch)
    await recovery.witnesses.gather()
    state = await recovery.find(max(wanted.floor, master.floor, key=lambda floor: floor.version))
    agree(state, talk)
    local = LocalDisk(state.directory, time.time_ns)
    log = Log(local.database, local.metadata.stripes.take_id)
    attendance = Attendance([places.layout for places in master.layouts], readers, log, talk.say)
    nursery.start_soon(attendance.run)
    local.cache.limit(0, 0)  # what is fetched is kept in memory
    content = RemoteContent(log, fetcher, local.stage, nursery)
    return Disk(local, ReadOnlySpace(log.content_bytes()), content, attendance), fetcher


def standing(roster: Roster, key: NodeKey) -> Standing:
    """Of who calls a restore: only partners are waited for."""
    return Standing.PARTNER if roster.knows(key) else Standing.STRANGER


def know(roster: Roster, node: NodeKey, addresses: tuple[str, ...]) -> None:
    """A master block names this partner; the kit may have named it elsewhere, and where it said so is tried first."""
    before = roster.addresses(node)
    if not set(addresses) <= set(before) or not roster.knows(node):
        roster.add(Contact(node, (*before, *addresses)))


def agree(state: State, talk: Dialogue, first: str = "") -> None:
    """Say of which moment the state is; if something newer may have been held, ask. first: what has to be done before
    the answer may be yes, as the end of a sentence."""
    date = datetime.fromtimestamp(state.time / NS, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    talk.say(f"the newest whole state is of {date}")
    if state.doubt is None:
        return
    doubt = f"{state.doubt}. What was written after {date} may be missing"
    if talk.accept_older:
        talk.say(f"taken all the same, as --accept-older says: {doubt}")
        return
    must = f" Before you say yes, {first}." if first else ""
    if not talk.ask(f"{doubt}.{must} Take the state of {date} all the same?"):
        then = f"{first}; then " if first else ""
        raise NotRestorable(
            f"a newer state than that of {date} may exist: {state.doubt} ({then}--accept-older takes it)"
        )
