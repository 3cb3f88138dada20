"""The command `mount.coopfs HOME MOUNTPOINT -o OPTIONS`, which mount(8) calls for filesystems of type coopfs.

1. ask the daemon of HOME, 2. or start one in the background first, 3. return when the mount answers.
"""

import contextlib
import sys
from collections.abc import Mapping
from pathlib import Path

import click

from coopfs import config
from coopfs.cli import client, detach
from coopfs.cli.mount_options import parse_options, split_options
from coopfs.cli.params import PATH
from coopfs.cli.run import run
from coopfs.errors import CoopfsError


@click.command(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.argument("home", type=PATH)
@click.argument("mountpoint", type=PATH)
@click.option("-o", "options", multiple=True, metavar="OPTIONS", help="Comma separated, as for mount(8).")
@click.option("-s", "sloppy", is_flag=True, help="Ignore unknown options.")
@click.option("-f", "fake", is_flag=True, help="Check everything, mount nothing.")
@click.option("-n", "no_mtab", is_flag=True, help="Ignored: there is no mtab to write.")
@click.option("-v", "verbose", is_flag=True, help="Say what is done.")
@click.option("-t", "kind", metavar="TYPE", help="Ignored: it is always coopfs.")
@click.option("-N", "namespace", metavar="NS", help="Ignored: mount(8) has entered it already.")
def mount_coopfs(
    home: Path,
    mountpoint: Path,
    options: tuple[str, ...],
    sloppy: bool,
    fake: bool,
    no_mtab: bool,
    verbose: bool,
    kind: str | None,
    namespace: str | None,
) -> None:
    """Mount the disk of the node at HOME on MOUNTPOINT; starts its daemon if none runs."""
    chosen = split_options(options)[0] if sloppy else parse_options(options)
    home = home.expanduser().absolute()
    config.load(home)
    if fake:
        return
    arguments = {"mountpoint": str(mountpoint.absolute()), "options": chosen}
    if client.answers(home):
        client.call(home, "mount", arguments)
    else:
        if verbose:
            click.echo(f"starting the daemon of {home}")
        _start_and_mount(home, arguments)
    if verbose:
        click.echo(f"mounted {home} on {mountpoint}")


def _start_and_mount(home: Path, arguments: Mapping[str, object]) -> None:
    """A daemon that was started for a mount which then fails is ended again."""
    log = home / detach.LOG_NAME
    detach.wait_until_it_answers(home, detach.spawn(home, log), log)
    try:
        client.call(home, "mount", arguments)
    except CoopfsError:
        with contextlib.suppress(CoopfsError):
            client.call(home, "stop")
        raise


def main() -> None:
    """Entry point of `mount.coopfs`."""
    sys.exit(run(mount_coopfs, "mount.coopfs", sys.argv[1:]))
