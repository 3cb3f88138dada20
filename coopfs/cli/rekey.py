"""rekey: a new key for what is written from now on."""

from pathlib import Path

import click

from coopfs.cli import client
from coopfs.cli.params import home_option


@click.command()
@click.option(
    "--all", "everything", is_flag=True, help="Write all that is there again with it: an upload of everything."
)
@home_option
def rekey(home: Path, everything: bool) -> None:
    """Give this node's disk a new key, after somebody may have seen its kit.

    It is used when a kit that has it has been exported, for all that is written from then on. What was written before
    stays as readable with the older kit as it is, until it changes or, with --all, has been written again.

    The older kit still holds the node's identity: see coopfs(1) for what a new key does not help against.
    """
    made = client.call(home, "rekey", {"everything": everything})["key"]
    click.echo(f"key {made} is used as soon as a kit has it: coopfs --home {home} kit export FILE")
