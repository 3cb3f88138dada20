"""relay serve: join nodes that cannot reach each other."""

import click

from coopfs import config
from coopfs.cli import entry
from coopfs.cli.params import SIZE, Family
from coopfs.limits import DEFAULT_NODE_DAILY, DEFAULT_NODE_RATE
from coopfs.sizes import format_size

DEFAULT_LISTEN = "[::]:7531"


@click.group(cls=Family)
def relay() -> None:
    """Join nodes that cannot reach each other."""


@relay.command("serve")
@click.option("--listen", default=DEFAULT_LISTEN, metavar="HOST:PORT", show_default=True, help="Where to listen.")
@click.option("--rate", type=SIZE, default=0, help="Bytes per second of all nodes together; 0, the default: no limit.")
@click.option(
    "--node-rate",
    type=SIZE,
    default=DEFAULT_NODE_RATE,
    help=f"Bytes per second that one node may send; 0: no limit [default: {format_size(DEFAULT_NODE_RATE)}].",
)
@click.option(
    "--node-daily",
    type=SIZE,
    default=DEFAULT_NODE_DAILY,
    help=f"Bytes per day that one node may send; 0: no limit [default: {format_size(DEFAULT_NODE_DAILY)}].",
)
def serve_relay(listen: str, rate: int, node_rate: int, node_daily: int) -> None:
    """Run a relay in the foreground.

    Nodes that name it as one of their `relays` can be called through it. It passes on what they encrypted for each
    other and can read none of it; it keeps nothing. End it with SIGTERM or Ctrl-C, or kill it.
    """
    config.parse_address(listen)
    entry.serve_relay(listen, rate, node_rate, node_daily)
