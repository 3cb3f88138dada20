"""What a check has found so far, and what became of it."""

from collections import Counter
from dataclasses import dataclass, field

from coopfs.core.findings import Finding
from coopfs.limits import FINDINGS_MAX


@dataclass(slots=True)
class Report:
    """found: at most FINDINGS_MAX findings, each with whether it was repaired; checked: how much of what was looked at;
    notes: what could not be looked at, and why; lost: paths of which content is gone; left: blocks that are still to be
    looked at, in stripes of each partner; continued: when the check began that this went on with, in wall seconds, and
    how many blocks had been looked at before."""

    found: list[tuple[Finding, bool]] = field(default_factory=list)
    count: int = 0
    repaired: int = 0
    checked: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)
    lost: list[bytes] = field(default_factory=list)
    left: int = 0
    continued: tuple[int, int] | None = None

    def add(self, finding: Finding, *, repaired: bool) -> None:
        """One more."""
        self.count += 1
        self.repaired += repaired
        if len(self.found) < FINDINGS_MAX:
            self.found.append((finding, repaired))

    def note(self, text: str) -> None:
        """Something was left out."""
        if text not in self.notes and len(self.notes) < FINDINGS_MAX:
            self.notes.append(text)
