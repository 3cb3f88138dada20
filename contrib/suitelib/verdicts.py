"""Running suites on two places, and the table of what came of it."""

import os
import shutil
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from coopfs.cli.client import Watch
from coopfs.errors import CoopfsError
from suitelib.places import Place
from suitelib.shell import Failed
from suitelib.suite import Suite, Trial


@dataclass(slots=True)
class Verdict:
    """One suite on one place: seconds of each step, those whose time can be compared, and why each that failed did."""

    steps: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0
    failures: dict[str, str] = field(default_factory=dict)

    @property
    def words(self) -> str:
        return "passes" if not self.failures else "fails: " + ", ".join(self.failures)


@dataclass(frozen=True, slots=True)
class Result:
    """One suite on both."""

    suite: str
    coopfs: Verdict
    plain: Verdict

    @property
    def worse(self) -> list[str]:
        """Steps that fail on coopfs and do not on the plain directory."""
        return [step for step in self.coopfs.failures if step not in self.plain.failures]


def judge(suite: Suite, place: Place, scratch: Path, short: bool, watch: Watch) -> Verdict:
    """Run a suite on a place, in directories of its own, which are removed afterwards."""
    trial = Trial(place, place.top / suite.name, scratch / f"{suite.name} {place.name}", short)
    verdict = Verdict()
    for directory in (trial.top, trial.beside):
        directory.mkdir()
    for step in suite.steps:
        watch(f"{suite.name} on {place.name}: {step.name}", 0, 0)
        began = time.monotonic()
        try:
            step.act(trial)
        except (Failed, OSError, CoopfsError) as problem:
            verdict.failures[step.name] = str(problem)
            if not step.alone:
                break
        finally:
            verdict.steps[step.name] = time.monotonic() - began
            verdict.seconds += verdict.steps[step.name] if step.timed else 0.0
    try:
        shutil.rmtree(trial.top)
    except OSError as problem:
        verdict.failures["remove"] = str(problem)
    shutil.rmtree(trial.beside)
    return verdict


def show(results: list[Result]) -> None:
    """The table."""
    table = Table()
    for heading in ("suite", "coopfs", "plain directory"):
        table.add_column(heading)
    table.add_column("coopfs s", justify="right")
    table.add_column("plain s", justify="right")
    table.add_column("ratio", justify="right")
    for one in results:
        mine, plain = one.coopfs.seconds, one.plain.seconds
        row = (f"{mine:.1f}", f"{plain:.1f}", f"{mine / max(plain, 0.01):.1f}")
        table.add_row(one.suite, one.coopfs.words, one.plain.words, *row)
    console = Console(width=None if os.isatty(1) else 132)
    console.print(table)
    for one in results:
        for place, verdict in (("coopfs", one.coopfs), ("plain", one.plain)):
            for step, why in verdict.failures.items():
                console.print(f"{one.suite} on {place}: {step}: {why}", markup=False, highlight=False)


def as_json(results: list[Result]) -> list[dict[str, Any]]:
    """For programs."""
    return [asdict(result) | {"worse": result.worse} for result in results]
