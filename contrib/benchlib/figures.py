"""The figures of one run: values, ceilings beside them, and how they are shown."""

import statistics
from dataclasses import asdict, dataclass, field
from typing import Any

from rich.console import Console
from rich.table import Table

NULL, DISK, COOPFS = "null", "disk", "coopfs"


@dataclass(frozen=True, slots=True)
class Figure:
    """A result. null, disk: what the null filesystem and the local disk reached; of_null, of_disk: the share of that
    which coopfs reached, the median of all rounds."""

    name: str
    what: str
    unit: str
    value: float
    null: float | None = None
    disk: float | None = None
    of_null: float | None = None
    of_disk: float | None = None


@dataclass(slots=True)
class Series:
    """One figure in the making: what each subject reached, round by round."""

    name: str
    what: str
    unit: str
    reached: dict[str, list[float]] = field(default_factory=dict)

    def add(self, subject: str, value: float) -> None:
        self.reached.setdefault(subject, []).append(value)

    def figure(self) -> Figure:
        """The medians. A ratio is taken within each round, so that a slow moment of the machine meets both sides."""
        null, disk = self._of(NULL), self._of(DISK)
        mine = statistics.median(self.reached[COOPFS])
        return Figure(self.name, self.what, self.unit, mine, null[0], disk[0], null[1], disk[1])

    def _of(self, ceiling: str) -> tuple[float | None, float | None]:
        if ceiling not in self.reached:
            return None, None
        # A figure that was taken once for coopfs is compared with the median of its ceiling.
        theirs, mine = self.reached[ceiling], self.reached[COOPFS]
        if len(theirs) != len(mine):
            return statistics.median(theirs), statistics.median(mine) / statistics.median(theirs)
        ratios = [m / t for m, t in zip(mine, theirs, strict=True)]
        return statistics.median(theirs), statistics.median(ratios)


class Figures:
    """All figures, in the order in which they were first measured."""

    def __init__(self) -> None:
        self._series: dict[str, Series] = {}

    def add(self, name: str, what: str, unit: str, subject: str, value: float) -> None:
        """One measurement of one subject."""
        self._series.setdefault(name, Series(name, what, unit)).add(subject, value)

    def also(self, name: str, ceiling: str, like: str) -> None:
        """Let a figure be compared with what a ceiling reached in another one."""
        self._series[name].reached[ceiling] = list(self._series[like].reached[ceiling])

    def all(self) -> list[Figure]:
        return [series.figure() for series in self._series.values() if COOPFS in series.reached]


def as_json(figures: list[Figure], sizes: dict[str, int]) -> dict[str, Any]:
    """One run for programs."""
    return {"sizes": sizes, "figures": {figure.name: asdict(figure) for figure in figures}}


def show(figures: list[Figure]) -> None:
    """The table."""
    table = Table()
    table.add_column("figure")
    for heading in ("coopfs", "unit", "null", "of null", "disk", "of disk"):
        table.add_column(heading, justify="left" if heading == "unit" else "right")
    for f in figures:
        numbers = (number(f.null), _share(f.of_null), number(f.disk), _share(f.of_disk))
        table.add_row(f.what, number(f.value), f.unit, *numbers)
    Console(width=None if Console().is_terminal else 132).print(table)


def number(value: float | None) -> str:
    """For people: no more digits than mean anything."""
    return "" if value is None else f"{value:,.0f}" if value >= 20 else f"{value:.2f}"


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"
