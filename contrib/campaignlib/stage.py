"""Where campaigns with real daemons take place; nothing of it is left."""

import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import click

from tests.e2e.world import World

TEMPORARY = Path("/var/tmp")  # a disk, where /tmp is often memory
DIRECTORY = click.option(
    "--dir", "parent", default=TEMPORARY, metavar="DIR", type=click.Path(path_type=Path), help="On the disk."
)


@contextmanager
def stage(parent: Path) -> Iterator[tuple[World, Path]]:
    """A world, and a directory beside it."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _unwind)
    work = Path(tempfile.mkdtemp(prefix="coopfs-campaign-", dir=parent))
    work.chmod(0o755)  # PostgreSQL's user goes through it
    world = World(work / "network")
    try:
        beside = work / "beside"
        beside.mkdir()
        yield world, beside
    finally:
        world.end()
        shutil.rmtree(work)


def _unwind(number: int, _frame: FrameType | None) -> None:
    """Like an error, so that nothing is left running."""
    raise SystemExit(128 + number)
