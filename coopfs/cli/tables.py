"""Answers of the daemon as tables and sentences for people. The same answers are printed by --json untouched."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from rich.console import Console, JustifyMethod
from rich.markup import escape
from rich.table import Table

from coopfs.cli.levelwords import promise as reachable
from coopfs.cli.matchwords import matching_sentences
from coopfs.cli.words import disk_sentences
from coopfs.core.candidates import Candidate
from coopfs.limits import UPTIME_KNOWN
from coopfs.sizes import format_size

Json = dict[str, Any]

MIN_PARTNERS = 2  # of a disk with redundancy
KEY_DIGITS = 12  # hex digits of a key or id that are shown: 48 bits, enough to tell a few partners apart
STATE_STYLES = {
    "caught up": "green",
    "catching up": "yellow",
    "takes nothing": "yellow",
    "unreachable": "yellow",
    "away": "red",
    "lost": "red",
    "rebuilt": "yellow",
    "emptied": "red",
}


def print_status(status: Json) -> None:
    """The node, its disk, the disk's columns, its partners and what it stores for them."""
    console = _console()
    node = status["node"]
    where = f"reached at {escape(', '.join(node['listen']))}" if node["listen"] else "with no address for partners"
    console.print(f"node [bold]{escape(node['name'])}[/] (key {_short(node['key'])}), {where}")
    for relay in node["relays"]:
        if not relay["up"]:
            trouble = relay["trouble"] or "not reached yet"
            console.print(
                f"[yellow]nobody can call through the relay at {escape(relay['address'])}: {escape(trouble)}[/]"
            )
    if node["uptime"] is not None and node["uptime"]["hours"] > 1:  # of less there is nothing to say
        console.print(f"it was up for {_share(node['uptime'])} of the last {node['uptime']['hours']} hours")
    if node["promise"] is not None:
        warning = node["promise"]["warning"]
        console.print(f"[yellow]-> {escape(warning)}[/]" if warning else _keeps(node["promise"]))
    if node["trouble"]:
        console.print(f"[bold red]{escape(node['trouble'])}[/]")
    disk = status["disk"]
    if disk is None:
        if not node["trouble"]:  # which may be that of a disk that cannot be opened
            console.print(_no_disk([partner for partner in status["partners"] if not partner["ended"]]))
    else:
        for sentence in disk_sentences(disk, datetime.now().astimezone()):
            console.print(sentence)
        console.print(_columns(disk["columns"]))
    for sentence in matching_sentences(status["matching"]):
        console.print(sentence)
    if status["partners"]:
        console.print(_partners(status["partners"]))
    if status["hosted"]:
        console.print(_hosted(status["hosted"]))


def _no_disk(partners: Sequence[Json]) -> str:
    if len(partners) < MIN_PARTNERS:
        return "no disk yet: find partners with coopfs partner invite or find, then run coopfs format"
    return f"no disk yet: make one with coopfs format, which uses these {len(partners)} partners, or with more of them"


def _keeps(promise: Json) -> str:
    left = f"{promise['seconds_left'] / 3600:.0f} hours"
    return f"it keeps its promise to be reachable {escape(reachable(promise['level']))}, and may be off for {left} more"


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
    _console().print(_agreements(partners))
    for partner in partners:
        if how := _how(partner):
            _console().print(f"{escape(partner['name'])}: {escape(how)}")
        for line in resizing(partner):
            _console().print(f"{escape(partner['name'])} {escape(line)}")


def print_readers(readers: Sequence[Json]) -> None:
    """The table of `coopfs kit readers`."""
    if not readers:
        print("no read-only kit is in force: coopfs kit export --read-only makes one")
        return
    table = _table("reader", "until", "partners that know", "key", title="read-only kits", right=(2,))
    for reader in readers:
        reads = "older" if reader["older"] else "newest"
        until = "revoked" if reader["revoked"] else escape(reader["until"] or "for ever")
        table.add_row(_short(reader["reader"]), until, f"{reader['told']} of {reader['partners']}", reads)
    _console().print(table)


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


