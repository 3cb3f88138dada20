"""Choices of k and m for people: the table of `coopfs plan`, from the same answer that --json prints."""

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from coopfs.core.quorum import Quorum
from coopfs.core.reliability import percent

Json = dict[str, Any]


def print_plan(plan: Json) -> None:
    """What was assumed, what reaches the target, and how to go on."""
    console = Console(highlight=False, soft_wrap=True)
    console.print(
        f"If each partner is up {100 * plan['partner']:g} % of the time, {100 * plan['loss']:g} % of them are lost"
    )
    console.print(f"for good in a year, and a lost one is replaced within {plan['repair_days']:g} days:")
    found, nearest = plan["choices"], plan["nearest"]
    console.print(_table(found or [nearest]))
    if nearest is not None:
        console.print(
            f"That is the nearest to {plan['target']} % that up to {plan['partners']} partners come: ask for less, "
            "or find more partners, or such as are up for longer"
        )
        return
    k, m = found[0]["k"], found[0]["m"]
    console.print(f"The first asks for the fewest partners: coopfs format --data {k} --redundancy {m}")


def _table(found: Sequence[Json]) -> Table:
    headers = ("k", "m", "n", "a restore works", "each byte takes", "survives", "a year without loss")
    table = Table(box=None, pad_edge=False, header_style="dim")
    for header in headers:
        table.add_column(header, justify="right", no_wrap=True)
    for choice in found:
        k, m = choice["k"], choice["m"]
        numbers = (str(k), str(m), str(k + m), f"{percent(choice['unsure'])} %", f"{choice['overhead']:.2f} bytes")
        table.add_row(*numbers, f"{Quorum(k, m).f} losses", f"{percent(choice['loss'])} %")
    return table
