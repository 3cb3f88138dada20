"""partner invite, accept, resize, add, lose, replace, end, list, and leave: who swaps space with this node."""

import json
from pathlib import Path

import click

from coopfs.cli import client, progress
from coopfs.cli.levelwords import promise
from coopfs.cli.params import SPACE, Family, home_option
from coopfs.levels import parse_uptime
from coopfs.sizes import format_size


@click.group(cls=Family)
def partner() -> None:
    """Swap space with other nodes."""


@partner.command()
@click.option("--size", type=SPACE, required=True, help="Bytes each side gives to the other, for example 100G.")
@click.option(
    "--uptime",
    metavar="LEVEL",
    help="What both promise: 50%, 75%, 90%, 95%, 99%, or hours such as 'mon-fri 08-18 Europe/Paris'.",
)
@home_option
def invite(home: Path, size: int, uptime: str | None) -> None:
    """Reserve SIZE on this disk and print a code for one partner.

    Hand the code over by a way that nobody else reads: whoever accepts it first becomes the partner. It works once.
    """
    if uptime is not None:
        parse_uptime(uptime)
    click.echo(client.call(home, "partner_invite", {"size": size, "uptime": uptime})["code"])


@partner.command()
@click.argument("code", nargs=-1, required=True)
@home_option
def accept(home: Path, code: tuple[str, ...]) -> None:
    """Accept an invitation: reserve what its CODE asks for, and seal the agreement with who made it."""
    answer = client.call(home, "partner_accept", {"code": " ".join(code)})
    click.echo(f"{answer['name']} is now a partner")
    if answer["uptime"] is not None:
        click.echo(f"both have promised to be reachable {promise(answer['uptime'])}")


@partner.command()
@home_option
def find(home: Path) -> None:
    """Look for partners now, through the matching servers of coopfs.toml.

    The daemon does so by itself, too, until it has as many partners as are wanted there. Where nobody is free it asks
    two that are partners of each other to step between them.
    """
    with progress.show() as watch:
        answer = client.call(home, "partner_find", watch=watch)
    for name in answer["found"]:
        click.echo(f"{name} is now a partner")
    for line in [*answer["hindrances"], *(f"{server}: {why}" for server, why in answer["servers"].items() if why)]:
        click.echo(line, err=True)
    if answer["bidding"]:
        click.echo(f"nobody is free: asking to step between {' and '.join(answer['bidding']['between'])}")
    if answer["lacking"]:
        click.echo(f"{answer['lacking']} of {answer['wanted']} partners are still lacking; the daemon goes on looking")
    else:
        click.echo(f"there are all the {answer['wanted']} partners that are wanted")


@partner.command()
@click.option("--master-only", is_flag=True, help="It holds the master block of this node's disk, and nothing else.")
@click.argument("code", nargs=-1, required=True)
@home_option
def add(home: Path, master_only: bool, code: tuple[str, ...]) -> None:
    """Let a partner without a column help restores find the others: by its name, or by the CODE of its invitation.

    The invitation may be of the smallest size. Such a partner counts for how good a kit is that names it.
    """
    arguments = {"by": " ".join(code), "master_only": master_only}
    name = client.call(home, "partner_add", arguments)["name"]
    click.echo(f"{name} gets the master block; export a new kit, which names it")


@partner.command("resize")
@click.argument("name")
@click.argument("size", type=SPACE, required=False)
@home_option
def resize_agreement(home: Path, name: str, size: int | None) -> None:
    """Amend the agreement with partner NAME to SIZE each way, or to what it asks for.

    Both owners must say the same size, in any order and at any time. Until then everything stays as it is; to take a
    wish back, say the size that stands. coopfs partner list tells what is asked for.
    """
    answer = client.call(home, "partner_resize", {"partner": name, "size": size})
    if answer["waits_for"] is None:
        click.echo(f"the agreement with {name} is over {format_size(answer['size'])} each way")
    else:
        click.echo(f"{name} is asked until it agrees: {answer['waits_for']}")


@partner.command()
@click.argument("name")
@home_option
def lose(home: Path, name: str) -> None:
    """Declare partner NAME lost for good: what it holds of the disk counts no more, even if it comes back.

    Only for one that cannot be reached; after two weeks it happens by itself.
    """
    finds = client.call(home, "partner_lose", {"partner": name})["finds"]
    then = "this node looks for another, or" if finds else "its column needs a new partner:"
    click.echo(f"{name} is lost; {then} coopfs partner replace {name} CODE")


@partner.command()
@click.argument("old")
@click.argument("code", nargs=-1, required=True)
@home_option
def replace(home: Path, old: str, code: tuple[str, ...]) -> None:
    """Give the column of partner OLD to whoever made the invitation CODE, or to a partner of that name.

    The new store is filled in the background, as coopfs status tells. Until it has everything, what OLD holds counts.
    """
    answer = client.call(home, "partner_replace", {"partner": old, "by": " ".join(code)})
    click.echo(f"{answer['name']} gets the column of {old}; coopfs status tells how far that is")


YES = click.option("--yes", is_flag=True, help="Do it although something is lost by it.")


@partner.command()
@click.argument("name")
@YES
@home_option
def end(home: Path, name: str, yes: bool) -> None:
    """End the agreement with partner NAME, and tell it.

    What each stores with the other is deleted, and counts no more. What that costs is said first, and done with --yes.
    """
    untold = client.call(home, "partner_end", {"partner": name, "yes": yes})["untold"]
    _tell([each for each in untold if each == name], f"the agreement with {name} is over, and it knows")


@click.command()
@YES
@home_option
def leave(home: Path, yes: bool) -> None:
    """End all agreements, tell all partners, and give this node's disk up.

    Partners can repair at once what this node held for them. This node's disk is deleted, here and there: copy what you
    want to keep, and unmount it. What it costs is said first, and done with --yes.
    """
    untold = client.call(home, "leave", {"yes": yes})["untold"]
    _tell(untold, "all partners know that this node has left; the daemon is not needed any more: coopfs stop")


def _tell(untold: list[str], done: str) -> None:
    if untold:
        done = f"not told yet: {', '.join(untold)}; it is done as soon as they are reached while the daemon runs"
    click.echo(done)


@partner.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
@home_option
def list_partners(home: Path, as_json: bool) -> None:
    """Partners, whether they are up, and bytes given to and taken from each."""
    partners = client.call(home, "partner_list")["partners"]
    if as_json:
        click.echo(json.dumps(partners, indent=2))
        return
    # rich takes longer to import than most commands take to run
    from coopfs.cli.tables import print_partners

    print_partners(partners)
