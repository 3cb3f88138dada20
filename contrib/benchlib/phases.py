"""The order of a run, and what is measured in each part.

1. in front, partners away: the local disk, the null filesystem and coopfs in turn, round by round;
2. the partners come back and take what has gathered; then a new file, until held, until complete;
3. the disk is mounted with a small cache: what was evicted is read with all partners, then without two;
4. the owner is lost: the restore view, with all partners, then without two;
5. a new network, its owner behind a slow line: a new file, until held.
"""

import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchlib import subjects, workload
from benchlib.costs import cpu_seconds, peak_memory
from benchlib.figures import COOPFS, DISK, NULL, Figures
from coopfs.cli import client
from coopfs.cli.client import Watch
from coopfs.demo.network import OWNER, RESTORE, Network

LOST = ("p3", "p6")  # any two would do


@dataclass(frozen=True, slots=True)
class Sizes:
    """size: bytes of a large file; files: small files of a tree; rounds: how often figures in front are taken."""

    size: int
    files: int
    rounds: int

    @property
    def content(self) -> int:
        """Bytes that are written to coopfs in all; a small file takes a whole block of the local disk."""
        return self.rounds * (2 * self.size + 2 * self.files * len(workload.SMALL)) + 2 * self.size


def run(work: Path, sizes: Sizes, watch: Watch) -> Figures:
    """The whole run, in a directory that exists and is empty."""
    figures = Figures()
    local = work / "disk"
    local.mkdir()
    archive = work / "tree.tar"
    workload.make_tar(archive, sizes.files)
    with subjects.network(Network, work, sizes.content, watch) as network:
        with subjects.null_filesystem(work) as null:
            subjects.send_away(network)
            places = {NULL: null, COOPFS: network.mount, DISK: local}
            for number in range(sizes.rounds):
                for subject, place in places.items():
                    watch(f"in front: {subject}", number, sizes.rounds)
                    _front(figures, subject, place / f"round{number}", archive, sizes)
            _read_ceilings(figures, {DISK: local, NULL: null}, sizes)
        subjects.call_back(network)
        watch("take what has gathered", 0, 0)
        _sync(network, complete=True)
        watch("until held", 0, 0)
        _until_held(figures, network, sizes)
        watch("evicted content", 0, 0)
        _evicted(figures, network)
        _restore(figures, network, sizes, watch)
    shutil.rmtree(work / "network")
    with subjects.network(subjects.Distant, work, 2 * sizes.size, watch) as distant:
        watch("over a slow line", 0, 0)
        _over_line(figures, distant, sizes)
    return figures


def _front(figures: Figures, subject: str, directory: Path, archive: Path, sizes: Sizes) -> None:
    def take(name: str, what: str, unit: str, value: float) -> None:
        figures.add(name, what, unit, subject, value)

    directory.mkdir()
    tree = directory / "tree"
    if subject != DISK:  # nothing waits for the disk there, so it would be memory that is measured
        take("write", "write, 1 MiB requests", "MB/s", workload.write(directory / "w", sizes.size, workload.leave))
    take("write_fsync", "the same and fsync", "MB/s", workload.write(directory / "s", sizes.size, os.fsync))
    take("create", "create, write 4 KiB, close", "files/s", workload.create(tree, sizes.files))
    take("readdir", "readdir", "entries/s", workload.list_all(tree))
    take("stat", "stat, the kernel knows", "files/s", workload.stat(tree, sizes.files))
    if subject != DISK and subjects.forget(directory.parent):
        take("lookup", "stat, the kernel does not know", "files/s", workload.stat(tree, sizes.files))
    take("tar", "tar -x of files of 4 KiB", "files/s", workload.extract(archive, directory / "tar", sizes.files))


def _read_ceilings(figures: Figures, places: dict[str, Path], sizes: Sizes) -> None:
    for subject, place in places.items():
        large, tree = place / "round0" / "s", place / "round0" / "tree"
        for path in (large, *workload.paths(tree, sizes.files)):
            _uncache(path)
        figures.add("read", "restore view: read, 1 MiB requests", "MB/s", subject, workload.read(large))
        rate = workload.read_small(tree, sizes.files)
        figures.add("read_small", "restore view: files of 4 KiB", "files/s", subject, rate)


def _uncache(path: Path) -> None:
    """Let the kernel forget content that is on the disk already."""
    descriptor = os.open(path, os.O_RDONLY)
    os.fsync(descriptor)
    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(descriptor)


