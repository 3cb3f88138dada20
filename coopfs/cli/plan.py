"""plan: how many partners, and how to use them."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from coopfs.cli import client
from coopfs.cli.params import home_option
from coopfs.core.choice import Choice, Hopes, choices, nearest, split
from coopfs.errors import UsageError
from coopfs.limits import (
    DEFAULT_LOST,
    DEFAULT_PARTNER_UP,
    DEFAULT_REPAIR_DAYS,
    DEFAULT_TARGET,
    MAX_COLUMNS,
    PLAN_PARTNERS,
)

SURE = click.FloatRange(0.0, 100.0, min_open=True, max_open=True)
SHARE = click.FloatRange(0.0, 1.0, min_open=True, max_open=True)
DAYS = click.FloatRange(0.0, 3650.0, min_open=True)


@click.command()
@click.option(
    "--target",
    type=SURE,
    default=DEFAULT_TARGET,
    metavar="PERCENT",
    show_default=True,
    help="How often a restore should work at once.",
)
@click.option(
    "--partner",
    "up",
    type=SHARE,
    metavar="SHARE",
    help=f"Share of the time that a partner is up [default: {DEFAULT_PARTNER_UP}].",
)
@click.option(
    "--partners",
    "most",
    type=click.IntRange(2, MAX_COLUMNS),
    metavar="N",
    help=f"Use at most so many partners [default: {PLAN_PARTNERS}].",
)
@click.option("--measured", is_flag=True, help="Split the partners that this node has, as it has seen them.")
@click.option(
    "--loss",
    "lost",
    type=SHARE,
    default=DEFAULT_LOST,
    metavar="SHARE",
    show_default=True,
    help="Share of the partners that is lost for good in a year.",
)
@click.option(
    "--repair",
    type=DAYS,
    default=DEFAULT_REPAIR_DAYS,
    metavar="DAYS",
    show_default=True,
    help="Days until what a lost partner had is stored elsewhere.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@home_option
def plan(
    home: Path,
    target: float,
    up: float | None,
    most: int | None,
    measured: bool,
    lost: float,
    repair: float,
    as_json: bool,
) -> None:
    """How many partners are needed, and how many of them as redundancy.

    Prints the splits K+M that reach the target: each stores less than those above it, and needs more partners.
    A restore works at once if K partners are up, and M too, so that it is sure to show the newest state without asking.
    Otherwise it has to wait for some to come back. Partners are taken to fail independently of each other.
    """
    hopes = Hopes(lost, repair)
    answer: dict[str, Any] = {"target": target, "loss": lost, "repair_days": repair}
    if measured:
        if up is not None or most is not None:
            raise UsageError("--measured goes by the partners there are, without --partner and --partners")
        answer |= _of_those_there_are(client.call(home, "partner_list")["partners"], target / 100.0, hopes)
    else:
        up, most = up or DEFAULT_PARTNER_UP, most or PLAN_PARTNERS
        found = list(choices(target / 100.0, up, most, hopes))
        answer |= {"partner": up, "partners": most} | _described(found, None if found else nearest(up, most, hopes))
    if as_json:
        click.echo(json.dumps(answer, indent=2))
        return
    # rich takes longer to import than most commands take to run
    from coopfs.cli.choicetable import print_plan

    print_plan(answer)


def _of_those_there_are(partners: Sequence[dict[str, Any]], target: float, hopes: Hopes) -> dict[str, Any]:
    """How to split this node's partners. UsageError: it has less than two."""
    partners = [partner for partner in partners if not partner["ended"]]
    if len(partners) < 2:
        raise UsageError("this node has less than 2 partners: leave out --measured")
    best = split(target, [partner["expected"] for partner in partners], hopes)
    seen = [{key: partner[key] for key in ("name", "uptime", "expected")} for partner in partners]
    return {"measured": seen} | (_described([best], None) if best.reaches(target) else _described([], best))


def _described(found: Sequence[Choice], best: Choice | None) -> dict[str, Any]:
    return {"choices": [_plain(each) for each in found], "nearest": None if best is None else _plain(best)}


def _plain(choice: Choice) -> dict[str, Any]:
    return {**asdict(choice), "n": choice.n, "overhead": choice.overhead}
