"""The story the demo tells, as numbered steps.

1. choose what to back up          5. copy it in, wait until it is complete
2. start a matching server, 8      6. lose the owner's machine and two partners
   partners and an owner
3. they find each other; format    7. mount the restore view from the kit alone
   6+2
4. export the kit, mount           8. compare everything, sum up, leave nothing running
"""

import contextlib
import itertools
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import FrameType

from coopfs.cli import client, detach, progress
from coopfs.cli.client import Watch
from coopfs.config import Config
from coopfs.demo import summary
from coopfs.demo.compare import Comparison, compare
from coopfs.demo.exporting import export_kit
from coopfs.demo.network import OWNER, Network
from coopfs.demo.selection import Selection, choose
from coopfs.errors import CoopfsError, UsageError
from coopfs.levels import storage_level, storage_size
from coopfs.sizes import format_size

DATA = 6
REDUNDANCY = 2
PARTNERS = tuple(f"p{number}" for number in range(1, DATA + REDUNDANCY + 1))
LOST = ("p3", "p6")  # any two would do
ELSEWHERE = "elsewhere"  # the site of all partners
TEMPORARY = Path("/var/tmp")  # a disk, where /tmp is often memory

GROWTH = 1.5  # short stripes, metadata and its second copy cost at most half as much as the content
BYTES_PER_ENTRY = 2048  # images of one entry, and stripes cut short around small files
SLACK = 128 << 20  # bytes on each partner: index, rows kept for deletes, groups in flight


class DemoFailed(CoopfsError):
    """A step did not do what it promises."""


def tell(source: Path | None, work: Path | None) -> None:
    """The whole story. Ends all that it started, also when a step fails; removes the work directory unless a named
    one is left for a look at the logs of a failure."""
    selection = choose(source)
    with _terminable(), contextlib.ExitStack() as temporary:
        if work is None:
            work = Path(tempfile.mkdtemp(prefix="coopfs-demo-", dir=TEMPORARY))
            temporary.callback(shutil.rmtree, work, ignore_errors=True)
        network = Network.create(work)
        with _ended_on_failure(network):
            figures, comparison = _tell(selection, network)
        network.end()
        network.remove()
        temporary.pop_all()
    summary.print_story(selection, figures, comparison)
    if comparison.differences:
        raise DemoFailed(f"the restored tree differs from the original in {len(comparison.differences)} places")


def keep(source: Path | None, work: Path) -> None:
    """Steps 1 to 5; leaves all running. What it started is ended when a step fails."""
    selection = choose(source)
    with _terminable():
        network = Network.create(work)
        with _ended_on_failure(network), progress.show() as watch:
            _build(selection, network, watch)
            _copy(selection, network, watch)
            _complete(network, watch)
    summary.print_kept(network)


def stop(work: Path) -> None:
    """End what `keep` left running; the work directory stays."""
    Network.load(work).end()
    print(f"ended; remove {work} when you have seen it")


def _tell(selection: Selection, network: Network) -> tuple[summary.Figures, Comparison]:
    moments = [time.monotonic()]
    with progress.show() as watch:
        _build(selection, network, watch)
        moments.append(time.monotonic())
        _copy(selection, network, watch)
        moments.append(time.monotonic())
        _complete(network, watch)
        moments.append(time.monotonic())
        _lose(network, watch)
        moments.append(time.monotonic())
        network.mount_restored(watch)
        moments.append(time.monotonic())
        comparison = _compare(selection, network, watch)
        moments.append(time.monotonic())
    durations = [later - earlier for earlier, later in itertools.pairwise(moments)]
    return summary.Figures(DATA, REDUNDANCY, LOST, *durations), comparison


def _build(selection: Selection, network: Network, watch: Watch) -> None:
    size = _swapped(selection)
    # both sides of each of the agreements reserve, and the owner stages the content itself
    needed = 2 * size * len(PARTNERS) + int(selection.size * GROWTH)
    free = shutil.disk_usage(network.work).free
    if needed > free:
        raise UsageError(
            f"{network.work} has {format_size(free)} free and the demo needs {format_size(needed)}; use --dir"
        )
    network.start((OWNER, *PARTNERS), watch, _settings(network.start_matching(watch), size))
    network.meet(watch)
    owner = network.home(OWNER)
    coding = {"data": DATA, "redundancy": REDUNDANCY, "block_size": None, "partners": None, "no_redundancy": False}
    client.call(owner, "format", coding, watch=watch)
    network.kit.touch(mode=0o600)
    export_kit(owner, network.kit)
    client.call(owner, "mount", {"mountpoint": str(network.mount), "options": []}, watch=watch)


