"""Full disks: `contrib/campaign full`. With a record, roads that were travelled to the end are left out."""

import logging
import multiprocessing
import os
import signal
import time
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from campaignlib.record import RECORD, Record
from campaignlib.subject import MEMORY
from coopfs.cli import progress
from tests.sim.month import Amplification, month
from tests.sim.roads import ROADS, travel

SPACE = 1.3  # the most that a month of a workstation may cost in rows,
WRITTEN = 2.0  # and in what is sent


@dataclass(frozen=True, slots=True)
class Journey:
    """Rounds on one road."""

    road: str
    rounds: int
    seed: int

    def __str__(self) -> str:
        return f"--road {self.road!r} --rounds {self.rounds} --seed {self.seed}"


@dataclass(frozen=True, slots=True)
class Travelled:
    """A journey, how it went, and the seconds that it took."""

    journey: Journey
    counts: dict[str, int]
    broken: str
    seconds: float


def _decode(fields: dict[str, Any]) -> Travelled:
    return Travelled(Journey(**fields.pop("journey")), **fields)


@click.command()
@click.option("--rounds", default=100, show_default=True, metavar="N", type=click.IntRange(1), help="On each road.")
@click.option("--seed", default=1, show_default=True, metavar="N", type=click.IntRange(0), help="All comes from it.")
@click.option("--road", "roads", multiple=True, type=click.Choice(list(ROADS)), help="Instead of all; may be repeated.")
@click.option("--days", default=30, show_default=True, metavar="N", type=click.IntRange(0), help="Of a workstation.")
@click.option("--jobs", default=os.cpu_count() or 1, show_default="one a core", metavar="N", type=click.IntRange(1))
@RECORD
def full(rounds: int, seed: int, roads: tuple[str, ...], days: int, jobs: int, record: Path | None) -> int:
    """Fill a disk by every road, delete, and fill it again: never stuck, never EIO, deleting always works.

    Then a workstation is lived with on a disk that is 70 % full, and what it cost is printed.
    """
    wanted = [Journey(road, rounds, seed) for road in roads or ROADS]
    if os.geteuid() != 0:
        left_out = [journey.road for journey in wanted if ROADS[journey.road].needs_root]
        wanted = [journey for journey in wanted if not ROADS[journey.road].needs_root]
        if left_out:
            print(f"left out, as only root can mount a small file system: {', '.join(left_out)}")
    with Record(record, _decode) as kept:
        travelled = _travel(wanted, jobs, kept)
    _show(travelled)
    broken = [one for one in travelled if one.broken]
    for one in broken:
        print(f"contrib/campaign full {one.journey}: {one.broken}")
    if not broken and wanted:
        print("never stuck, and deleting always worked")
    dear = _live(days, seed) if days else False
    return 1 if broken or dear else 0


def _travel(wanted: Sequence[Journey], jobs: int, kept: Record[Travelled]) -> list[Travelled]:
    well = {one.journey for one in kept.lines if not one.broken}
    missing = [journey for journey in wanted if journey not in well]
    with progress.show() as watch:
        for number, one in enumerate(_travelled(missing, jobs), 1):
            kept.add(one)
            watch("filling and emptying", number, len(missing))
    newest = {one.journey: one for one in kept.lines}
    return [newest[journey] for journey in wanted]


def _travelled(wanted: Sequence[Journey], jobs: int) -> Iterator[Travelled]:
    context = multiprocessing.get_context("forkserver")
    with context.Pool(jobs, quiet_worker, maxtasksperchild=1) as pool:
        yield from pool.imap_unordered(_run, wanted)


def quiet_worker() -> None:
    """Ctrl-C is for the parent, which ends its pool."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _run(journey: Journey) -> Travelled:
    calm_down()
    began = time.monotonic()
    with room() as directory:
        course = travel(ROADS[journey.road], journey.rounds, journey.seed, Path(directory))
    return Travelled(journey, dict(course.counts), course.broken, time.monotonic() - began)


def _live(days: int, seed: int) -> bool:
    """Whether a month costs more than it may."""
    calm_down()
    with room() as directory, progress.show() as watch:
        watch(f"{days} days of a workstation", 0, 1)
        found = month(days, seed, Path(directory))
    print(_words(found))
    return max(found.space) > SPACE or found.written > WRITTEN


def _words(found: Amplification) -> str:
    most, mean = max(found.space), sum(found.space) / len(found.space)
    return (
        f"{len(found.space)} days of a workstation, 70 % full: {most:.2f} times its content in rows at the most, "
        f"{mean:.2f} on average (at most {SPACE}); {found.written:.2f} times what was written sent (at most {WRITTEN})"
    )


def calm_down() -> None:
    logging.disable()  # who loses partners all day is told so all day
    warnings.simplefilter("error")


def room() -> TemporaryDirectory[str]:
    return TemporaryDirectory(prefix="coopfs-campaign-", dir=MEMORY if MEMORY.is_dir() else None)


def _show(travelled: Sequence[Travelled]) -> None:
    table = Table()
    table.add_column("road")
    for name in ("rounds", "operations", "MB written", "seconds"):
        table.add_column(name, justify="right")
    table.add_column("went")
    for one in travelled:
        counts = one.counts
        figures = (counts["rounds"], counts["operations"], counts["written"] // 1_000_000, round(one.seconds))
        went = "broken" if one.broken else "well"
        table.add_row(one.journey.road, *(f"{figure:,}" for figure in figures), went)
    Console(soft_wrap=True).print(table)
