"""Answers of the daemon as tables and sentences for people. The same answers are printed by --json untouched."""

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from coopfs.sizes import format_size

Json = dict[str, Any]

KEY_DIGITS = 12  # hex digits of a key or id that are shown: 48 bits, enough to tell a few partners apart
STATE_STYLES = {"caught up": "green", "catching up": "yellow", "unreachable": "yellow", "away": "red"}


def print_status(status: Json) -> None:
    """The node, its disk, the disk's columns, its partners and what it stores for them."""
    console = _console()
    node = status["node"]
    where = f"reached at {escape(', '.join(node['listen']))}" if node["listen"] else "with no address for partners"
    console.print(f"node [bold]{escape(node['name'])}[/] (key {_short(node['key'])}), {where}")
    if node["trouble"]:
        console.print(f"[bold red]{escape(node['trouble'])}[/]")
    disk = status["disk"]
    if disk is None:
        if not node["trouble"]:  # which may be that of a disk that cannot be opened
            console.print("no disk yet: find partners with coopfs partner invite, then run coopfs format")
    else:
        for sentence in disk_sentences(disk):
            console.print(sentence)
        console.print(_columns(disk["columns"]))
    if status["partners"]:
        console.print(_partners(status["partners"]))
    if status["hosted"]:
        console.print(_hosted(status["hosted"]))


def print_log(log: Json, verbose: bool) -> None:
    """How far a path has got; verbose: with the extents of a file."""
    console = _console()
    for sentence in log_sentences(log):
        console.print(sentence)
    if verbose and log.get("extents"):
        console.print(_extents(log))


def print_partners(partners: Sequence[Json]) -> None:
    """The table of `coopfs partner list`."""
    if not partners:
        print("no partners yet: run coopfs partner invite, or accept a code")
        return
    _console().print(_partners(partners))


def print_fields(fields: Sequence[tuple[str, str]]) -> None:
    """(label, value) lines, the values aligned."""
    width = max((len(label) for label, _ in fields), default=0)
    for label, value in fields:
        print(f"{label:<{width}}  {value}")


def log_sentences(log: Json) -> list[str]:
    """What `coopfs log` says, in rich markup."""
    sentences = [f"{escape(log['path'])}: [bold]{_since(log)}[/]"]
    if log["kind"] == "directory":
        for state, count in log["entries"].items():
            if count:
                noun = "entry" if count == 1 else "entries"
                sentences.append(f"  {count} {noun} {state}, {format_size(log['bytes'][state])} of content")
    else:
        sentences.append(f"  {format_size(log['stored'])} of content, {log['share']} % of its blocks are with partners")
    if log["changed_at"]:
        sentences.append(f"  newest change in group {log['group']}, which ended at {escape(log['changed_at'])}")
    return sentences


def _since(log: Json) -> str:
    if log["state"] not in ("held", "complete"):
        return {"dirty": "not sent yet", "sent": "being sent", "written": "sent, but not held yet"}[log["state"]]
    return f"{log['state']}, held since {escape(log['held_since'])}" if log["held_since"] else str(log["state"])


def _extents(log: Json) -> Table:
    table = _table("offset", "length", "stripe", "state", "blocks", title="extents", right=(0, 1, 2, 4))
    for extent in log["extents"]:
        blocks = f"{extent['blocks']} of {log['blocks_each']}"
        numbers = (str(extent[key]) for key in ("offset", "length", "stripe"))
        table.add_row(*numbers, escape(extent["state"]), blocks)
    if log["more_extents"]:
        table.caption = f"and {log['more_extents']} more"
    return table


def disk_sentences(disk: Json) -> list[str]:
    """How the disk is, in rich markup, the most important last."""
    used = 100 * disk["rows_used"] // max(1, disk["rows"])
    where = f"mounted at {escape(disk['mounted'])}" if disk["mounted"] else "not mounted"
    sentences = [
        f"disk {_short(disk['id'])}: {disk['k']}+{disk['m']}, {used} % of {disk['rows']} rows used, "
        f"epoch {disk['epoch']}, {where}",
        f"{format_size(disk['bytes'] - disk['bytes_free'])} used of {format_size(disk['bytes'])}",
        "groups: " + ", ".join(f"{count} {state}" for state, count in disk["groups"].items()),
    ]
    if disk["trouble"]:
        sentences.append(f"[bold red]{escape(disk['trouble'])}[/]")
    if disk["below_target"]:
        sentences.append(f"[yellow]{disk['below_target']} stripes have fewer blocks than they should[/]")
    if disk["margin"] is not None:
        sentences.append(_margin(disk["margin"]))
    pending = f"{format_size(disk['not_held_bytes'])} not held yet" if disk["not_held_bytes"] else "nothing is waiting"
    if disk["held_at"]:
        sentences.append(f"[bold]held up to {escape(disk['held_at'])}[/], {pending}")
    else:
        sentences.append(f"[bold yellow]nothing is held yet[/], {pending}")
    return sentences


def _margin(margin: int) -> str:
    if margin < 0:
        return "[bold red]some held content cannot be restored from the partners that are here now[/]"
    if margin == 0:
        return "[bold red]margin 0: no further partner may be lost before repair[/]"
    return f"margin {margin}: {margin} further partner{'s' if margin > 1 else ''} may be lost"


def _columns(columns: Sequence[Json]) -> Table:
    table = _table("column", "partner", "state", "missing blocks", "why", title="columns of this disk", right=(0, 3))
    for column in columns:
        style = STATE_STYLES.get(column["state"], "")
        state = f"[{style}]{escape(column['state'])}[/]" if style else escape(column["state"])
        cells = (str(column["column"]), escape(column["partner"]), state, str(column["missing"]))
        table.add_row(*cells, escape(column["trouble"] or ""))
    return table


def _partners(partners: Sequence[Json]) -> Table:
    table = _table("name", "key", "now", "given", "taken", "last seen", "why", title="partners", right=(3, 4))
    for partner in partners:
        table.add_row(
            escape(partner["name"]),
            _short(partner["key"]),
            "[green]up[/]" if partner["up"] else "[red]down[/]",
            format_size(partner["given"]),
            format_size(partner["taken"]),
            escape(partner["last_seen"] or "never"),
            escape(partner["trouble"] or ""),
        )
    return table


def _hosted(hosted: Sequence[Json]) -> Table:
    table = _table("partner", "disk", "store", "rows", "used", title="stored for partners", right=(3, 4))
    for store in hosted:
        cells = (
            escape(store["partner"]),
            _short(store["disk"]),
            _short(store["store"]),
            str(store["rows"]),
            str(store["used"]),
        )
        table.add_row(*cells)
    return table


def _table(*headers: str, title: str, right: Sequence[int]) -> Table:
    table = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="dim")
    for index, header in enumerate(headers):
        table.add_column(header, justify="right" if index in right else "left", no_wrap=True)
    return table


def _short(identifier: str) -> str:
    return escape(identifier[:KEY_DIGITS])


def _console() -> Console:
    """Paths and codes must survive copying: neither wrapped nor highlighted."""
    return Console(highlight=False, soft_wrap=True)
