"""One node: what it is made of, and what it is doing (running.py starts and ends it)."""

import logging
import random
import secrets
import time
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import trio

from coopfs import config
from coopfs.app import status
from coopfs.app.control import Watch
from coopfs.app.disk import changing, formatting
from coopfs.app.disk.kitwatch import KitWatch
from coopfs.app.disk.mount_settings import MountSettings
from coopfs.app.disk.outlook import describe_outlook
from coopfs.app.disk.own_disk import OwnDisk
from coopfs.app.disk.status import describe_disk
from coopfs.app.disk_calls import DiskCalls
from coopfs.app.owner import tell_owner
from coopfs.app.partner_calls import PartnerCalls
from coopfs.app.partners import leaving
from coopfs.app.partners.agreeing import Agreeing
from coopfs.app.partners.amending import Amending
from coopfs.app.partners.handover import Handover
from coopfs.app.partners.leaving import Farewells
from coopfs.app.partners.matchmaking import Matchmaking
from coopfs.app.partners.promises import Promises
from coopfs.app.partners.stepping import Ties
from coopfs.app.partners.succession import Succession
from coopfs.app.rates import Rates
from coopfs.app.recovery.takeover import TAKING_OVER
from coopfs.app.requests import Arguments
from coopfs.core.choice import expected
from coopfs.core.identity import Identity
from coopfs.core.promise import promised_share
from coopfs.core.wire.node_requests import Hello
from coopfs.core.wire.session import Standing
from coopfs.errors import HomeError, MountError, PeerError, StateError, UsageError
from coopfs.limits import PROTOCOL_VERSION
from coopfs.local import partners
from coopfs.local.database import SqliteError, damage_of
from coopfs.local.disk import DATABASE
from coopfs.local.home import Home
from coopfs.local.hosted.hosting import Hosting
from coopfs.local.nodedb import NodeDatabase
from coopfs.local.partners import PartnerEntry
from coopfs.local.unsent import DAMAGED, damaged
from coopfs.net.channel import LocalNode
from coopfs.net.dialer import Contact
from coopfs.net.link import Link
from coopfs.net.partner import RemotePartner
from coopfs.net.relayed import Waiting
from coopfs.net.roster import Roster
from coopfs.net.tcp import dial_tcp
from coopfs.net.whereabouts import Whereabouts
from coopfs.net.wrappers import LimitedPartner
from coopfs.tasks.attendant import Attendant
from coopfs.tasks.reach import RosterNetwork, remind
from coopfs.types import NodeKey, Partner, Renewal, StepAnswer, StepWord, Welcome

logger = logging.getLogger(__name__)

DAY = 86400  # seconds


