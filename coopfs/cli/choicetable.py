"""Choices of k and m for people: the table of `coopfs plan`, from the same answer that --json prints."""

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from coopfs.core.quorum import Quorum
from coopfs.core.reliability import percent
from coopfs.limits import UPTIME_KNOWN

Json = dict[str, Any]


def print_plan(plan: Json) -> None:
    """What was assumed, what reaches the target, and how to go on."""
    console = Console(highlight=False, soft_wrap=True)
    found, nearest, measured = plan["choices"], plan["nearest"], plan.get("measured")
    rate, days = f"{100 * plan['loss']:g} %", f"{plan['repair_days']:g} days"
    if measured is None:
        console.print(f"If each partner is up {100 * plan['partner']:g} % of the time, {rate} of them are lost")
        console.print(f"for good in a year, and a lost one is replaced within {days}:")
    else:
        for partner in measured:
            console.print(f"{escape(partner['name'])} {_was_up(partner)}")
        console.print(f"If {rate} of them are lost for good in a year, and a lost one is replaced within {days}:")
    console.print(_table(found or [nearest]))
    if nearest is not None:
        who = "these partners" if measured is not None else f"up to {plan['partners']} partners"
        help_ = "partners that are up for longer, as more of these do not help"
        if measured is not None or nearest["n"] == plan["partners"]:
            help_ = "more partners, or such as are up for longer"
        console.print(f"That is the nearest to {plan['target']} % that {who} come: ask for less, or find {help_}")
        return
    k, m = found[0]["k"], found[0]["m"]
    first = "" if len(found) == 1 else "The first asks for the fewest partners: "
    console.print(f"{first}coopfs format --data {k} --redundancy {m}")


def _was_up(partner: Json) -> str:
    seen, taken = partner["uptime"], f"{100 * partner['expected']:.3g} %"
    if seen is None:
        return f"was not seen yet, and is taken to be up {taken} of the time"
    if seen["hours"] == 0:
        return f"was seen for less than an hour, and is taken to be up {taken} of the time"
    told = f"was up {100 * seen['share']:.3g} % of {seen['hours']} hours seen"
    if seen["hours"] * 3600 < UPTIME_KNOWN:
        return f"{told}, which is too few to go by: it is taken to be up {taken} of the time"
    return told


def _table(found: Sequence[Json]) -> Table:
    headers = ("k", "m", "n", "a restore works", "each byte takes", "survives", "a year without loss")
    table = Table(box=None, pad_edge=False, header_style="dim")
    for header in headers:
        table.add_column(header, justify="right", no_wrap=True)
    for choice in found:
        k, m = choice["k"], choice["m"]
        f = Quorum(k, m).f
        numbers = (str(k), str(m), str(k + m), f"{percent(choice['unsure'])} %", f"{choice['overhead']:.2f} bytes")
        table.add_row(*numbers, f"{f} loss{'es' if f != 1 else ''}", f"{percent(choice['loss'])} %")
    return table
