"""The command line of contrib/month."""

import shutil
import signal
import sys
import tempfile
from pathlib import Path
from random import Random
from types import FrameType

import click

from coopfs.cli import progress
from coopfs.cli.run import run
from coopfs.errors import UsageError
from coopfs.limits import MIB
from suitelib import places
from suitelib.month import Month
from suitelib.repositories import KEEP, REPOSITORIES
from suitelib.shell import Failed

TEMPORARY = Path("/var/tmp")  # a disk, where /tmp is often memory
SHARE = 256 * MIB  # bytes each partner gives
SHORT = 10  # nights below which fewer snapshots are kept, so that pruning has something to do
# A partner that is killed, and one that comes back, are told of.
EXPECTED: tuple[str, ...] = ()


@click.command()
@click.option("--nights", default=30, show_default=True, metavar="N", type=click.IntRange(4))
@click.option("--seed", default=1, show_default=True, metavar="N", help="Of the files, and of what happens when.")
@click.option("--data", default=2, show_default=True, metavar="K", type=click.IntRange(1, 16), help="Data columns.")
@click.option("--redundancy", default=2, show_default=True, metavar="M", type=click.IntRange(1, 16), help="Redundancy.")
@click.option("-o", "options", multiple=True, metavar="OPTION", help="Of the mount, see mount.coopfs(8).")
@click.option("--dir", "parent", default=TEMPORARY, metavar="DIR", type=click.Path(path_type=Path), help="On the disk.")
def month(nights: int, seed: int, data: int, redundancy: int, options: tuple[str, ...], parent: Path) -> int:
    """Back up with restic and borg every night of a simulated month, through crashes and the loss of the machine.

    The exit status is 1 if a repository is damaged, a snapshot that was held is missing or comes back changed, or a
    daemon complains. Real daemons run on loopback, in a new directory below --dir. Nothing is left of them.
    """
    if missing := [name for suite in REPOSITORIES for name in suite.missing]:
        raise UsageError(f"not installed: {', '.join(missing)}; contrib/prepare test installs them")
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _unwind)
    work = Path(tempfile.mkdtemp(prefix="coopfs-month-", dir=parent))
    coding = places.Coding(data, redundancy, SHARE, options)
    try:
        with progress.show() as watch, places.disk(work / "network", coding) as disk:
            beside = work / "beside"
            beside.mkdir()
            lived = Month(disk, beside, Random(seed), 2 if nights < SHORT else KEEP, watch)
            lived.live(nights)
            complaints = places.complaints(disk.network, EXPECTED)
    except Failed as failed:
        print(f"seed {seed}: {failed}")
        return 1
    finally:
        shutil.rmtree(work, ignore_errors=True)
    for line in complaints:
        print(line)
    first, most = lived.memory[0], max(lived.memory)
    print(f"most memory of the owner's daemon: {first:.0f} MB in the first night, {most:.0f} MB in any")
    print(f"seed {seed}: {nights} nights, {'all is well' if not complaints else 'the daemons complain'}")
    return 1 if complaints else 0


def _unwind(number: int, _frame: FrameType | None) -> None:
    """Like an error, so that nothing is left running."""
    raise SystemExit(128 + number)


def main() -> None:
    """Entry point."""
    sys.exit(run(month, "month", sys.argv[1:]))
