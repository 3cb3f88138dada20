"""How cost grows: disks of several sizes are made one after the other, and each figure is held against n log n.

For each size N, every step in a process of its own: a disk of N files below the mount (below); the same streamed to
partners, killed, mounted again, changed, and restored (streamed); a disk of 10 N rows (manyrows).
"""

import json
import math
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path

from rich.console import Console
from rich.table import Table

HERE = Path(__file__).parent
STREAMED = ("fill", "killed", "stopped", "changed", "restore")  # the steps of streamed, in this order
ROWS = 10  # for each file
TOLERANCE = 1.5  # times what n log n would be: less is this machine's noise
LEAST = 1e-3  # seconds or bytes below which growth is noise, too

Figures = dict[str, float]


@dataclass(frozen=True, slots=True)
class Cost:
    """heading: with the unit; scale: from seconds or bytes to it; whole: of a figure, what all of N cost; most: what it
    may be, in the unit, up to so many files."""

    heading: str
    scale: float = 1.0
    each: bool = False
    most: tuple[tuple[int, float], ...] = ()

    def whole(self, value: float, size: int) -> float:
        return value * size if self.each else value

    def bound(self, size: int) -> float:
        return next((most for files, most in self.most if size <= files), math.inf)


MEMORY = ((100_000, 150.0), (1_000_000, 400.0))  # MB of the owner
US, MS, MB = 1e6, 1e3, 1e-6
COSTS = {
    "create": Cost("create below the mount, us a file", US, each=True),
    "streamed": Cost("create and stream until complete, us of CPU a file", US, each=True),
    "stall": Cost("longest the event loop was busy meanwhile, ms", MS),
    "log_rows": Cost("meta stripes then"),
    "owner_memory": Cost("memory of owner and eight hosts, MB", MB, most=MEMORY),
    "killed": Cost("open after a kill, until partners are reached, s", most=((1_000_000, 5.0),)),
    "stopped": Cost("open after a clean stop, until partners are reached, s", most=((1_000_000, 5.0),)),
    "mounted_memory": Cost("memory then, MB", MB, most=MEMORY),
    "changed": Cost("change a tenth by chance until complete, us of CPU a change", US, each=True),
    "changed_stall": Cost("longest the event loop was busy meanwhile, ms", MS),
    "restore": Cost("restore view ready, s", most=((1_000_000, 60.0),)),
    "restore_cpu": Cost("restore view ready, us of CPU a file", US, each=True),
    "view_memory": Cost("memory of the view, MB", MB),
    "open": Cost("open and close it again below the mount, s"),
    "lookup": Cost("look up by chance, us", US, each=True),
    "listing": Cost("list all, us a file", US, each=True),
    "sparse_write": Cost("write by chance into 1 TiB, us (N / 10 times)", US, each=True),
    "sparse_read": Cost("read 128 KiB by chance there, us", US, each=True),
    "sparse_cut": Cost("cut it to the half, ms", MS),
    "memory_below": Cost("memory of the disk below the mount, MB", MB),
    "rows_open": Cost("open the database of 10 N rows, s"),
    "rows_ledger": Cost("read 10 N rows at the start, s"),
    "rows_group": Cost("what each group asks of them, ms", MS),
    "rows_sparsest": Cost("find the sparsest, ms", MS),
    "rows_memory": Cost("memory of the owner, MB", MB),
    "rows_inventory": Cost("take an inventory of 10 N rows, us a row", US, each=True),
    "rows_reconcile": Cost("compare it, us a row", US, each=True),
    "rows_newest": Cost("find the newest END in eight, s"),
    "rows_memory_compared": Cost("memory meanwhile, MB", MB),
    "rows_lost": Cost("take all acks of a column back, us a row", US, each=True),
    "rows_lacking": Cost("find what it lacks, ms", MS),
    "rows_memory_lost": Cost("memory then, MB", MB),
    "rows_filling": Cost("find what a new store lacks, the longest look, ms", MS),
    "rows_place": Cost("let it take the place of a lost one, ms", MS),
    "rows_place_log": Cost("log of the database for that, MB", MB),
    "rows_learning": Cost("learn what it has more, the longest step, ms", MS),
    "rows_release": Cost("release what one group killed, us a row", US, each=True),
    "rows_release_log": Cost("log of the database meanwhile, MB", MB),
    "store_open": Cost("a partner opens a store of 10 N rows, s"),
    "store_inventory": Cost("and tells its inventory, us a row", US, each=True),
    "store_memory": Cost("memory of the partner, MB", MB),
}


