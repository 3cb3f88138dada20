"""takeover: this machine becomes the node of a kit."""

from pathlib import Path

import click

from coopfs.cli import entry, progress
from coopfs.cli.kit import read_kit
from coopfs.cli.node import advertise_option, listen_option, relay_option, settings
from coopfs.cli.params import PATH, home_option
from coopfs.cli.passphrase import open_text, passphrase_file_option
from coopfs.cli.restore import download_limit_option, talk


@click.command()
@click.argument("kit", type=PATH)
@listen_option
@advertise_option
@relay_option
@click.option(
    "--await-calls",
    is_flag=True,
    help="First wait at --listen, up to 5 minutes, for partners that can only call, not be called.",
)
@click.option(
    "--accept-older",
    is_flag=True,
    help="Take the newest state found even if a newer one may have been held: what was written after its date, which "
    "is told, may be missing. Switch the old machine off first: it may still be able to write.",
)
@click.option(
    "--anew",
    is_flag=True,
    help="Even if this home has taken the disk over before: as long as what it found then is not safe again.",
)
@download_limit_option
@passphrase_file_option
@home_option
def takeover(
    home: Path,
    kit: Path,
    listen: str,
    advertise: tuple[str, ...],
    relays: tuple[str, ...],
    await_calls: bool,
    accept_older: bool,
    anew: bool,
    download_limit: int,
    passphrase_file: Path | None,
) -> None:
    """Make this machine the node of KIT, with its disk as the partners have it.

    The home is made, with --listen, --advertise and --relay; a home of the same node that has lost its disk does too.
    Partners refuse the old machine from then on. If too few grant that, or a newer state may have been held, it says
    what may be missing, and asks: switch the old machine off before you say yes. Start the daemon then: before the disk
    can be mounted, everything found is made safe again. If it is interrupted, run it again.
    """
    taken = open_text(read_kit(kit), passphrase_file)
    chosen = settings(taken.name, listen, advertise, relays)
    with progress.show() as watch:
        dialogue = talk(watch, accept_older, download_limit, listen if await_calls else None)
        entry.take_over(home, taken, chosen, anew, dialogue)
    click.echo(f"next: coopfs --home {home} serve, then mount.coopfs {home} MOUNTPOINT")
