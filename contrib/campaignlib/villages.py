"""Villages of many nodes: `contrib/campaign villages`. With a record, seasons that were lived are left out."""

import itertools
import multiprocessing
import os
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from campaignlib.full import calm_down, quiet_worker, room
from campaignlib.record import RECORD, Record
from coopfs.cli import progress
from tests.village.quiet import REPLACED
from tests.village.season import live

DAY = 86_400.0
HOUSES, DAYS = 24, 90
SHOWN = (
    "join",
    "format",
    "write",
    "kit",
    "crash",
    "cut",
    "off",
    "burn",
    "takeover",
    "vanish",
    "declared",
    "leave",
    "sleep",
    "rekey",
    "grow",
    "shrink",
    "step",
    "parted",
    "restore",
)


@dataclass(frozen=True, slots=True)
class Lived:
    """A season. waited: of each column that another partner got, the days until then in which somebody was free; sent,
    columns: bytes to those partners, and of those columns; warned: nodes that broke their promise to be up, after a
    warning; seconds: of processor time."""

    seed: int
    houses: int
    days: int
    trace: str
    counts: dict[str, int]
    waited: list[float]
    sent: int
    columns: int
    warned: int
    broken: str
    seconds: float


def _decode(fields: dict[str, Any]) -> Lived:
    return Lived(**fields)


@click.command()
@click.option("--rounds", default=1, show_default=True, metavar="N", type=click.IntRange(1), help="Seasons.")
@click.option("--seed", default=1, show_default=True, metavar="N", type=click.IntRange(0), help="Of the first one.")
@click.option("--houses", default=HOUSES, show_default=True, metavar="N", type=click.IntRange(4, 200), help="Of each.")
@click.option("--days", default=DAYS, show_default=True, metavar="N", type=click.IntRange(5, 366), help="Of each.")
@click.option("--jobs", default=os.cpu_count() or 1, show_default="one a core", metavar="N", type=click.IntRange(1))
@RECORD
def villages(rounds: int, seed: int, houses: int, days: int, jobs: int, record: Path | None) -> int:
    """Nodes find each other, agree, and live for a season: all that was held comes back, and who is lost is replaced.

    Every node has a disk of its own and stores for others. Machines are lost and taken over, partners leave and vanish,
    lines and machines are down for hours and days; newcomers step between two where nobody is free, disks get other
    sizes. Never more is lost at once than every disk promises to survive, and at each step it is tried.
    """
    wanted = list(itertools.islice(itertools.count(seed), rounds))
    with Record(record, _decode) as kept, progress.show() as watch:
        known = {one.seed for one in kept.lines if (one.houses, one.days) == (houses, days)}
        missing = [each for each in wanted if each not in known]
        for number, one in enumerate(_lived(missing, houses, days, jobs), 1):
            kept.add(one)
            watch("seasons", number, len(missing))
            if one.broken:
                watch.pause()
                print(f"contrib/campaign villages {_again(one)}: {one.broken}", flush=True)
    mine = [one for one in kept.lines if one.seed in wanted and (one.houses, one.days) == (houses, days)]
    _show(mine)
    broken = sum(bool(one.broken) for one in mine)
    print(f"{broken} of {len(mine)} seasons broke a promise" if broken else "no promise was broken")
    return 1 if broken else 0


def _again(one: Lived) -> str:
    return f"--seed {one.seed} --houses {one.houses} --days {one.days}"


def _lived(seeds: Sequence[int], houses: int, days: int, jobs: int) -> Iterator[Lived]:
    context = multiprocessing.get_context("forkserver")
    with context.Pool(jobs, quiet_worker, maxtasksperchild=1) as pool:
        yield from pool.imap_unordered(partial(_live, houses, days), seeds)


def _live(houses: int, days: int, seed: int) -> Lived:
    calm_down()
    began = time.process_time()
    with room() as directory:
        verdict = live(seed, houses, days, Path(directory))
    return Lived(
        seed,
        houses,
        days,
        verdict.trace,
        dict(verdict.counts),
        [one.waited / DAY for one in verdict.replaced],
        sum(one.sent for one in verdict.replaced),
        sum(one.column for one in verdict.replaced),
        verdict.warned,
        "" if verdict.broken is None else str(verdict),
        time.process_time() - began,
    )


def _show(lived: Sequence[Lived]) -> None:
    counts: Counter[str] = Counter()
    for one in lived:
        counts.update(one.counts)
    table = Table("what", "times")
    table.columns[1].justify = "right"
    for what in SHOWN:
        table.add_row(what, f"{counts[what]:,}")
    Console(soft_wrap=True).print(table)
    waited = sorted(days for one in lived for days in one.waited)
    if waited:
        sent, columns = sum(one.sent for one in lived), sum(one.columns for one in lived)
        print(
            f"{len(waited)} columns got another partner: after {waited[len(waited) // 2]:.1f} days in which somebody "
            f"was free (median), {waited[-1]:.1f} at the most (at most {REPLACED / DAY:.0f}), "
            f"with {sent / columns:.2f} bytes sent for each byte of them"
        )
    print(f"{sum(one.warned for one in lived)} nodes broke their promise to be up bit by bit, and were warned before")
    node_days = sum(one.houses * one.days for one in lived)
    seconds = sum(one.seconds for one in lived)
    print(f"{node_days:,} days of nodes, {1000 * seconds / max(1, node_days):.0f} ms of processor time each")
