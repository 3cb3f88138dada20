"""Operations of every kind, whose answers and moments a twin on the machine's own disk confirms (P1).

1. a thread carries out random operations below `top`, and keeps each with its answer; a sync now and then promises all
   that were done before it;
2. when the machine is lost, the twin goes through the same: it must answer the same, and from what was promised on it
   is looked at after each, and after each page of a write, for which a kernel may ask by itself; the operation that the
   loss met may have happened or not;
3. what came back must look like the twin at one of these moments;
4. the twin becomes a copy of what is there, and goes on with it.
"""

import errno
import hashlib
import os
import stat
import threading
from pathlib import Path
from random import Random
from typing import Any

from suitelib.shell import require, run

from tests.fs.operations import Chooser, Operation, RealSide
from tests.fs.shapes import shape_of_real

SYNCED = 0.03  # share of the operations after which all is synced
PACE = 0.01  # seconds between two operations, where nothing is synced: the twin is looked at after each
LOST = ("errno", "ENOTCONN"), ("errno", "ECONNABORTED")  # what a kernel answers for a daemon that is gone
PAGE = 4096  # bytes
LIMIT = 300_000  # bytes of a file at the most, as every burden's files are read as a whole

Look = dict[tuple[tuple[bytes, ...], str], bytes]  # (path, fact) -> digest


class Tree(Chooser):
    """Operations that are one change each: what a crash meets has happened, or not."""

    def offset(self) -> int:
        return self.random.choice([0, self.random.randrange(100), self.random.randrange(LIMIT - 30_000), 4096])

    def creation(self, modes: list[int]) -> tuple[tuple[bytes, ...], int, int]:
        return self.path(), self.random.choice(modes) & 0o777, 0