class Node:
    """The daemon's state; its methods named `call_*` and those of `partners` are the calls of the control socket."""

    def __init__(
        self,
        home: Home,
        settings: config.Config,
        database: NodeDatabase,
        nursery: trio.Nursery,
        whereabouts: Whereabouts,
    ) -> None:
        self.home = home
        self.settings = settings
        self.database = database
        self._nursery = nursery
        seed = home.read_seed()
        self.seed = seed
        self.identity = Identity.from_seed(seed)
        self._whereabouts = whereabouts
        called = self._agreed, self._part, self._welcome, self._consents, self._hear_step
        self.hosting = Hosting(home, database, time.time, *called)
        hello = Hello(secrets.token_bytes(16), PROTOCOL_VERSION, PROTOCOL_VERSION, serves=True)
        self.local = LocalNode(self.identity, hello, secrets.token_bytes)
        self.roster = Roster(self.local, self._standing, self._serve_peer, dial_tcp, random.random, whereabouts)
        whereabouts.on_forgotten = self._remind
        self.farewells = Farewells(self.hosting, self.roster)
        self.amending = Amending(self.hosting, self.roster)
        self.partners = PartnerCalls(self)
        self._calls = (self, DiskCalls(self), self.partners)
        self.waiting = Waiting(self.local, dial_tcp, self.roster.accept, random.random)
        self._rates = Rates(settings, time.time)
        self.network = RosterNetwork(self.roster, self._rates.own(), self._renewal)
        self.attendant = Attendant(database, self.identity.key, self._partner_keys, self._is_up, time.time)
        self.promises = Promises(self.attendant, self._levels, partial(tell_owner, settings.notify))
        self.own: OwnDisk | None = None
        self.damage: str | None = None  # why the own disk, which is there, cannot be opened
        self.stopping = trio.Event()
        self.agreeing = Agreeing(
            self.local, dial_tcp, self.hosting, settings.name, lambda: self.addresses, self.know, time.time
        )
        tell = partial(tell_owner, settings.notify)
        self.kit_watch = KitWatch(lambda: self.own, tell)
        self.succession = Succession(lambda: self.own, self._entries, self._is_up, tell, time.time)
        self.matchmaking = Matchmaking(
            settings,
            seed,
            database,
            self.hosting,
            lambda: self.addresses,
            self.agreeing,
            self._renewal,
            self.succession.uncounted,
            Handover(lambda: self.own, lambda: any(home.disks.iterdir()), self._entries),
            Ties(self._live, self.succession.is_lost, self._end, self._name_of, tell),
            self._ask_step,
            lambda: 0 if self.own is None else changing.column_size(self.own),
        )
        self.succession.on_loss = self.matchmaking.changed
        self.succession.barred = self.matchmaking.barred

    @property
    def addresses(self) -> tuple[str, ...]:
        """Candidates for others to call this node by."""
        return self._whereabouts.own()

    def _standing(self, key: NodeKey) -> Standing:
        if key in self.agreeing.proposed or key in self.farewells.owed or self.hosting.has_agreement(key):
            return Standing.PARTNER
        return Standing.READER if self.hosting.admits_reader(key) else Standing.STRANGER

    def _serve_peer(self, key: NodeKey) -> Partner:
        toll = self._rates.hosted()
        host = self.hosting.partner(key)
        return host if toll is None else LimitedPartner(host, toll)

    def _renewal(self, key: NodeKey) -> Renewal | None:
        return self.hosting.renewal(key, self.settings.name, self.addresses)

    async def _remind(self, link: Link) -> None:
        """Of the agreement; also who stores nothing here, and is not asked for its stores. One that it refuses is told
        as over by the other side, or was made anew. If there is none here either, the kit of a takeover named one that
        is a partner no more, or it took over too. What fails is tried again with the next connection."""
        with suppress(PeerError, HomeError, StateError):
            if not await remind(link, self._renewal(link.peer)) and link.peer in self._partner_keys():
                partners.forget(self.database, link.peer)
                await self._part(link.peer)

    def _entries(self) -> list[PartnerEntry]:
        return list(partners.all_partners(self.database))

    def candidates(self, names: Sequence[str]) -> list[PartnerEntry]:
        """The partners that may get a column of the disk. UsageError: of these names is one that may not now."""
        barred = self.matchmaking.barred()
        for entry in self._entries():
            if entry.key in barred and entry.name in names:
                raise UsageError(f"{entry.name} may go or come just now, as somebody steps between two partners: wait")
        return [entry for entry in self._entries() if entry.key not in barred]

    def _partner_keys(self) -> list[NodeKey]:
        return [entry.key for entry in self._entries()]

    def _levels(self) -> list[str]:
        agreed = map(self.hosting.agreement, self._partner_keys())
        return [agreement.uptime for agreement in agreed if agreement is not None]

    def _is_up(self, key: NodeKey) -> bool:
        return self.roster.live(key) is not None

    def know(self, entry: PartnerEntry) -> None:
        self.roster.add(Contact(entry.key, entry.addresses))
        self.succession.changed.notify()
        self.matchmaking.bidding.changed.notify()

    def _agreed(self, entry: PartnerEntry) -> None:
        """With somebody who took up an invitation."""
        self.know(entry)
        self.matchmaking.changed()

    def _consents(self, peer: NodeKey, size: int) -> bool:
        return size <= self.settings.resize_up_to

    async def _welcome(self, peer: NodeKey, announcement: bytes) -> Welcome:
        return await self.matchmaking.welcome(peer, announcement)

    async def _hear_step(self, peer: NodeKey, word: StepWord) -> StepAnswer:
        return await self.matchmaking.stepping.hear(peer, word)

    async def _ask_step(self, contact: Contact, word: StepWord) -> StepAnswer:
        partner = self._live(contact.key)
        return await (self.agreeing.step(contact, word) if partner is None else partner.step(word))

    def _live(self, key: NodeKey) -> Partner | None:
        link = self.roster.live(key)
        return None if link is None else RemotePartner(link)

    def _name_of(self, key: NodeKey) -> str:
        known = {entry.key: entry.name for entry in self._entries()}
        known |= {ending.peer: ending.name for ending in self.farewells.owed.values() if ending.peer not in known}
        return known.get(key, key.hex()[:16])

    async def _end(self, key: NodeKey) -> None:
        """The agreement with a partner, if there is one."""
        for entry in self._entries():
            if entry.key == key:
                await leaving.end(entry, self.own, self.hosting, self.farewells)

    async def _part(self, key: NodeKey) -> None:
        """Somebody has said that the agreement is over."""
        logger.info("partner %s has left: nothing is stored there or here any more", key.hex()[:16])
        self.farewells.look()
        self.roster.remove(key)
        self.matchmaking.changed()
        if self.own is not None:
            await changing.part(self.own, key)

    # --- running --------------------------------------------------------------------------------------------------

    def open_disk(self) -> None:
        """Open this node's disk, if it has one, and run it. If it is lost or damaged its calls say so; partners are
        served all the same, since their backups do not depend on it."""
        for entry in partners.all_partners(self.database):
            self.know(entry)
        directories = [
            d for d in self.home.disks.iterdir() if not d.name.startswith((formatting.FORMING, TAKING_OVER, DAMAGED))
        ]
        if not directories and damaged(self.home.disks):
            self.damage = "a takeover of this home was cut short: run it again"
        if directories:
            try:
                self.run_disk(directories[0])
            except (StateError, UsageError, OSError) as damage:  # also a bad sector in a file of the stage
                self.damage = str(damage)
                logger.error("%s", damage)

    def run_disk(self, directory: Path) -> None:
        settings = MountSettings(self.settings.cache, self.settings.compress, self.settings.fsync)
        try:
            self.own = OwnDisk(
                directory,
                self.identity.key,
                self.network,
                self._nursery,
                time.time,
                settings,
                secrets.token_bytes,
                self.settings.scrub_days * DAY,
                secrets.randbelow,
            )
        except SqliteError as torn:
            raise damage_of(directory / DATABASE, torn) from None
        self.own.local.database.hold_room()
        self.own.reshaping.slicing.given = partial(partners.taken_from, self.database)
        self._nursery.start_soon(self.own.run)
        self._nursery.start_soon(self.own.follow, partial(partners.addresses, self.database))
        self._nursery.start_soon(leaving.note_parted, self.own, self.hosting)
        self.succession.changed.notify()

    def disk(self) -> OwnDisk:
        if self.damage is not None:
            raise StateError(self.damage)
        if self.own is None:
            raise UsageError("this node has no disk yet: make one with `coopfs format`")
        return self.own

    # --- the calls ------------------------------------------------------------------------------------------------

    async def call_status(self, arguments: Arguments, watch: Watch) -> Any:
        entries = partners.all_partners(self.database)
        names = {bytes(entry.key): entry.name for entry in entries}
        return {
            "node": {
                "name": self.settings.name,
                "key": self.identity.key.hex(),
                "listen": list(self.addresses),
                "relays": status.describe_relays(self.settings.relays, self.waiting),
                "trouble": self.damage or self.hosting.failure,
                "uptime": status.describe_uptime(self.attendant.share()),
                "promise": status.describe_promise(self.promises.worst()),
            },
            "disk": None if self.own is None else self._describe(self.own),
            "partners": self.partners.describe(),
            "matching": self.matchmaking.describe(),
            "hosted": status.describe_hosted(self.hosting, names),
        }

    def _describe(self, own: OwnDisk) -> dict[str, Any]:
        told = describe_disk(own, self.hosting.parted())
        seen = None if told["held_at"] is None else describe_outlook(own, self.expected, int(time.time()))
        return {**told, "outlook": seen}

    def expected(self, key: NodeKey) -> float:
        """The share of the time that a partner is expected to be up: what was seen of it, if that is enough."""
        agreed = self.hosting.agreement(key)
        return expected(self.attendant.share(key), None if agreed is None else promised_share(agreed.uptime))

    async def call_stop(self, arguments: Arguments, watch: Watch) -> Any:
        self.stopping.set()

    # --- the end --------------------------------------------------------------------------------------------------

    async def close(self) -> None:
        """Unmount and make the last changes durable; then the tasks may be cancelled."""
        if self.own is None:
            return
        self.own.held_sync.give_up(StateError("the daemon stops: what was synced is safe here, not with partners yet"))
        if self.own.mountpoint is not None:
            try:
                await self.own.unmount()
            except MountError as busy:
                logger.warning("%s; it is taken away all the same", busy)
        if self.own.trouble is None:
            await self.own.committer.commit()

    def calls(self) -> dict[str, Any]:
        """Call name -> method."""
        found = [(name, getattr(of, name)) for of in self._calls for name in dir(of)]
        return {name.removeprefix("call_"): call for name, call in found if name.startswith("call_")}
