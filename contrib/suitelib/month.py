"""A month of nightly backups onto a coopfs disk: with crashes in the middle of backups, and the loss of the machine
together with as many partners as the disk promises to survive.

What is held when the machine burns must be in the restore view, whole. Then the month goes on as that of an owner who
begins anew: the repositories are copied from the view to a newly formatted disk of a new node. Takeovers are for
contrib/campaign losses.
"""

import os
import shutil
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum
from pathlib import Path
from random import Random

from coopfs.cli import detach
from coopfs.cli.client import Watch
from coopfs.core.quorum import Quorum
from coopfs.demo import mounts
from suitelib.places import Disk, restart
from suitelib.repositories import FIRST, Repository, of
from suitelib.shell import end, require, run, running
from suitelib.source import Source, below, digest, empty

KINDS = ("restic", "borg")
PATIENCE = 60.0  # seconds until a backup has begun to write
PART = 400_000  # bytes: a little less than what most nights add
CHECK_EVERY = 3  # nights
CRASHES, REMOUNTS = 0.15, 0.2  # shares of all nights
NIGHTS_PER_LOSS = 15


class Night(Enum):
    """What happens besides the backups."""

    QUIET = "quiet"
    REMOUNT = "remount"
    CRASH = "crash"
    LOSS = "loss"


def plan(nights: int, random: Random) -> list[Night]:
    """Each month has a crash, and a loss with at least one night before and after it."""
    weights = (1 - CRASHES - REMOUNTS, REMOUNTS, CRASHES)
    planned = random.choices((Night.QUIET, Night.REMOUNT, Night.CRASH), weights, k=nights)
    losses = sorted(random.sample(range(2, nights - 1), max(1, nights // NIGHTS_PER_LOSS)))
    planned[0] = Night.QUIET
    planned[1] = Night.CRASH
    for night in losses:
        planned[night] = Night.LOSS
    return planned


@dataclass(slots=True)
class Month:
    """beside: a directory of the machine's own disk. held: digests of the snapshots that a sync has made safe; memory:
    MB that the owner's daemon had resident at the most since it was started, after each night."""

    disk: Disk
    beside: Path
    random: Random
    keep: int
    watch: Watch
    source: Source = field(init=False)
    held: dict[datetime, str] = field(default_factory=dict)
    taken: dict[datetime, str] = field(default_factory=dict)
    memory: list[float] = field(default_factory=list)

    def live(self, nights: int) -> None:
        """All of it. Failed: something is wrong."""
        self.source = Source(self.beside / "source", self.random.randrange(1 << 30))
        for repository in self._repositories(self.disk.top).values():
            repository.create()
        for number, kind in enumerate(plan(nights, self.random)):
            self.watch(f"night {number + 1} of {nights}: {kind.value}", 0, 0)
            self.source.evolve()
            when = FIRST + timedelta(days=number)
            self.taken[when] = digest(self.source.top)
            self._night(kind, when)
            self.memory.append(self.disk.memory())
            if number % CHECK_EVERY == 1:
                self._check()
        self._check()
        newest = max(self.held)
        for repository in self._repositories(self.disk.top).values():
            self._complete(repository, {newest: self.held[newest]})

    def _night(self, kind: Night, when: datetime) -> None:
        if kind is Night.LOSS:
            self._lose(when)
        for repository in self._repositories(self.disk.top).values():
            if kind is Night.CRASH:
                self._in_the_middle(repository, when, self.disk.crash)
                repository.unlock()
            if kind is not Night.CRASH or when not in repository.snapshots():
                repository.backup(self.source.top, when)
            repository.prune(self.keep)
        if kind is Night.REMOUNT:
            self.disk.remount()
        self.disk.sync()
        self.held = {when: self.taken[when] for when in sorted(self.taken)[-self.keep :]}

    def _in_the_middle(
        self, repository: Repository, when: datetime, strike: Callable[[Callable[[], None]], None]
    ) -> None:
        """Something strikes when a backup has written a part, or just after it."""
        enough = _size(repository.top) + self.random.randrange(1, PART)
        with running(repository.backup_command(self.source.top, when)) as (backup,):
            deadline = time.monotonic() + PATIENCE
            while _size(repository.top) < enough and backup.poll() is None:
                require(time.monotonic() < deadline, "the backup does not go on")
                time.sleep(0.01)
            strike(lambda: end(backup))

    def _check(self) -> None:
        for repository in self._repositories(self.disk.top).values():
            repository.check()

    def _complete(self, repository: Repository, promised: Mapping[datetime, str]) -> None:
        """All that was promised is there, and comes back as it was."""
        there = repository.snapshots()
        lost = sorted(promised.keys() - set(there))
        require(not lost, f"{repository.top} lacks {', '.join(map(str, lost))}")
        for when in promised:
            out = empty(self.beside / "out")
            repository.extract(when, out)
            require(
                digest(below(out, self.source.top)) == promised[when], f"{repository.top}: {when} came back changed"
            )

    def _repositories(self, top: Path) -> dict[str, Repository]:
        return {kind: of(kind, top, self.beside) for kind in KINDS}

    # --- the machine burns --------------------------------------------------------------------------------------------

    def _lose(self, when: datetime) -> None:
        """In the middle of a backup, together with f partners; then everything moves to a new disk."""
        network = self.disk.network
        coding = self.disk.coding
        partners = self.random.sample(coding.partners, Quorum(coding.data, coding.redundancy).f)
        victim = self.random.choice(KINDS)
        self._in_the_middle(self._repositories(self.disk.top)[victim], when, self.disk.lose)
        for name in partners:
            network.kill(name)
        self.watch(f"lost in the middle of a backup by {victim}: the machine and {' '.join(partners)}", 0, 0)
        log = network.log("view")
        flags = ("--accept-older", f"--log={log}")
        run(*detach.COOPFS, "restore", "mount", *flags, network.kit, network.restored)
        self._judge_view(network.restored)
        restart(network, *partners)
        self._move(network.restored)
        mounts.unmount(network.restored)

    def _judge_view(self, view: Path) -> None:
        """Nothing can be written there: restic looks at the view itself; borg, which leaves notes, at a copy."""
        copies = empty(self.beside / "copies")
        repositories = self._repositories(view) | {"borg": of("borg", copies, self.beside)}
        shutil.copytree(view / "borg", copies / "borg", symlinks=True)
        repositories["borg"].unlock()
        for repository in repositories.values():
            repository.check()
            self._complete(repository, self.held)

    def _move(self, view: Path) -> None:
        """To a new node with a new disk."""
        self.disk.make()
        run("rsync", "-aHAX", f"{view}/", f"{self.disk.top}/")
        for repository in self._repositories(self.disk.top).values():
            repository.unlock()


def _size(top: Path) -> int:
    """Bytes of all files below a directory; one that goes meanwhile counts nothing."""
    size = 0
    for directory, _, names in os.walk(top):
        for name in names:
            with suppress(FileNotFoundError):
                size += os.stat(os.path.join(directory, name)).st_size
    return size