class Worker(threading.Thread):
    """Changes what is below `top` until the mount breaks or it is told to stop."""

    def __init__(self, top: Path, random: Random, share: float, pace: float) -> None:
        super().__init__()
        self._side = RealSide(top)
        self._random = random
        self._chooser = Tree(random)
        self._share = share
        self._pace = pace
        self._enough = threading.Event()
        self.done: list[tuple[Operation, Any]] = []  # with the answer
        self.in_doubt: Operation | None = None
        self.synced = 0  # of those that are done
        self.trouble: OSError | None = None  # of a sync that failed

    def stop(self) -> None:
        self._enough.set()
        if self.ident is not None:
            self.join()

    def run(self) -> None:
        while not self._enough.is_set():
            operation = self._chooser.next()
            answer = self._side.apply(operation)
            if answer in LOST:
                self.in_doubt = operation
                break
            self.done.append((_done(operation, answer), answer))
            if self._random.random() < self._share and not self._sync():
                break
            self._enough.wait(self._pace)
        for number in list(self._side.handles):
            self._side.apply(("close", (number,)))

    def _sync(self) -> bool:
        before = len(self.done)
        try:
            descriptor = os.open(self._side.root, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        except OSError as broken:
            if broken.errno not in (errno.ENOTCONN, errno.ECONNABORTED):
                self.trouble = broken
            return False
        self.synced = before
        return True


class Operations:
    """share: of the operations after which all is synced, which promises them; pace: seconds between two."""

    def __init__(self, top: Path, beside: Path, random: Random, share: float = SYNCED, pace: float = 0.0) -> None:
        self._top, self._twin = top / "operations", beside / "twin"
        self._new_worker = lambda: Worker(self._top, random, share, pace)
        for directory in (self._top, self._twin):
            directory.mkdir()
            directory.chmod(0o755)
        self._moments: list[tuple[int, Look]] = []  # after so many operations
        self._worker = self._new_worker()
        self._told: int | None = None

    def begin(self) -> None:
        self._worker.start()

    def end(self) -> None:
        self._worker.stop()

    def _replay(self) -> None:
        """The twin goes through the same. Failed: it answers something else, or a sync failed."""
        worker = self._worker
        require(worker.trouble is None, f"fsync of the directory failed: {worker.trouble}")
        twin, since = RealSide(self._twin), self._promised()
        if since == 0:
            self._note(0)
        for number, (operation, answer) in enumerate(worker.done, 1):
            if number > since:
                self._do_parts(twin, operation, number)
            answered = twin.apply(operation)
            require(answered == answer, f"{operation!r:.99} was answered {answer!r:.99}, not {answered!r:.99}")
            if number == since or (number > since and not _is_refused(answer)):
                self._note(number)
            elif number > since:
                self._moments.append((number, self._moments[-1][1]))
        if worker.in_doubt is not None:
            self._do_parts(twin, worker.in_doubt, len(worker.done) + 1)
            twin.apply(worker.in_doubt)
            self._note(len(worker.done) + 1)
        twin.close_all()

    def _note(self, number: int) -> None:
        self._moments.append((number, look(self._twin)))

    def _do_parts(self, twin: RealSide, operation: Operation, number: int) -> None:
        """What there may have been of this one, more and more of it."""
        for part in _parts(operation):
            twin.apply(part)
            self._note(number - 1)

    def _promised(self) -> int:
        return self._worker.synced if self._told is None else self._told

    def told(self) -> int:
        """Operations that are done. What comes back must not be older than that, wherever it is looked at."""
        self._told = len(self._worker.done)
        return self._told

    def found(self, top: Path) -> int:
        """Which moment came back below `top`, the last of those that looked alike. Failed: none since what was told,
        or synced, if nothing was told."""
        if not self._moments:
            self._replay()
        there = look(top / self._top.name)
        unlike = [(number, there.items() ^ was.items()) for number, was in self._moments]
        moment, facts = min(reversed(unlike), key=lambda each: len(each[1]))
        differs = ", ".join(sorted({f"{fact} of {b'/'.join(path)!r:.60}" for (path, fact), _ in facts}))
        when = f"after operation {self._promised()} of {len(self._worker.done)}"
        require(not differs, f"what came back was never so {when}: at {moment}, {differs}")
        return moment

    def check(self) -> None:
        moment, synced = self.found(self._top.parent), self._worker.synced
        require(moment >= synced, f"{moment} operations are there, and {synced} were synced")
        self.renew()

    def renew(self) -> None:
        """Go on with what is there."""
        run("rsync", "-aHAX", "--delete", f"{self._top}/", self._twin)
        require(look(self._twin) == look(self._top), "rsync's copy differs")
        self._worker, self._moments, self._told = self._new_worker(), [], None


def _is_refused(answer: Any) -> bool:
    return isinstance(answer, tuple)  # ("errno", its name)


def _done(operation: Operation, answer: Any) -> Operation:
    """What was done of it: the kernel may ask for a write page by page, and the daemon be lost in between."""
    name, arguments = operation
    if name != "write" or not isinstance(answer, int):
        return operation
    number, offset, data = arguments
    return name, (number, offset, data[:answer])


def _parts(operation: Operation) -> list[Operation]:
    """What may have been done of a write, and even committed, before all of it was."""
    name, arguments = operation
    if name != "write":
        return []
    number, offset, data = arguments
    return [(name, (number, offset, data[:end])) for end in range(PAGE - offset % PAGE, len(data), PAGE)]


def look(top: Path) -> Look:
    """What a tree looks like, but for inode numbers and times, and the links of directories, which not every filesystem
    counts."""
    shape = shape_of_real(top)
    for facts in shape.values():
        facts["xattrs"] = sorted(facts["xattrs"].items())  # they are listed in any order
    return {
        (path, fact): hashlib.blake2b(repr(value).encode(), digest_size=8).digest()
        for path, facts in shape.items()
        for fact, value in facts.items()
        if fact != "times" and not (fact == "nlink" and stat.S_ISDIR(facts["mode"]))
    }