@dataclass(frozen=True, slots=True)
class Size:
    """What a disk of so many files cost: seconds and bytes."""

    files: int
    figures: Figures


def run(work: Path, sizes: Sequence[int], watch: Callable[[str, int, int], None]) -> list[Size]:
    """Ascending sizes, each in new directories below `work`."""
    found = []
    for files in sizes:
        figures: Figures = {}
        for step, some in _steps(work, files):
            watch(f"growth: {files} files, {step}", len(found), len(sizes))
            figures.update(some())
        found.append(Size(files, figures))
    return found


def _steps(work: Path, files: int) -> Iterator[tuple[str, Callable[[], Figures]]]:
    """What is done, and what does it; its files go before the next size."""
    below, streamed, rows = (work / f"{name} {files}" for name in ("below", "streamed", "rows"))
    for directory in (below, streamed, rows):
        directory.mkdir()
    yield "below the mount", lambda: _child("below", below, files)
    shutil.rmtree(below)
    for step in STREAMED:
        yield step, partial(_child, "streamed", step, streamed, files)
    shutil.rmtree(streamed)
    yield "rows", lambda: _child("manyrows", rows, ROWS * files)
    shutil.rmtree(rows)


def _child(program: str, *arguments: object) -> Figures:
    command = [sys.executable, "-m", f"benchlib.{program}", *map(str, arguments)]
    figures: Figures = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, cwd=HERE.parent).stdout)
    return figures


def ratio(sizes: Sequence[Size], name: str) -> float:
    """How much worse than n log n a cost grows from one size to the next, at the worst; less than 1: better."""
    worst = 0.0
    for less, more in pairwise(sizes):
        before, after = (max(COSTS[name].whole(s.figures[name], s.files), LEAST) for s in (less, more))
        worst = max(worst, after / before / (_n_log_n(more.files) / _n_log_n(less.files)))
    return worst


def _n_log_n(n: int) -> float:
    return n * math.log(n)


def verdict(sizes: Sequence[Size], name: str) -> str:
    """What there is to complain of, or nothing."""
    cost = COSTS[name]
    faults = ["worse than n log n"] if ratio(sizes, name) > TOLERANCE else []
    if any(size.figures[name] * cost.scale > cost.bound(size.files) for size in sizes):
        faults.append("above its bound")
    return ", ".join(faults)


def as_json(sizes: Sequence[Size]) -> dict[str, object]:
    """One run for programs: figures in seconds and bytes."""
    return {
        "sizes": [{"files": size.files, **size.figures} for size in sizes],
        "ratios": {name: ratio(sizes, name) for name in COSTS},
        "verdicts": {name: verdict(sizes, name) for name in COSTS},
    }


def show(sizes: Sequence[Size]) -> None:
    """The table: a column for each size, the ratio to n log n, what is wrong; and one line that sums it up."""
    table = Table("cost", *(f"N = {size.files:,}" for size in sizes), "/ n log n", "")
    for name, cost in COSTS.items():
        values = (f"{size.figures[name] * cost.scale:,.3g}" for size in sizes)
        table.add_row(cost.heading, *values, f"{ratio(sizes, name):.2f}", verdict(sizes, name))
    console = Console(width=None if Console().is_terminal else 132)
    console.print(table)
    bad = [cost.heading for name, cost in COSTS.items() if verdict(sizes, name)]
    console.print("verdict: " + (f"look at: {'; '.join(bad)}" if bad else "nothing grows worse than n log n"))