def _sync(network: Network, *, complete: bool) -> None:
    client.call(network.home(OWNER), "sync", {"path": None, "complete": complete})


def _until_held(figures: Figures, network: Network, sizes: Sizes) -> None:
    owner, partners = [network.pid(OWNER)], [network.pid(name) for name in subjects.PARTNERS]
    before = cpu_seconds(owner), cpu_seconds(partners)
    began = time.perf_counter()
    for name in ("a", "b"):
        workload.write(network.mount / name, sizes.size, workload.leave)
    total = 2 * sizes.size / workload.MB
    for state in ("held", "complete"):
        _sync(network, complete=state == "complete")
        rate = total / (time.perf_counter() - began)
        figures.add(f"until_{state}", f"write until {state}, 6+2", "MB/s", COOPFS, rate)
        figures.also(f"until_{state}", NULL, "write")
        figures.also(f"until_{state}", DISK, "write_fsync")
    spent = cpu_seconds(owner) - before[0], cpu_seconds(partners) - before[1]
    for name, what, seconds in zip(("owner", "partners"), ("owner", "eight partners together"), spent, strict=True):
        figures.add(f"cpu_{name}", f"CPU of {what}", "s/GB", COOPFS, seconds / total * 1000)
    figures.add("memory_owner", "most memory of the owner", "MB", COOPFS, peak_memory(owner[0]))
    most = max(peak_memory(pid) for pid in partners)
    figures.add("memory_partner", "most memory of a partner", "MB", COOPFS, most)


def _evicted(figures: Figures, network: Network) -> None:
    subjects.shrink_cache(network)
    figures.add("evicted", "evicted: read, 1 MiB requests", "MB/s", COOPFS, workload.read(network.mount / "a"))
    for name in LOST:
        network.kill(name)
    rate = workload.read(network.mount / "b")
    figures.add("evicted_degraded", "evicted: read, two partners dead", "MB/s", COOPFS, rate)
    subjects.call_back(network, LOST)
    for name in ("evicted", "evicted_degraded"):
        for ceiling in (NULL, DISK):
            figures.also(name, ceiling, "read")


def _over_line(figures: Figures, network: subjects.Distant, sizes: Sizes) -> None:
    """What the user wrote, times n / k, for each second until it was held."""
    (carried, _), began = network.carried(), time.perf_counter()
    workload.write(network.mount / "a", sizes.size, workload.leave)
    _sync(network, complete=False)
    seconds = time.perf_counter() - began
    coded = sizes.size * (subjects.DATA + subjects.REDUNDANCY) / subjects.DATA
    what = f"{subjects.LINK_RATE * 8 / 1e6:g} Mbit/s, {subjects.LINK_DELAY * 1000:g} ms"
    figures.add("line", f"until held over {what}", "MB/s", COOPFS, sizes.size / seconds / workload.MB)
    figures.add(
        "line_share", "share of that line, redundancy counted", "of 1", COOPFS, coded / seconds / subjects.LINK_RATE
    )
    sent = (network.carried()[0] - carried) / coded
    figures.add("line_sent", "sent for each byte of that", "bytes", COOPFS, sent)


def _restore(figures: Figures, network: Network, sizes: Sizes, watch: Watch) -> None:
    client.call(network.home(OWNER), "umount")
    network.kill(OWNER)
    shutil.rmtree(network.home(OWNER))
    seconds = _timed(lambda: network.mount_restored(watch))
    figures.add("restore_ready", "restore view: ready after", "s", COOPFS, seconds)
    watch("restore", 0, 0)
    pid = [network.pid(RESTORE)]
    before = cpu_seconds(pid)
    figures.add("read", "", "", COOPFS, workload.read(network.restored / "a"))
    spent = (cpu_seconds(pid) - before) / sizes.size * 1e9
    small = workload.read_small(network.restored / "round0" / "tree", sizes.files)
    figures.add("read_small", "", "", COOPFS, small)
    for name in LOST:
        network.kill(name)
    rate = workload.read(network.restored / "b")
    figures.add("read_degraded", "restore view: read, two partners dead", "MB/s", COOPFS, rate)
    for ceiling in (NULL, DISK):
        figures.also("read_degraded", ceiling, "read")
    figures.add("cpu_restore", "CPU of the restore view", "s/GB", COOPFS, spent)
    figures.add("memory_restore", "most memory of the restore view", "MB", COOPFS, peak_memory(pid[0]))


def _timed(work: Callable[[], None]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began
