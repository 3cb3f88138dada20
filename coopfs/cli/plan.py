"""plan: how many partners, and how to use them."""

import json
from dataclasses import asdict
from typing import Any

import click

from coopfs.core.choice import Choice, Hopes, choices, split
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
    default=DEFAULT_PARTNER_UP,
    metavar="SHARE",
    show_default=True,
    help="Share of the time that a partner is up.",
)
@click.option(
    "--partners",
    "most",
    type=click.IntRange(2, MAX_COLUMNS),
    default=PLAN_PARTNERS,
    metavar="N",
    show_default=True,
    help="Use at most so many partners.",
)
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
def plan(target: float, up: float, most: int, lost: float, repair: float, as_json: bool) -> None:
    """How many partners are needed, and how many of them as redundancy.

    Prints the splits K+M that reach the target: each stores less than those above it, and needs more partners.
    A restore works at once if K partners are up, and M too, so that it is sure to show the newest state without asking.
    Otherwise it has to wait for some to come back. Partners are taken to fail independently of each other.
    """
    hopes = Hopes(lost, repair)
    found = list(choices(target / 100.0, up, most, hopes))
    answer: dict[str, Any] = {
        **{"target": target, "partner": up, "partners": most, "loss": lost, "repair_days": repair},
        "choices": [describe(choice) for choice in found],
        "nearest": None if found else describe(split(target / 100.0, [up] * most, hopes)),
    }
    if as_json:
        click.echo(json.dumps(answer, indent=2))
        return
    # rich takes longer to import than most commands take to run
    from coopfs.cli.choicetable import print_plan

    print_plan(answer)


def describe(choice: Choice) -> dict[str, Any]:
    """A choice as plain values."""
    return {**asdict(choice), "n": choice.n, "overhead": choice.overhead}
