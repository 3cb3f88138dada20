"""What a campaign met."""

from collections import Counter
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from campaignlib.subject import COURSE, Line


def show(lines: Sequence[Line]) -> None:
    """A table: everything that was counted, how often, and in how many lives."""
    total: Counter[str] = Counter()
    lives: Counter[str] = Counter()
    for line in lines:
        total.update(line.counts)
        lives.update(what for what, count in line.counts.items() if count)
    table = Table()
    table.add_column("met")
    table.add_column("times", justify="right")
    table.add_column("in lives", justify="right")
    for what in sorted(total, key=lambda name: (name in COURSE, name)):
        table.add_row(what, f"{total[what]:,}", f"{lives[what]:,}")
    print(lives_of(lines))
    Console(soft_wrap=True).print(table)


def lives_of(lines: Sequence[Line]) -> str:
    """How many, of which kinds."""
    kinds = Counter(f"{line.subject.geometry} {line.subject.ending}" for line in lines)
    listed = ", ".join(f"{count:,} {kind}" for kind, count in sorted(kinds.items()))
    return f"{len(lines):,} lives: {listed}"
