"""One node: the daemon of one home.

1. lock the home; read configuration and identity; open node.sqlite and what is hosted for others;
2. listen, call the partners, serve their stores;
3. open the own disk, if there is one: recover, commit, stream;
4. answer the control socket until told to stop, or SIGTERM;
5. unmount, end the tasks, close the files. It may be killed at any of these points.
"""

import logging
import random
import secrets
import signal
import time
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import trio

from coopfs import config
from coopfs.app import changing, formatting, kits, leaving, splitting, status
from coopfs.app.agreeing import Agreeing
from coopfs.app.checking import check
from coopfs.app.control import Watch, serve_control
from coopfs.app.inspecting import inspect
from coopfs.app.leaving import Farewells
from coopfs.app.logs import log_to_stderr
from coopfs.app.matchmaking import Matchmaking
from coopfs.app.mount_settings import MountSettings
from coopfs.app.notify import READY, STOPPING, notify
from coopfs.app.outlook import describe_outlook
from coopfs.app.own_disk import OwnDisk
from coopfs.app.owner import tell_owner
from coopfs.app.partner_calls import PartnerCalls
from coopfs.app.promises import Promises
from coopfs.app.rates import Rates
from coopfs.app.requests import FOREVER, Arguments
from coopfs.app.takeover import TAKING_OVER
from coopfs.core.choice import Choice, expected
from coopfs.core.identity import Identity
from coopfs.core.kit import to_text
from coopfs.core.promise import promised_share
from coopfs.core.wire.node_requests import Hello
from coopfs.core.wire.session import Standing
from coopfs.errors import MountError, StateError, UsageError
from coopfs.fs.mounting import clear_dead
from coopfs.limits import (
    DEFAULT_BLOCK_SIZE,
    DEFAULT_TARGET,
    PROTOCOL_VERSION,
)
from coopfs.local import departure, partners
from coopfs.local.database import SqliteError, damage_of
from coopfs.local.disk import DATABASE
from coopfs.local.home import Home
from coopfs.local.hosted.hosting import Hosting
from coopfs.local.nodedb import NodeDatabase
from coopfs.local.partners import PartnerEntry
from coopfs.local.unsent import DAMAGED, damaged
from coopfs.net.addresses import open_port, own_addresses
from coopfs.net.channel import LocalNode
from coopfs.net.dialer import Contact
from coopfs.net.relayed import Waiting
from coopfs.net.roster import Roster
from coopfs.net.tcp import dial_tcp, listen_tcp, serve_tcp
from coopfs.net.whereabouts import Whereabouts
from coopfs.net.wrappers import LimitedPartner
from coopfs.tasks.attendant import Attendant
from coopfs.tasks.reach import RosterNetwork
from coopfs.types import Layout, NodeKey, Partner, Renewal, Welcome

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
        self._seed = seed
        self.identity = Identity.from_seed(seed)
        self._whereabouts = whereabouts
        self.hosting = Hosting(home, database, time.time, self._agreed, self._part, self._welcome)
        hello = Hello(secrets.token_bytes(16), PROTOCOL_VERSION, PROTOCOL_VERSION, serves=True)
        self.local = LocalNode(self.identity, hello, secrets.token_bytes)
        self.roster = Roster(self.local, self._standing, self._serve_peer, dial_tcp, random.random, whereabouts)
        self.farewells = Farewells(self.hosting, self.roster)
        self.partners = PartnerCalls(self)
        self.waiting = Waiting(self.local, dial_tcp, self.roster.accept, random.random)
        self._rates = Rates(settings, time.time)
        self._network = RosterNetwork(self.roster, self._rates.own(), self._renewal)
        self.attendant = Attendant(database, self.identity.key, self._partner_keys, self._is_up, time.time)
        self.promises = Promises(self.attendant, self._levels, partial(tell_owner, settings.notify))
        self.own: OwnDisk | None = None
        self.damage: str | None = None  # why the own disk, which is there, cannot be opened
        self.stopping = trio.Event()
        self.agreeing = Agreeing(
            self.local, dial_tcp, self.hosting, settings.name, lambda: self.addresses, self.know, time.time
        )
        self.matchmaking = Matchmaking(
            settings, seed, database, self.hosting, lambda: self.addresses, self.agreeing, self._renewal
        )

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

    def _partner_keys(self) -> list[NodeKey]:
        return [entry.key for entry in partners.all_partners(self.database)]

    def _levels(self) -> list[str]:
        agreed = map(self.hosting.agreement, self._partner_keys())
        return [agreement.uptime for agreement in agreed if agreement is not None]

    def _is_up(self, key: NodeKey) -> bool:
        return self.roster.live(key) is not None

    def know(self, entry: PartnerEntry) -> None:
        self.roster.add(Contact(entry.key, entry.addresses))

    def _agreed(self, entry: PartnerEntry) -> None:
        """With somebody who took up an invitation."""
        self.know(entry)
        self.matchmaking.changed()

    async def _welcome(self, peer: NodeKey, announcement: bytes) -> Welcome:
        return await self.matchmaking.welcome(peer, announcement)

    async def _part(self, key: NodeKey) -> None:
        """Somebody has said that the agreement is over."""
        logger.info("partner %s has left: nothing is stored there or here any more", key.hex()[:16])
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
                self._run_disk(directories[0])
            except (StateError, UsageError) as damage:
                self.damage = str(damage)
                logger.error("%s", damage)

    def _run_disk(self, directory: Path) -> None:
        settings = MountSettings(self.settings.cache, self.settings.compress, self.settings.fsync)
        try:
            self.own = OwnDisk(
                directory,
                self.identity.key,
                self._network,
                self._nursery,
                time.time,
                settings,
                scrub=self.settings.scrub_days * DAY,
            )
        except SqliteError as torn:
            raise damage_of(directory / DATABASE, torn) from None
        self.own.local.database.hold_room()
        self._nursery.start_soon(self.own.run)
        self._nursery.start_soon(self.own.follow, partial(partners.addresses, self.database))
        self._nursery.start_soon(leaving.note_parted, self.own, self.hosting)

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

    async def call_format(self, arguments: Arguments, watch: Watch) -> Any:
        if self.own is not None or self.damage is not None:
            raise UsageError("this node has a disk already: one home has one")
        layout, chosen, choice = self._layout_of(arguments)
        places = formatting.plan(layout, chosen)
        directory = await trio.to_thread.run_sync(formatting.draft, self.home, self.identity.key, places)
        finished = await formatting.form(self.home, directory, self.identity.key, self._network, watch)
        self._run_disk(finished)
        return {
            **{"disk": finished.name, "rows": places.rows, "data": layout.k, "redundancy": layout.m},
            "choice": None if choice is None else asdict(choice),
        }

    def _layout_of(self, arguments: Arguments) -> tuple[Layout, list[PartnerEntry], Choice | None]:
        """The layout asked for, and who holds it; with what was weighed, if k and m were left to this node."""
        data, redundancy, size = arguments["data"], arguments["redundancy"], arguments["block_size"]
        entries, names = partners.all_partners(self.database), arguments["partners"]
        if data is not None and redundancy is not None:
            if arguments["target"] is not None:
                raise UsageError("--target chooses k and m: leave out --data and --redundancy")
            if redundancy == 0 and not arguments["no_redundancy"]:
                raise UsageError("without redundancy the loss of any partner loses the disk: say --no-redundancy if so")
            layout = Layout(1, data, redundancy, size or DEFAULT_BLOCK_SIZE)
            return layout, formatting.choose(entries, names, layout.n), None
        if data is not None or redundancy is not None:
            raise UsageError("--data and --redundancy go together; without them both are chosen for you")
        begun = formatting.begun(self.home, self.identity.key)
        if begun is not None:
            chosen, choice = splitting.as_begun(entries, begun, self._up)
            return replace(begun.layout, block_size=size or begun.layout.block_size), chosen, choice
        target = (arguments["target"] or DEFAULT_TARGET) / 100.0
        chosen, choice = splitting.for_partners(entries, names, target, self._up)
        return Layout(1, choice.k, choice.m, size or DEFAULT_BLOCK_SIZE), chosen, choice

    def _describe(self, own: OwnDisk) -> dict[str, Any]:
        seen = describe_outlook(own, self._expected, int(time.time()))
        return {**status.describe_disk(own, self.hosting.parted()), "outlook": seen}

    def _up(self, entry: PartnerEntry) -> float:
        return self._expected(entry.key)

    def _expected(self, key: NodeKey) -> float:
        """The share of the time that a partner is expected to be up: what was seen of it, if that is enough."""
        agreed = self.hosting.agreement(key)
        return expected(self.attendant.share(key), None if agreed is None else promised_share(agreed.uptime))

    async def call_resize(self, arguments: Arguments, watch: Watch) -> Any:
        rows = await changing.grow(self.disk(), partners.all_partners(self.database), arguments["size"])
        return {"rows": rows, "done": self.disk().growing.is_done}

    async def call_mount(self, arguments: Arguments, watch: Watch) -> Any:
        await self.disk().mount(self.home.path, Path(arguments["mountpoint"]), arguments["options"], watch)

    async def call_umount(self, arguments: Arguments, watch: Watch) -> Any:
        await self.disk().unmount()

    async def call_sync(self, arguments: Arguments, watch: Watch) -> Any:
        path = arguments["path"]
        await self.disk().sync(None if path is None else Path(path), arguments["complete"], watch)

    async def call_log(self, arguments: Arguments, watch: Watch) -> Any:
        return await inspect(self.disk(), Path(arguments["path"]), watch)

    async def call_check(self, arguments: Arguments, watch: Watch) -> Any:
        return await check(self.disk(), watch, **arguments)

    async def call_kit_export(self, arguments: Arguments, watch: Watch) -> Any:
        own = self.disk()
        entries = partners.all_partners(self.database)
        known = {entry.key: entry.addresses for entry in entries}
        day = time.strftime("%Y-%m-%d")
        if arguments["read_only"]:
            until = arguments["until"] or FOREVER
            made, told = await kits.read_only(own, self.settings.name, known, until)
            return {"text": to_text(made, day), "told": told, "partners": own.ledger.layout.n}
        return {"text": to_text(await kits.whole(own, self.settings.name, self._seed, entries), day)}

    async def call_kit_readers(self, arguments: Arguments, watch: Watch) -> Any:
        return {"readers": kits.describe_readers(self.disk())}

    async def call_kit_revoke(self, arguments: Arguments, watch: Watch) -> Any:
        return await kits.revoke(self.disk(), arguments["reader"])

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
        found = [(name, getattr(of, name)) for of in (self, self.partners) for name in dir(of)]
        return {name.removeprefix("call_"): call for name, call in found if name.startswith("call_")}


