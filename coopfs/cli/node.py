"""init, serve, stop: one home and its daemon."""

import secrets
import time
from pathlib import Path

import click

from coopfs import config, configtext
from coopfs.cli import client, detach, entry
from coopfs.cli.params import home_option
from coopfs.config import Config
from coopfs.core.identity import SEED_SIZE, Identity
from coopfs.errors import DaemonError, UsageError
from coopfs.limits import MAX_RELAYS
from coopfs.local.home import Home
from coopfs.types import NodeKey

listen_option = click.option(
    "--listen", default=config.DEFAULT_LISTEN, metavar="HOST:PORT", show_default=True, help="Where to listen."
)
advertise_option = click.option(
    "--advertise", multiple=True, metavar="HOST:PORT", help="An address partners can reach; may be repeated."
)
relay_option = click.option(
    "--relay", "relays", multiple=True, metavar="HOST:PORT", help="A relay to be reached through; may be repeated."
)


@click.command()
@click.option("--name", help="How partners see this node in their lists [default: this machine's name].")
@listen_option
@advertise_option
@relay_option
@home_option
def init(home: Path, name: str | None, listen: str, advertise: tuple[str, ...], relays: tuple[str, ...]) -> None:
    """Make a new home: identity and configuration."""
    chosen = settings(name if name is not None else Config().name, listen, advertise, relays)
    key = create_home(home, chosen)
    click.echo(f"made {home} for {chosen.name}, node key {key.hex()}")
    click.echo(f"next: look at {home / config.FILE_NAME}, then run: coopfs --home {home} serve")


def settings(name: str, listen: str, advertise: tuple[str, ...], relays: tuple[str, ...]) -> Config:
    """The configuration of a new home. UsageError: a name or address that cannot be, or too many relays."""
    for address in (listen, *advertise, *relays):
        config.parse_address(address)
    if len(relays) > MAX_RELAYS:
        raise UsageError(f"{len(relays)} relays are more than the {MAX_RELAYS} that one node may have")
    return Config(name=config.check_name(name), listen=listen, advertise=advertise, relays=relays)


def create_home(path: Path, chosen: Config) -> NodeKey:
    """Make a home with a new identity and this configuration; returns its key. HomeError: it exists, no room, no
    permission."""
    home = Home(path)
    if not home.identity_file.exists():
        configtext.write_default(path, chosen)
    seed = secrets.token_bytes(SEED_SIZE)
    home.create(seed)
    return Identity.from_seed(seed).key


@click.command()
@home_option
def serve(home: Path) -> None:
    """Run the daemon of this home in the foreground.

    It serves partners' stores, streams the own disk and serves its mount. End it with `coopfs stop`, SIGTERM or Ctrl-C.
    It may also be killed at any time: what was fsynced is kept.
    """
    entry.serve(home)


@click.command()
@home_option
def stop(home: Path) -> None:
    """Unmount, and end the daemon of this home."""
    client.call(home, "stop")
    deadline = time.monotonic() + detach.START_TIMEOUT
    while client.answers(home):
        if time.monotonic() > deadline:
            raise DaemonError(f"the daemon of {home} still runs after {detach.START_TIMEOUT:g} seconds")
        time.sleep(detach.POLL)
