"""The command line of contrib/bench."""

import json
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from types import FrameType

import click

from benchlib import figures, phases
from coopfs.cli import progress
from coopfs.cli.run import run
from coopfs.limits import MIB

TEMPORARY = Path("/var/tmp")  # a disk, where /tmp is often memory


@click.command()
@click.option("--size", default=128, show_default=True, metavar="MIB", type=click.IntRange(1), help="Of a large file.")
@click.option("--files", default=2000, show_default=True, metavar="N", type=click.IntRange(1), help="In a tree.")
@click.option("--rounds", default=3, show_default=True, metavar="N", type=click.IntRange(1), help="In front.")
@click.option("--dir", "parent", default=TEMPORARY, metavar="DIR", type=click.Path(path_type=Path), help="On the disk.")
@click.option("--json", "output", metavar="FILE", type=click.Path(path_type=Path), help="Write the figures there too.")
def bench(size: int, files: int, rounds: int, parent: Path, output: Path | None) -> None:
    """Measure coopfs beside a filesystem that does nothing and the local disk.

    Nine daemons run on loopback, in a new directory below --dir. Nothing is left of them.
    """
    work = Path(tempfile.mkdtemp(prefix="coopfs-bench-", dir=parent))
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _unwind)
    try:
        sizes = phases.Sizes(size * MIB, files, rounds)
        with progress.show() as watch:
            found = phases.run(work, sizes, watch).all()
    finally:
        shutil.rmtree(work, ignore_errors=True)
    figures.show(found)
    if output is not None:
        document = figures.as_json(found, {"size": sizes.size, "files": files, "rounds": rounds})
        output.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


def _unwind(number: int, _frame: FrameType | None) -> None:
    """Like an error, so that nothing is left running."""
    raise SystemExit(128 + number)


def main() -> None:
    """Entry point."""
    sys.exit(run(bench, "bench", sys.argv[1:]))
