"""`coopfs takeover`: this machine becomes the node of a kit (design R12, R13).

1. a home with the kit's identity, made if it is not there; a disk in it that is well is left alone;
2. claims, T and the rebuilt database: tasks/recovery/takeover, as one who calls and serves nothing;
3. the partners are known and the disk is in place, and what a lost one had not sent is beside it (local/unsent); the
   daemon, when it is started, holds everything again and begins the new epoch. Until then it cannot be mounted.

It may be killed anywhere: run it again.
"""

import random
import secrets
import shutil
import time
from pathlib import Path

import trio

from coopfs import configtext
from coopfs.app.rates import download_toll
from coopfs.app.recovery.callers import wait_for_calls
from coopfs.app.recovery.dialogue import Dialogue
from coopfs.app.recovery.lostdisk import keep_aside, why_lost, why_unfinished
from coopfs.app.recovery.restoring import agree, know, standing
from coopfs.config import FILE_NAME, Config
from coopfs.core.claims import CLAIMER
from coopfs.core.identity import Identity
from coopfs.core.kit import Kit, KitDisk, KitPartner
from coopfs.core.master import MasterBlock, Trustee
from coopfs.core.storeformat import store_size
from coopfs.core.wire.node_requests import Hello
from coopfs.errors import UsageError
from coopfs.limits import PROTOCOL_VERSION
from coopfs.local import partners
from coopfs.local.database import Database
from coopfs.local.disk import DATABASE
from coopfs.local.home import Home, sync_directory
from coopfs.local.kitrecord import KitRecord, MadeKit
from coopfs.local.nodedb import NodeDatabase
from coopfs.local.partners import PartnerEntry
from coopfs.local.rekeymark import RekeyMark
from coopfs.local.unsent import DAMAGED, Unsent
from coopfs.net.channel import LocalNode
from coopfs.net.dialer import Contact
from coopfs.net.roster import Roster
from coopfs.net.tcp import dial_tcp
from coopfs.tasks.reach import RosterNetwork
from coopfs.tasks.recovery.nobody import Nobody
from coopfs.tasks.recovery.takeover import Taken, Takeover
from coopfs.types import NodeKey

TAKING_OVER = "taking-over"  # the name of the directory until the disk is this machine's
SWITCH_OFF = "switch the old machine off: it may still be able to write"


async def take_over(path: Path, taken: Kit, chosen: Config, anew: bool, talk: Dialogue) -> None:
    """chosen: of a home that has to be made; anew: what an earlier takeover of this home found, and could not make safe
    again, is given up. UsageError, NotRestorable; HomeError: a daemon runs, no room."""
    if not taken.disks:
        raise UsageError("this kit is of a node without a disk")
    if taken.read_only:
        raise UsageError("this kit can only read: a takeover needs one that was exported without --read-only")
    home = Home(path)
    if _make_home(home, taken, chosen):
        talk.say(f"{home.path / FILE_NAME} is new: what the old machine's said, matching servers too, is in no kit")
    with home.locked():
        own = home.disk(taken.disks[0].keys.disk)
        if own.exists():
            why = why_lost(own, Identity.from_seed(taken.identity).key)
            if why is None and anew:
                why = why_unfinished(own)
            if why is None:
                _refuse_or_finish(home, taken, talk)
                return
            talk.say(f"the disk of this home is lost, and is rebuilt from the partners ({why})")
        others = [path.name for path in home.disks.iterdir() if path.name not in (TAKING_OVER, own.name)]
        others = [name for name in others if not name.startswith(DAMAGED)]
        if others:
            raise UsageError(f"{home.disks} has a disk already ({others[0]}): move it away, or choose another --home")
        await _become(home, taken, taken.disks[0], talk)


def _refuse_or_finish(home: Home, taken: Kit, talk: Dialogue) -> None:
    """The disk is there, and well: an earlier try may have ended with that, and was killed before it had cleared
    away."""
    work = home.disks / TAKING_OVER
    if not work.exists():
        raise UsageError(f"{home.path} has this disk already, and it is well: start its daemon")
    shutil.rmtree(work)
    talk.say(f"this machine has become {taken.name} already: start its daemon")


def _make_home(home: Home, taken: Kit, chosen: Config) -> bool:
    """Whether there was none."""
    if not home.identity_file.exists():
        configtext.write_default(home.path, chosen)
        home.create(taken.identity)
        return True
    if home.read_seed() != taken.identity:
        raise UsageError(f"{home.path} is the home of another node than the kit's: choose another --home")
    return False


