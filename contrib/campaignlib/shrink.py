"""Leave out what a failing life does not need to fail."""

from collections.abc import Callable, Iterable

Steps = frozenset[int]


def shrink(steps: int, fails: Callable[[Steps], bool]) -> Steps:
    """Steps, of so many, without which the life still fails: halves first, then quarters, and so on to single ones;
    about 2 x steps lives are tried."""
    without: Steps = frozenset()
    size = max(1, steps // 2)
    while size:
        for first in range(0, steps, size):
            more = without | frozenset(range(first, min(first + size, steps)))
            if more != without and fails(more):
                without = more
        size //= 2
    return without


def write(steps: Iterable[int]) -> str:
    """As `parse` reads it: 0-3,7."""
    runs: list[list[int]] = []
    for step in sorted(steps):
        if runs and runs[-1][-1] == step - 1:
            runs[-1][1:] = [step]
        else:
            runs.append([step])
    return ",".join("-".join(map(str, run)) for run in runs)


def parse(text: str) -> Steps:
    """ValueError: not steps."""
    steps: set[int] = set()
    for part in filter(None, text.split(",")):
        first, dash, last = part.partition("-")
        steps.update(range(int(first), int(last if dash else first) + 1))
    return frozenset(steps)
