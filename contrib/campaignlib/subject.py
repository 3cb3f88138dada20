"""One life of a campaign, and the line that it becomes."""

import logging
import re
import warnings
from collections.abc import Set
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.sim.life import Ending, drawn, live
from tests.sim.restores import Restores
from tests.sim.world import Geometry

ENDINGS: dict[str, Ending] = {"promised": Restores.check_promise, "beyond": Restores.check_salvage}
MEMORY = Path("/dev/shm")  # a file system in memory: a life is thousands of small writes
# What is counted of a life and is no fault: the course of things, and what is seen of it.
COURSE = {
    "put",
    "put_bytes",
    "overwritten",
    "operate",
    "read",
    "unreadable",
    "evict",
    "inventory",
    "digest",
    "check",
    "checked",
    "restore",
    "quiet",
    "held",
    "held_bytes",
}


@dataclass(frozen=True, slots=True)
class Subject:
    """ending: whether faults stay within the budget to the last ("promised"), or go beyond it ("beyond")."""

    seed: int
    geometry: str
    ending: str

    def __str__(self) -> str:
        return f"{self.seed} {self.geometry}" + (" --beyond" if self.ending == "beyond" else "")


@dataclass(frozen=True, slots=True)
class Line:
    """counts: how often what happened; broken: "" if all went well."""

    subject: Subject
    steps: int
    trace: str
    counts: dict[str, int]
    broken: str

    def __str__(self) -> str:
        faults = " ".join(f"{what}={n}" for what, n in sorted(self.counts.items()) if what not in COURSE)
        return f"{self.subject}: {faults or 'no faults'}: {self.broken or 'fine'}"

    @property
    def kind(self) -> str:
        """What was broken, without the figures of this life."""
        return re.sub(r"\[.*?\]|0x[0-9a-f]+|\d+", "#", self.broken)[:60]


def decode_line(fields: dict[str, Any]) -> Line:
    """TypeError, KeyError: it is something else."""
    return Line(**(fields | {"subject": Subject(**fields["subject"])}))


def run(subject: Subject, without: Set[int] = frozenset()) -> Line:
    """Live it. UsageError: no such geometry."""
    logging.disable()  # who loses partners all day is told so all day
    warnings.simplefilter("error")
    k, _, m = subject.geometry.partition("+")
    geometry = Geometry(int(k), int(m))
    changes = drawn(subject.seed, geometry)
    with TemporaryDirectory(prefix="coopfs-campaign-", dir=MEMORY if MEMORY.is_dir() else None) as directory:
        verdict = live(subject.seed, geometry, Path(directory), ENDINGS[subject.ending], without, changes)
    broken = "" if verdict.broken is None else str(verdict)
    return Line(subject, verdict.steps, verdict.trace, dict(verdict.counts), broken)
