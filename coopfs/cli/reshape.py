"""reshape: other partners, or another k or m, for the own disk."""

from pathlib import Path

import click

from coopfs.cli import client
from coopfs.cli.params import home_option
from coopfs.errors import UsageError


@click.command()
@click.option("--data", type=click.IntRange(1, 61), metavar="K", help="Partners needed to restore from now on.")
@click.option("--redundancy", type=click.IntRange(0, 61), metavar="M", help="Partners more than that.")
@click.option("--with", "add", multiple=True, metavar="NAME", help="A partner that gets a column; repeat for more.")
@click.option("--without", "leave_out", multiple=True, metavar="NAME", help="A partner that loses its column.")
@click.option("--cancel", is_flag=True, help="Stay as before, if the new layout is not used yet.")
@home_option
def reshape(
    home: Path,
    data: int | None,
    redundancy: int | None,
    add: tuple[str, ...],
    leave_out: tuple[str, ...],
    cancel: bool,
) -> None:
    """Let this node's disk be K+M, on other partners if need be.

    All that it holds moves over while it is used, and can be restored at every moment. The old stores get smaller as
    the new ones grow, so little room is needed for both. In the end the disk uses all that its partners give.
    """
    if cancel:
        if data is not None or redundancy is not None or add or leave_out:
            raise UsageError("--cancel stays as before: it goes with none of the other options")
        client.call(home, "reshape_cancel")
        click.echo("the disk stays as it is")
        return
    if data is None or redundancy is None:
        raise UsageError("--data and --redundancy are needed: how many partners restore the disk, and how many more")
    asked = {"data": data, "redundancy": redundancy, "add": list(add), "leave_out": list(leave_out)}
    client.call(home, "reshape", asked)
    click.echo(f"the disk moves to {data}+{redundancy} when all its partners are ready: coopfs status tells")
    if add:
        click.echo("then export a new kit, which names the new partners: coopfs kit export FILE")