async def _become(home: Home, taken: Kit, wanted: KitDisk, talk: Dialogue) -> None:
    identity = Identity.from_seed(taken.identity)
    hello = Hello(secrets.token_bytes(16), PROTOCOL_VERSION, PROTOCOL_VERSION, serves=False)
    node = LocalNode(identity, hello, secrets.token_bytes)
    roster = Roster(node, lambda key: standing(roster, key), lambda key: Nobody(), dial_tcp, random.random)
    for partner in taken.partners:
        roster.add(Contact(partner.node, partner.addresses))
    takeover = Takeover(
        wanted.keys,
        identity.key,
        RosterNetwork(roster, download_toll(talk.download_limit, time.time)),
        secrets.token_bytes(CLAIMER),
        time.time,
        lambda node, addresses: know(roster, node, addresses),
        talk.watch,
        lambda state: agree(state, talk, SWITCH_OFF),
    )
    async with trio.open_nursery() as nursery:
        await nursery.start(roster.run)
        nodes = [partner.node for partner in taken.partners]
        await wait_for_calls(roster, nodes, talk, nursery)
        result = await takeover.run(home.disks / TAKING_OVER, nodes, wanted.floor)
        nursery.cancel_scope.cancel()
    _settle(home, taken, result, talk)
    talk.say(
        f"this machine is {taken.name} now, in epoch {result.claim.epoch}; if the old machine still runs, "
        + ("switch it off" if result.state.doubt else "partners refuse it from now on")
    )


def _settle(home: Home, taken: Kit, result: Taken, talk: Dialogue) -> None:
    """The partners first: a disk whose partners are not known could not be repaired."""
    addresses = {partner.node: partner.addresses for partner in taken.partners}
    database = NodeDatabase(home.node_database)
    try:
        known = {entry.key for entry in partners.all_partners(database)}
        with database.transaction() as connection:
            stored = _entries(result.master, addresses)
            holders = {entry.key for entry in stored}
            others: list[KitPartner | Trustee] = [*taken.partners, *result.master.trustees]
            entries = [PartnerEntry(p.name, p.node, p.addresses, 0, 0) for p in others if p.node not in holders]
            for entry in (*stored, *entries):  # these only store here, and have to show what was agreed
                if entry.key not in known:
                    partners.insert(connection, entry)
                    known.add(entry.key)
    finally:
        database.close()
    _note_kit(result.directory, taken)
    if home.disk(result.claim.disk).exists():
        _tell(keep_aside(home, result.claim.disk, result), talk)
    result.directory.rename(home.disk(result.claim.disk))
    sync_directory(home.disks)
    shutil.rmtree(home.disks / TAKING_OVER)


def _tell(unsent: Unsent, talk: Dialogue) -> None:
    """What of the lost disk the partners do not have."""
    if unsent.bytes:
        talk.say(
            f"{unsent.bytes} bytes of {unsent.files} files had not been sent: when the daemon runs, it puts them into "
            "lost+found, by inode and offset"
        )
    if unsent.gone:
        talk.say(f"{unsent.gone} bytes more had not been sent, and are not in the stage any more: they are lost")


def _note_kit(directory: Path, taken: Kit) -> None:
    """The kit that was used is the newest one: how good it is counts for what comes (R14)."""
    database = Database(directory / DATABASE)
    try:
        RekeyMark(database).carry(taken.disks[0].keys.newest)
        KitRecord(database).note(MadeKit(taken.date, tuple(partner.node for partner in taken.partners)))
        database.commit()
        database.sync_wal()
    finally:
        database.close()


def _entries(master: MasterBlock, addresses: dict[NodeKey, tuple[str, ...]]) -> list[PartnerEntry]:
    """Each partner once. What was given to it is not known any more; what it gives is what its stores take."""
    taken: dict[NodeKey, int] = {}
    stores = {}
    for places in master.layouts:
        size = store_size(places.rows, places.layout.block_size)
        for column in places.columns:
            for store in column:
                stores[store.node] = store
                taken[store.node] = taken.get(store.node, 0) + size
    return [
        PartnerEntry(store.name, node, addresses.get(node) or store.addresses, 0, taken[node])
        for node, store in stores.items()
    ]
