"""The command line of contrib/campaign."""

import itertools
import multiprocessing
import os
import re
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

import click

from campaignlib import coverage
from campaignlib.crashes import crashes
from campaignlib.formation import formation
from campaignlib.full import full
from campaignlib.losses import losses
from campaignlib.networks import networks
from campaignlib.outages import outages
from campaignlib.record import RECORD, Record
from campaignlib.shrink import parse, shrink, write
from campaignlib.subject import Line, Subject, decode_line, run
from campaignlib.villages import villages
from coopfs.cli import progress
from coopfs.cli.run import run as run_command

GEOMETRIES = ("1+0", "1+1", "1+2", "2+1", "2+2", "3+2", "1+3")
LIVES_PER_WORKER = 200  # then a new process: what a life leaves in memory is no fault of the next


class GeometryType(click.ParamType[str]):
    """K+M."""

    name = "K+M"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        match = re.fullmatch(r"(\d)\+(\d)", value)
        if match is None or int(match[1]) == 0:
            self.fail(f"{value} is not a geometry such as 2+1", param, ctx)
        return value


class StepsType(click.ParamType[frozenset[int]]):
    """As shrinking prints them."""

    name = "STEPS"

    def convert(
        self, value: str | frozenset[int], param: click.Parameter | None, ctx: click.Context | None
    ) -> frozenset[int]:
        try:
            return parse(value) if isinstance(value, str) else value
        except ValueError:
            self.fail(f"{value} are not steps such as 0-3,7", param, ctx)


@click.group()
def campaign() -> None:
    """Simulated lives by the thousand, each from its seed."""


campaign.add_command(full)
campaign.add_command(crashes)
campaign.add_command(outages)
campaign.add_command(losses)
campaign.add_command(networks)
campaign.add_command(villages)
campaign.add_command(formation)


@campaign.command()
@click.option("--lives", default=700, show_default=True, metavar="N", type=click.IntRange(1), help="In all.")
@click.option("--from", "first", default=0, show_default=True, metavar="SEED", type=click.IntRange(0), help="To begin.")
@click.option("--geometry", "geometries", multiple=True, type=GeometryType(), help="Instead of seven; may be repeated.")
@click.option("--beyond", is_flag=True, help="Lose more at the end than is promised to survive.")
@click.option("--jobs", default=os.cpu_count() or 1, show_default="one a core", metavar="N", type=click.IntRange(1))
@RECORD
def lives(lives: int, first: int, geometries: tuple[str, ...], beyond: bool, jobs: int, record: Path | None) -> int:
    """Live so many lives, print the lines of those that break a promise, and what was met in all."""
    ending = "beyond" if beyond else "promised"
    seeds = itertools.count(first)
    every = (Subject(seed, geometry, ending) for seed in seeds for geometry in geometries or GEOMETRIES)
    wanted = list(itertools.islice(every, lives))
    with Record(record, decode_line) as kept, progress.show() as watch:
        done = {line.subject for line in kept.lines}
        left = [subject for subject in wanted if subject not in done]
        began = time.monotonic()
        for number, line in enumerate(_lived(left, jobs), 1):
            kept.add(line)
            watch("living", number, len(left))
            if line.broken:
                watch.pause()
                print(line, flush=True)
        minutes = (time.monotonic() - began) / 60
    mine = [line for line in kept.lines if line.subject in set(wanted)]
    coverage.show(mine)
    if left:
        print(f"{len(left) / minutes / jobs:.0f} lives per minute and process, {jobs} at a time")
    broken = [line for line in mine if line.broken]
    print(f"{len(broken)} of them broke a promise" if broken else "no promise was broken")
    if broken:
        _shrunk(broken[0])
    return 1 if broken else 0


@campaign.command()
@click.argument("seed", type=click.IntRange(0))
@click.argument("geometry", type=GeometryType())
@click.option("--beyond", is_flag=True, help="As the campaign was run.")
@click.option("--without", default="", type=StepsType(), help="Leave these out.")
def replay(seed: int, geometry: str, beyond: bool, without: frozenset[int]) -> int:
    """Live one life again, exactly. Prints its line, and the digest of its course."""
    line = run(Subject(seed, geometry, "beyond" if beyond else "promised"), without)
    print(line)
    print(f"{line.steps} steps, course {line.trace}")
    return 1 if line.broken else 0


def _lived(subjects: list[Subject], jobs: int) -> Iterator[Line]:
    context = multiprocessing.get_context("forkserver")
    with context.Pool(jobs, _quiet_worker, maxtasksperchild=LIVES_PER_WORKER) as pool:
        yield from pool.imap_unordered(run, subjects)


def _quiet_worker() -> None:
    """Ctrl-C is for the parent, which ends its pool."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _shrunk(line: Line) -> None:
    subject = line.subject
    without = shrink(line.steps, lambda left_out: run(subject, left_out).kind == line.kind)
    print(f"{line.steps - len(without)} of {line.steps} steps are enough:")
    print(f"    contrib/campaign replay {subject} --without {write(without)}")


def _unwind(number: int, _frame: FrameType | None) -> None:
    """Like an error, so that nothing is left running."""
    raise SystemExit(128 + number)


def main() -> None:
    """Entry point."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _unwind)
    sys.exit(run_command(campaign, "campaign", sys.argv[1:]))
