"""format, resize, mount, umount, sync, status: the own disk."""

import json
import time
from pathlib import Path

import click

from coopfs.cli import client, progress
from coopfs.cli.mount_options import parse_options
from coopfs.cli.params import PATH, SIZE, SPACE, home_option
from coopfs.cli.plan import SURE
from coopfs.cli.planwords import chosen
from coopfs.limits import DEFAULT_TARGET

WATCH_INTERVAL = 2.0  # seconds between two looks of `status --watch`


@click.command("format")
@click.option("--data", type=click.IntRange(1, 61), metavar="K", help="Partners needed to restore.")
@click.option("--redundancy", type=click.IntRange(0, 61), metavar="M", help="Partners more than that.")
@click.option(
    "--target",
    type=SURE,
    metavar="PERCENT",
    help=f"Without K and M: how often a restore should work at once [default: {DEFAULT_TARGET}].",
)
@click.option(
    "--block-size",
    type=SIZE,
    help="Bytes of one partner's part of a stripe: a multiple of 4K, at most 1M, at least 16K, or 88K if K is 1 "
    "[default: 256K].",
)
@click.option(
    "--partner",
    "partners",
    multiple=True,
    metavar="NAME",
    help="Use this partner; repeat it for each, if there are more than are to be used.",
)
@click.option("--no-redundancy", is_flag=True, help="Allow M = 0: the loss of any one partner loses the disk.")
@home_option
def format_disk(
    home: Path,
    data: int | None,
    redundancy: int | None,
    target: float | None,
    block_size: int | None,
    partners: tuple[str, ...],
    no_redundancy: bool,
) -> None:
    """Make this node's disk on K+M partners.

    Any K of them restore it. Without K and M, all partners or those named are used, split so that a restore works
    with the probability wanted and as little as possible is stored for that, as `coopfs plan` tells.

    With --redundancy 2 or more, what is held survives the loss of M-1 partners besides this machine, what is complete
    that of M.
    """
    arguments = {
        "data": data,
        "redundancy": redundancy,
        "target": target,
        "block_size": block_size,
        "partners": list(partners) or None,
        "no_redundancy": no_redundancy,
    }
    with progress.show() as watch:
        made = client.call(home, "format", arguments, watch=watch)
    click.echo(f"formatted {made['data']}+{made['redundancy']}")
    if made["choice"] is not None:
        click.echo(chosen(made["choice"], DEFAULT_TARGET if target is None else target))
    click.echo(f"next: export the kit and keep it somewhere else: coopfs --home {home} kit export FILE")


@click.command()
@click.argument("size", type=SPACE, required=False)
@home_option
def resize(home: Path, size: int | None) -> None:
    """Let this node's disk take SIZE at each of its partners.

    Without SIZE, the disk takes all that every agreement gives. Partners that give less than SIZE are asked for more,
    and get as much. It grows while it is used, when every partner that counts has agreed and made room. With a SIZE
    that is less than it takes it gets smaller, if what is on it fits.
    """
    answer = client.call(home, "resize", {"size": size})
    for name, why in answer["waits_for"].items():
        click.echo(f"{name} is asked until it agrees: {why}")
    if answer["done"]:
        click.echo("nothing to do")
    elif answer["smaller"]:
        click.echo("the disk gets smaller when what is on it has moved: coopfs status tells")
    else:
        click.echo("the disk grows when all partners have made room: coopfs status tells")


@click.command()
@click.argument("mountpoint", type=PATH)
@click.option("-o", "options", multiple=True, metavar="OPTIONS", help="Mount options as for mount(8), comma separated.")
@home_option
def mount(home: Path, mountpoint: Path, options: tuple[str, ...]) -> None:
    """Mount this node's disk at MOUNTPOINT.

    MOUNTPOINT is an empty directory. The daemon must run; mount.coopfs(8) starts one if need be.
    """
    arguments = {"mountpoint": str(mountpoint.absolute()), "options": parse_options(options)}
    with progress.show() as watch:
        client.call(home, "mount", arguments, watch=watch)


@click.command()
@home_option
def umount(home: Path) -> None:
    """Unmount this node's disk. The daemon stays and goes on sending."""
    with progress.show() as watch:
        client.call(home, "umount", watch=watch)


@click.command()
@click.argument("path", type=PATH, required=False)
@click.option("--complete", is_flag=True, help="Wait until it is on every partner, not only held.")
@home_option
def sync(home: Path, path: Path | None, complete: bool) -> None:
    """Wait until what has been written is held.

    Waits for everything written so far, or with PATH for that file or directory and all below it.
    What is held survives the loss of this machine and of the partners promised at format. Exit code 0 means that it
    has been reached.
    """
    arguments = {"path": str(path.absolute()) if path else None, "complete": complete}
    with progress.show() as watch:
        client.call(home, "sync", arguments, watch=watch)


@click.command()
@click.argument("path", type=PATH)
@click.option("--verbose", "-v", is_flag=True, help="List the extents of a file, and how far their stripes have got.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@home_option
def log(home: Path, path: Path, verbose: bool, as_json: bool) -> None:
    """What is held of the file or directory PATH, and since when.

    PATH is in the mount. For a directory, all below it is counted.
    """
    # rich takes longer to import than most commands take to run
    from coopfs.cli.tables import print_log

    with progress.show() as watch:
        answer = client.call(home, "log", {"path": str(path.absolute())}, watch=watch)
    if as_json:
        click.echo(json.dumps(answer, indent=2))
    else:
        print_log(answer, verbose)


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON; with --watch one line each time.")
@click.option("--watch", is_flag=True, help="Repeat every 2 seconds until interrupted.")
@home_option
def status(home: Path, as_json: bool, watch: bool) -> None:
    """What is held, what is not, and how the partners are."""
    # rich takes longer to import than most commands take to run
    from coopfs.cli.tables import print_status

    while True:
        answer = client.call(home, "status")
        if as_json:
            click.echo(json.dumps(answer, indent=None if watch else 2))
        else:
            if watch:
                click.clear()
            print_status(answer)
        if not watch:
            return
        time.sleep(WATCH_INTERVAL)