def _columns(columns: Sequence[Json]) -> Table:
    """Those of two layouts, while it moves, one below the other."""
    headers = ("column", "partner", "state", "missing", "lost", "damaged", "why")
    table = _table(*headers, title="columns of this disk, in blocks", right=(0, 3, 4, 5), wraps="why")
    for column, before in zip(columns, (None, *columns[:-1]), strict=True):
        if before is not None and column["column"] <= before["column"]:
            table.add_section()
            table.add_row("", "[dim]and of the layout that it gets:[/]")
        style = STATE_STYLES.get(column["state"], "")
        state = f"[{style}]{escape(column['state'])}[/]" if style else escape(column["state"])
        blocks = (str(column[key]) for key in ("missing", "lost", "damaged"))
        table.add_row(str(column["column"]), escape(column["partner"]), state, *blocks, escape(column["trouble"] or ""))
    return table


def _partners(partners: Sequence[Json]) -> Table:
    headers = ("name", "key", "now", "given", "taken", "up", "last seen", "how")
    table = _table(*headers, title="partners", right=(3, 4, 5), wraps="how")
    for partner in partners:
        table.add_row(
            escape(partner["name"]),
            _short(partner["key"]),
            "[green]up[/]" if partner["up"] else "[red]down[/]",
            format_size(partner["given"]),
            format_size(partner["taken"]),
            uptime(partner["uptime"]),
            "now" if partner["up"] else escape(partner["last_seen"] or "never"),
            escape(_how(partner)),
        )
    return table


def _agreements(partners: Sequence[Json]) -> Table:
    """What was agreed with each, and how it keeps to it."""
    headers = ("name", "now", "given", "taken", "since", "promised", "was up", "last seen")
    table = _table(*headers, title="agreements", right=(2, 3, 6), wraps="promised")  # hours of the week are long
    for partner in partners:
        table.add_row(
            escape(partner["name"]),
            "[green]up[/]" if partner["up"] else "[red]down[/]",
            format_size(partner["given"]),
            format_size(partner["taken"]),
            escape((partner["since"] or "")[:10]),
            escape(partner["promised"] or "nothing"),
            uptime(partner["uptime"]),
            "now" if partner["up"] else escape((partner["last_seen"] or "never")[:16]),
        )
    return table


def _how(partner: Json) -> str:
    """By which way a partner is reached, where this node called it or from where it called; or what is wrong."""
    if partner["ended"]:
        return "over: told when it is reached"
    way = partner["way"]
    if way is None:
        return partner["trouble"] or ""
    candidate = Candidate.of(way["address"])
    words = ["at" if way["dialled"] else "from", *(["relay"] if candidate.relayed else []), candidate.address]
    return " ".join(words)


def resizing(partner: Json) -> Iterator[str]:
    """What is asked of a partner, and what it asks for, each as the end of a sentence about it."""
    wish, asks = partner["resize"]["wish"], partner["resize"]["asks"]
    if wish is not None:
        yield f"is asked for {format_size(wish['size'])} each way: {wish['refusal'] or 'not reached yet'}"
    if asks is not None:
        yield f"asks for {format_size(asks)} each way: agree with coopfs partner resize {partner['name']} {asks}"


def uptime(seen: Json | None) -> str:
    """The share of the time that a node was up; in brackets while it was seen for less than a week."""
    if seen is None:
        return ""
    return _share(seen) if seen["hours"] * 3600 >= UPTIME_KNOWN else f"({_share(seen)})"


def _share(seen: Json) -> str:
    return f"{100 * seen['share']:.3g} %"


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


def _table(*headers: str, title: str, right: Sequence[int], wraps: str = "") -> Table:
    """right: which columns are aligned there; wraps: the header of the one that gives way where lines are short."""
    table = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="dim")
    for index, header in enumerate(headers):
        justify: JustifyMethod = "right" if index in right else "left"
        table.add_column(
            header, justify=justify, no_wrap=header != wraps, overflow="fold" if header == wraps else "ellipsis"
        )
    return table


def _short(identifier: str) -> str:
    return escape(identifier[:KEY_DIGITS])


def _console() -> Console:
    """Paths and codes must survive copying: neither wrapped nor highlighted."""
    return Console(highlight=False, soft_wrap=True)
