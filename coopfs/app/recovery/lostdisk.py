"""A home's own disk that is lost: whether it is, and what of it a takeover keeps (design R6, R12)."""

import time
from contextlib import closing
from pathlib import Path

from coopfs.core.geometry import shard_capacity
from coopfs.errors import NotAsked, StateError, UsageError
from coopfs.local import keyfile, stalefile
from coopfs.local.database import Database
from coopfs.local.disk import DATABASE, LocalDisk
from coopfs.local.home import Home, sync_directory
from coopfs.local.log import Log
from coopfs.local.mastercopy import read_master
from coopfs.local.questions import Questioner
from coopfs.local.unsent import DAMAGED, Unsent, set_aside
from coopfs.tasks.recovery.takeover import Taken
from coopfs.types import DiskId, NodeKey


def why_lost(directory: Path, node: NodeKey) -> str | None:
    """Why the daemon cannot go on with the disk in this directory, in words; None: it can, as far as can be seen."""
    stale = stalefile.read(directory)
    if stale is not None:
        return stale
    try:
        keys = keyfile.read(directory)
        damage = _damage(directory / DATABASE)  # first: to open a torn one may make it worse
        if damage is not None:
            return damage
        with closing(LocalDisk(directory, time.time_ns)) as local:
            read_master(local.database, keys, node)
    except StateError as lost:
        return str(lost)
    return None


def why_unfinished(directory: Path) -> str | None:
    """Why a disk that is well can still be given up for what a further takeover finds; None: it cannot. StateError."""
    with closing(LocalDisk(directory, time.time_ns)) as local:
        log = Log(local.database, local.metadata.stripes.take_id)
        return "what it found before is not safe again" if log.rehold else None


def _damage(database: Path) -> str | None:
    if not database.is_file():
        return None  # which opening it says
    with closing(Questioner(database)) as asker:
        try:
            found = asker.structure()
        except NotAsked as why:
            raise UsageError(f"{database} cannot be looked at: {why}") from None
    return found[0].text if found else None


def keep_aside(home: Home, disk: DiskId, found: Taken) -> Unsent:
    """Let the lost disk give way to the one that was rebuilt: what it has not sent is sorted out, and kept beside it.
    Durable on return."""
    layouts = [places.layout for places in found.master.layouts]  # which of them it was in is not known
    capacities = [each.k * shard_capacity(each.block_size) for each in layouts]
    own = home.disk(disk)
    with closing(Database(found.directory / DATABASE)) as database:

        def version_of(stripe: int) -> int | None:
            row = database.read("SELECT version FROM stripes WHERE id = ?", (stripe,)).fetchone()
            return None if row is None else int(row[0])

        unsent = set_aside(own, found.state.group, version_of, capacities)
    own.rename(home.disks / f"{DAMAGED}{found.claim.epoch}")
    sync_directory(home.disks)
    return unsent
