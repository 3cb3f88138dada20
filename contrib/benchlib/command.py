"""The command line of contrib/bench."""

import json
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from types import FrameType
from typing import Any

import click

from benchlib import figures, measures, phases
from benchlib import growth as growth_of
from benchlib import matching as matching_of
from benchlib import plot as plotting
from benchlib import recovery as recovery_of
from coopfs.cli import progress
from coopfs.cli.run import run
from coopfs.limits import MIB

TEMPORARY = Path("/var/tmp")  # a disk, where /tmp is often memory


@click.command(epilog=measures.text())
@click.option("--size", default=128, show_default=True, metavar="MIB", type=click.IntRange(1), help="Of a large file.")
@click.option("--files", default=2000, show_default=True, metavar="N", type=click.IntRange(1), help="In a tree.")
@click.option("--rounds", default=3, show_default=True, metavar="N", type=click.IntRange(1), help="In front.")
@click.option(
    "--growth", multiple=True, metavar="N", type=click.IntRange(1), help="Measure instead how cost grows to N files."
)
@click.option("--recovery", is_flag=True, help="Measure instead what losses cost, with --size and --files.")
@click.option(
    "--seconds", default=80, show_default=True, metavar="N", type=click.IntRange(1), help="Each of its rates."
)
@click.option("--matching", metavar="N", type=click.IntRange(1), help="Measure instead a matching server of N members.")
@click.option(
    "--fronts", default=2, show_default=True, metavar="N", type=click.IntRange(2), help="And N on one database."
)
@click.option("--dir", "parent", default=TEMPORARY, metavar="DIR", type=click.Path(path_type=Path), help="On the disk.")
@click.option("--json", "output", metavar="FILE", type=click.Path(path_type=Path), help="Write the figures there too.")
@click.option("--plot", metavar="FILE.svg", type=click.Path(path_type=Path), help="Draw the shares of the ceilings.")
def bench(
    size: int,
    files: int,
    rounds: int,
    growth: tuple[int, ...],
    recovery: bool,
    seconds: int,
    matching: int | None,
    fronts: int,
    parent: Path,
    output: Path | None,
    plot: Path | None,
) -> None:
    """Measure coopfs beside a filesystem that does nothing and the local disk.

    Nine daemons run on loopback, in a new directory below --dir. Nothing is left of them. With --growth, given for
    two sizes or more, disks of so many files are made there one after the other, without a mount and with partners in
    the same process, and disks of ten times as many rows: 10^6 files take half an hour and 20 GB. With --recovery the
    machine is lost and taken over, and partners are replaced; it takes some minutes. With
    --matching, a matching server is loaded for a minute on SQLite and on PostgreSQL, which must be installed, and then
    several that share one PostgreSQL.
    """
    if bool(growth) + recovery + (matching is not None) > 1:
        raise click.UsageError("--growth, --recovery and --matching are a run each")
    if plot is not None and (growth or recovery or matching or plot.suffix != ".svg"):
        raise click.UsageError("--plot draws an SVG file, named so, of none of --growth, --recovery and --matching")
    if len(set(growth)) == 1:
        raise click.UsageError("--growth compares sizes: give it twice at least, as --growth 10000 --growth 100000")
    work = Path(tempfile.mkdtemp(prefix="coopfs-bench-", dir=parent))
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _unwind)
    try:
        if matching is not None:
            document = _matching(work, matching, fronts)
        elif growth:
            document = _growth(work, sorted(set(growth)))
        elif recovery:
            document = _recovery(work, files, size * MIB, seconds)
        else:
            document = _speed(work, phases.Sizes(size * MIB, files, rounds), plot)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    if output is not None:
        output.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


def _speed(work: Path, sizes: phases.Sizes, plot: Path | None) -> dict[str, Any]:
    with progress.show() as watch:
        found = phases.run(work, sizes, watch).all()
    figures.show(found)
    if plot is not None:
        plot.write_text(plotting.svg(found), encoding="utf-8")
    return figures.as_json(found, {"size": sizes.size, "files": sizes.files, "rounds": sizes.rounds})


def _growth(work: Path, files: list[int]) -> dict[str, Any]:
    with progress.show() as watch:
        found = growth_of.run(work, files, watch)
    growth_of.show(found)
    return growth_of.as_json(found)


def _recovery(work: Path, files: int, size: int, seconds: int) -> dict[str, Any]:
    with progress.show() as watch:
        found = recovery_of.run(work, files, size, seconds, watch)
    recovery_of.show(found)
    return recovery_of.as_json(found, files, size, seconds)


def _matching(work: Path, members: int, fronts: int) -> dict[str, Any]:
    with progress.show() as watch:
        found = matching_of.run(work, members, fronts, watch)
    click.echo(matching_of.show(found))
    return matching_of.as_json(found)


def _unwind(number: int, _frame: FrameType | None) -> None:
    """Like an error, so that nothing is left running."""
    raise SystemExit(128 + number)


def main() -> None:
    """Entry point."""
    sys.exit(run(bench, "bench", sys.argv[1:]))
