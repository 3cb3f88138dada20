"""The command line of contrib/suites."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from types import FrameType

import click

from coopfs.cli import progress
from coopfs.cli.run import run
from coopfs.errors import UsageError
from coopfs.limits import MIB
from suitelib import places, verdicts
from suitelib.copies import ARCHIVERS
from suitelib.entries import ENTRIES_SUITE
from suitelib.loads import LOADS
from suitelib.pjdfstest import PJDFSTEST
from suitelib.postgres import POSTGRES
from suitelib.programs import PROGRAMS
from suitelib.repositories import REPOSITORIES
from suitelib.suite import Suite

SUITES = {
    suite.name: suite for suite in (*ARCHIVERS, ENTRIES_SUITE, *PROGRAMS, *REPOSITORIES, *LOADS, PJDFSTEST, POSTGRES)
}
TEMPORARY = Path("/var/tmp")  # a disk, where /tmp is often memory
SHARE, SHORT_SHARE = 2048 * MIB, 384 * MIB  # bytes each partner gives


@click.command(epilog=f"Suites: {', '.join(SUITES)}. Without names: all, or with --short the light ones.")
@click.argument("names", nargs=-1, metavar="[SUITE]...")
@click.option("--short", is_flag=True, help="Seconds for each suite, not minutes.")
@click.option("--install", is_flag=True, help="Install the Debian packages of the suites first; needs root.")
@click.option("--data", default=2, show_default=True, metavar="K", type=click.IntRange(1, 16), help="Data columns.")
@click.option("--redundancy", default=1, show_default=True, metavar="M", type=click.IntRange(1, 16), help="Redundancy.")
@click.option("-o", "options", multiple=True, metavar="OPTION", help="Of the mount, see mount.coopfs(8).")
@click.option("--dir", "parent", default=TEMPORARY, metavar="DIR", type=click.Path(path_type=Path), help="On the disk.")
@click.option("--json", "output", metavar="FILE", type=click.Path(path_type=Path), help="Write the results there too.")
def suites(
    names: tuple[str, ...],
    short: bool,
    install: bool,
    data: int,
    redundancy: int,
    options: tuple[str, ...],
    parent: Path,
    output: Path | None,
) -> int:
    """Let programs that others wrote judge a coopfs mount, and a plain directory on the disk beside it.

    The exit status is 1 if a suite fails on coopfs that passes on the plain directory, or a daemon complains. Suites
    that are not installed are named and left out. Real daemons run on loopback, in a new directory below --dir. Nothing
    is left of them.
    """
    chosen = _choose(names, short)
    if install:
        _install(chosen)
    if missing := [suite.name for suite in chosen if suite.missing]:
        if names:
            raise UsageError(f"not installed: {', '.join(missing)}; --install installs what Debian has")
        print(f"not installed, left out: {', '.join(missing)}", file=sys.stderr)
    coding = places.Coding(data, redundancy, SHORT_SHARE if short else SHARE, options)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _unwind)
    work = Path(tempfile.mkdtemp(prefix="coopfs-suites-", dir=parent))
    work.chmod(0o755)  # PostgreSQL runs as another user
    try:
        results, complaints = _run([suite for suite in chosen if not suite.missing], work, coding, short)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    verdicts.show(results)
    for line in complaints:
        print(line)
    if output is not None:
        output.write_text(json.dumps(verdicts.as_json(results), indent=2) + "\n", encoding="utf-8")
    return 1 if complaints or any(result.worse for result in results) else 0


def _choose(names: tuple[str, ...], short: bool) -> list[Suite]:
    if unknown := [name for name in names if name not in SUITES]:
        raise UsageError(f"there is no suite {unknown[0]}; there are {', '.join(SUITES)}")
    if names:
        return [SUITES[name] for name in names]
    return [suite for suite in SUITES.values() if suite.light or not short]


def _install(chosen: list[Suite]) -> None:
    packages = sorted({package for suite in chosen if suite.missing for package in suite.packages})
    if packages:
        environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        command = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *packages]
        if subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=False).returncode:
            raise UsageError(f"apt-get does not install {' '.join(packages)}; try: apt-get update")


def _run(
    chosen: list[Suite], work: Path, coding: places.Coding, short: bool
) -> tuple[list[verdicts.Result], list[str]]:
    scratch, plain = work / "beside", work / "plain"
    for directory in (scratch, plain):
        directory.mkdir()
    results = []
    with progress.show() as watch, places.disk(work / "network", coding) as disk:
        for suite in chosen:
            mine = verdicts.judge(suite, disk, scratch, short, watch)
            theirs = verdicts.judge(suite, places.Plain(plain), scratch, short, watch)
            results.append(verdicts.Result(suite.name, mine, theirs))
        complaints = places.complaints(disk.network)
    return results, complaints


def _unwind(number: int, _frame: FrameType | None) -> None:
    """Like an error, so that nothing is left running."""
    raise SystemExit(128 + number)


def main() -> None:
    """Entry point."""
    sys.exit(run(suites, "suites", sys.argv[1:]))