def _swapped(selection: Selection) -> int:
    """Bytes that each partner and the owner give each other: what is needed, rounded up to what nodes announce."""
    content = selection.size * GROWTH + selection.entries * BYTES_PER_ENTRY
    needed = int(content / DATA) + SLACK
    level = storage_level(needed)
    return storage_size(level) if storage_size(level) == needed else storage_size(level + 1)


def _settings(server: str, size: int) -> Callable[[str], Config]:
    """What the nodes are told. All are in one subnet, which for real would be no backup. Partners want nobody of their
    own site, so each gives space to the owner only."""

    def settings(name: str) -> Config:
        common = Config(name=name, match_servers=(server,), match_size=size, match_together=True)
        if name == OWNER:
            return replace(common, site="home", match_partners=len(PARTNERS))
        return replace(common, site=ELSEWHERE, match_partners=1, match_avoid=(ELSEWHERE,))

    return settings


def _copy(selection: Selection, network: Network, watch: Watch) -> None:
    command = _copy_command(selection.sources, network.mount)
    step = f"copy {selection.entries:,} entries with {command[0]}"
    log = network.log("copy")
    watch(step, 0, selection.entries)
    with log.open("wb") as errors:
        copying = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors)
        try:
            assert copying.stdout is not None
            with copying.stdout as names:
                # one line per entry; one that has many names or a line break in it only shifts the bar
                for count, _ in enumerate(names, 1):
                    if count % 100 == 0:
                        watch(step, min(count, selection.entries), selection.entries)
            code = copying.wait()
        finally:
            copying.kill()
            copying.wait()
    if code:
        raise DemoFailed(f"{command[0]} ended with status {code}: {detach.last_words(log)}")
    watch(step, selection.entries, selection.entries)


def _copy_command(sources: Sequence[Path], target: Path) -> list[str]:
    names = [str(source) for source in sources]
    if shutil.which("rsync"):
        return ["rsync", "-aHAX", "--out-format=%n", "--", *names, f"{target}/"]
    return ["cp", "-a", "-v", "--", *names, f"{target}/"]


def _complete(network: Network, watch: Watch) -> None:
    client.call(network.home(OWNER), "sync", {"path": None, "complete": True}, watch=watch)


def _lose(network: Network, watch: Watch) -> None:
    step = f"lose the machine, {' and '.join(LOST)}"
    watch(step, 0, 2)
    client.call(network.home(OWNER), "umount")
    network.kill(OWNER)
    shutil.rmtree(network.home(OWNER))
    watch(step, 1, 2)
    for name in LOST:
        network.kill(name)
    watch(step, 2, 2)


def _compare(selection: Selection, network: Network, watch: Watch) -> Comparison:
    step = "compare every byte and attribute"
    # a plain user's copy belongs to that user
    ignore = frozenset[str]() if os.geteuid() == 0 else frozenset({"uid", "gid"})
    watch(step, 0, selection.entries)
    comparison = compare(
        selection.sources,
        network.restored,
        ignore=ignore,
        watch=lambda done: watch(step, min(done, selection.entries), selection.entries),
    )
    watch(step, selection.entries, selection.entries)
    return comparison


@contextlib.contextmanager
def _ended_on_failure(network: Network) -> Iterator[None]:
    """Whatever goes wrong, the first reason is the one that is told."""
    try:
        yield
    except BaseException as error:
        with contextlib.suppress(CoopfsError):
            network.end()
        if isinstance(error, OSError):
            raise DemoFailed(f"the demo cannot go on: {error}") from error
        raise


@contextlib.contextmanager
def _terminable() -> Iterator[None]:
    """SIGTERM and SIGHUP unwind like an error, so that nothing is left running."""
    previous = {number: signal.signal(number, _unwind) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _unwind(number: int, _frame: FrameType | None) -> None:
    raise SystemExit(128 + number)
