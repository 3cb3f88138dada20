"""match serve: the server through which nodes find partners."""

from ipaddress import ip_address
from pathlib import Path

import click

from coopfs import config
from coopfs.cli import entry
from coopfs.cli.params import PATH, Family
from coopfs.errors import UsageError
from coopfs.match.settings import Settings

DEFAULT_LISTEN = "[::]:7532"
DEFAULT_DATABASE = "coopfs-match.sqlite"


@click.group(cls=Family)
def match() -> None:
    """Run a matching server, through which nodes find partners."""


@match.command()
@click.option("--listen", default=DEFAULT_LISTEN, metavar="HOST:PORT", show_default=True, help="Where to listen.")
@click.option(
    "--database",
    default=DEFAULT_DATABASE,
    metavar="FILE|URL",
    show_default=True,
    help="A file for SQLite, or postgresql://USER@HOST/NAME, which several servers may share.",
)
@click.option("--certificate", type=PATH, metavar="FILE", help="Serve HTTPS with this chain (PEM), with --key.")
@click.option("--key", type=PATH, metavar="FILE", help="The certificate's private key (PEM).")
@click.option(
    "--proxy",
    multiple=True,
    metavar="ADDRESS",
    help="IP address of a reverse proxy, whose X-Forwarded-For is believed; may be repeated.",
)
@click.option(
    "--together",
    is_flag=True,
    help="Propose nodes at one site or in one subnet to each other too. For tests: one fire then takes both.",
)
def serve(
    listen: str, database: str, certificate: Path | None, key: Path | None, proxy: tuple[str, ...], together: bool
) -> None:
    """Run the server in the foreground. End it with SIGTERM or Ctrl-C, or kill it: what it knows is told again."""
    config.parse_address(listen)
    if (certificate is None) != (key is None):
        raise UsageError("HTTPS needs both --certificate and --key")
    for address in proxy:
        _check_ip(address)
    entry.match_serve(Settings(listen, database, certificate, key, frozenset(proxy), together), click.echo)


def _check_ip(text: str) -> None:
    try:
        ip_address(text)
    except ValueError:
        raise UsageError(f"--proxy {text!r} is not an IP address") from None
