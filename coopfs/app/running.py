"""The daemon of one home, from its start to its end.

1. lock the home; read configuration and identity; open node.sqlite and what is hosted for others;
2. listen, call the partners, serve their stores;
3. open the own disk, if there is one: recover, commit, stream;
4. answer the control socket until told to stop, or SIGTERM;
5. unmount, end the tasks, close the files. It may be killed at any of these points.
"""

import logging
import signal
from functools import partial
from pathlib import Path

import trio

from coopfs import config
from coopfs.app.control import serve_control
from coopfs.app.logs import log_to_stderr
from coopfs.app.node import Node
from coopfs.app.notify import READY, STOPPING, notify
from coopfs.app.owner import check_command
from coopfs.app.partners import leaving
from coopfs.errors import MountError
from coopfs.fs.mounting import clear_dead
from coopfs.local import departure, partners
from coopfs.local.home import Home
from coopfs.local.nodedb import NodeDatabase
from coopfs.net.addresses import open_port, own_addresses
from coopfs.net.tcp import listen_tcp, serve_tcp
from coopfs.net.whereabouts import Whereabouts

logger = logging.getLogger(__name__)


async def run_node(path: Path) -> None:
    """Run the daemon of a home. HomeError, ConfigError, UsageError (port in use), StateError (node.sqlite)."""
    home = Home(path)
    with home.locked():
        settings = config.load(path)
        log_to_stderr()
        check_command(settings.notify)
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
            await begin(node, nursery)
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


async def begin(node: Node, nursery: trio.Nursery) -> None:
    """All that goes on without a word from outside once partners are called: the own disk, and looking after both.
    HomeError, StateError."""
    await leaving.finish(node.home, node.hosting, list(partners.all_partners(node.database)))
    node.farewells.look()
    node.open_disk()
    nursery.start_soon(node.farewells.run)
    nursery.start_soon(node.amending.run)
    nursery.start_soon(node.attendant.run)
    nursery.start_soon(node.promises.run)
    nursery.start_soon(node.kit_watch.run)
    nursery.start_soon(node.matchmaking.run)
    if node.matchmaking.is_wanted:
        nursery.start_soon(node.succession.run)


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
