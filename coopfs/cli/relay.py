"""relay serve: join nodes that cannot reach each other."""

from collections.abc import Mapping
from pathlib import Path

import click

from coopfs import config
from coopfs.cli import entry
from coopfs.cli.params import PATH, SIZE, Family
from coopfs.core.allowance import Allowance, Share, parse_list
from coopfs.errors import UsageError
from coopfs.limits import DEFAULT_NODE_DAILY, DEFAULT_NODE_RATE, RELAY_LIST
from coopfs.sizes import format_size
from coopfs.types import NodeKey

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
@click.option("--allow", type=PATH, metavar="FILE", help="Only nodes listed there can be called through this relay.")
def serve_relay(listen: str, rate: int, node_rate: int, node_daily: int, allow: Path | None) -> None:
    """Run a relay in the foreground.

    Nodes that name it as one of their `relays` can be called through it. It passes on what they encrypted for each
    other and can read none of it; it keeps nothing. End it with SIGTERM or Ctrl-C, or kill it.
    """
    config.parse_address(listen)
    usual = Share(node_rate, node_daily)
    listed = None if allow is None else _read_list(allow, usual)
    entry.serve_relay(listen, Allowance(rate, usual, listed))


def _read_list(path: Path, usual: Share) -> Mapping[NodeKey, Share]:
    """UsageError: it cannot be read; ConfigError: it is wrong."""
    try:
        with path.open("rb") as file:
            data = file.read(RELAY_LIST + 1)
        text = data.decode()
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not UTF-8 text (byte {error.start})") from None
    if len(data) > RELAY_LIST:
        raise UsageError(f"{path} has more than the {format_size(RELAY_LIST)} that a list of nodes may have")
    return parse_list(text, usual, str(path))