async def run_node(path: Path) -> None:
    """Run the daemon of a home. HomeError, ConfigError, UsageError (port in use), StateError (node.sqlite)."""
    home = Home(path)
    with home.locked():
        settings = config.load(path)
        log_to_stderr()
        logging.getLogger("httpx").setLevel(logging.WARNING)  # it tells of each question
        database = NodeDatabase(home.node_database)
        listeners = await listen_tcp(settings.listen)
        async with trio.open_nursery() as nursery:
            configured = settings.advertise or own_addresses(listeners)
            save = partial(partners.move, database)
            whereabouts = Whereabouts(configured, settings.relays, open_port(listeners), save)
            node = Node(home, settings, database, nursery, whereabouts)
            await nursery.start(node.roster.run)
            nursery.start_soon(serve_tcp, listeners, node.roster.accept)
            nursery.start_soon(node.waiting.run, settings.relays)
            await trio.to_thread.run_sync(_clear_dead_mounts, path)
            await leaving.finish(home, node.hosting, list(partners.all_partners(database)))
            node.farewells.look()
            node.open_disk()
            nursery.start_soon(node.farewells.run)
            nursery.start_soon(node.attendant.run)
            nursery.start_soon(node.promises.run)
            nursery.start_soon(node.matchmaking.run)
            await nursery.start(serve_control, home.control_socket, node.calls())
            logger.info("node %s (%s) serves at %s", settings.name, node.identity.key.hex()[:16], node.addresses)
            notify(READY)
            await _until_told(node)
            notify(STOPPING)
            await node.close()
            nursery.cancel_scope.cancel()
        node.hosting.close()
        if node.own is not None:
            node.own.close()
        departure.remove(home)
        database.close()


def _clear_dead_mounts(home: Path) -> None:
    """Of a daemon that died: else every user of the mountpoint would get errors until somebody mounts again."""
    try:
        for mountpoint in clear_dead(str(home)):
            logger.info("took away the mount at %s, which a daemon left that died", mountpoint)
    except MountError as stays:
        logger.warning("%s", stays)


async def _until_told(node: Node) -> None:
    """SIGTERM, SIGINT, or the call `stop`."""
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async with trio.open_nursery() as nursery:

            async def watch_signals() -> None:
                async for _ in signals:
                    node.stopping.set()

            nursery.start_soon(watch_signals)
            await node.stopping.wait()
            nursery.cancel_scope.cancel()
