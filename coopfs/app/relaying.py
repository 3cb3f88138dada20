"""`coopfs relay serve`: one relay, without a home. It may be killed at any time: there is nothing to lose."""

import logging
import secrets
import signal

import trio

from coopfs.app.logs import log_to_stderr
from coopfs.app.notify import READY, STOPPING, notify
from coopfs.core.allowance import Allowance
from coopfs.core.identity import SEED_SIZE, Identity
from coopfs.core.wire.node_requests import Hello
from coopfs.limits import PROTOCOL_VERSION
from coopfs.net.channel import LocalNode
from coopfs.net.relay import Relay
from coopfs.net.tcp import listen_tcp, serve_tcp

logger = logging.getLogger(__name__)


async def run_relay(listen: str, allowance: Allowance) -> None:
    """Until SIGTERM or SIGINT. UsageError: it cannot listen there."""
    log_to_stderr()
    listeners = await listen_tcp(listen)
    hello = Hello(secrets.token_bytes(16), PROTOCOL_VERSION, PROTOCOL_VERSION, serves=False)
    identity = Identity.from_seed(secrets.token_bytes(SEED_SIZE))  # of this run: nobody needs to know it again
    relay = Relay(LocalNode(identity, hello, secrets.token_bytes), allowance)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve_tcp, listeners, relay.accept)
        nursery.start_soon(relay.report)
        with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
            logger.info("the relay listens at %s", ", ".join(_names(listeners)))
            notify(READY)
            async for _ in signals:
                break
        notify(STOPPING)
        nursery.cancel_scope.cancel()


def _names(listeners: list[trio.SocketListener]) -> list[str]:
    return ["{}:{}".format(*listener.socket.getsockname()[:2]) for listener in listeners]
