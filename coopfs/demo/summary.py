"""What the demo says at its end: figures, and what to do next."""

from collections.abc import Sequence
from dataclasses import dataclass

from coopfs.demo.compare import Comparison
from coopfs.demo.network import OWNER, Network
from coopfs.demo.selection import Selection
from coopfs.sizes import format_size

SHOWN = 10  # differences that are printed


@dataclass(frozen=True, slots=True)
class Figures:
    """k, m, the partners that were killed, and seconds that each step took."""

    data: int
    redundancy: int
    lost: Sequence[str]
    build: float
    copy: float
    complete: float
    lose: float
    restore: float
    compare: float


def print_story(selection: Selection, figures: Figures, comparison: Comparison) -> None:
    """The summary of the whole story."""
    partners, coding = figures.data + figures.redundancy, f"{figures.data}+{figures.redundancy}"
    until_complete = figures.copy + figures.complete
    total = figures.build + until_complete + figures.lose + figures.restore + figures.compare
    rows = [
        (
            "built",
            f"{coding}, real daemons: an owner found {partners} partners by a matching server",
            figures.build,
        ),
        (
            "copied",
            f"{selection.entries:,} entries, {format_size(selection.size)}{_rate(selection.size, figures.copy)}",
            figures.copy,
        ),
        ("complete", f"every block on all {partners} partners{_rate(selection.size, until_complete)}", until_complete),
        ("lost", f"the owner's machine with its home, partners {' and '.join(figures.lost)}", figures.lose),
        ("restored", "view mounted from the kit and the other partners alone", figures.restore),
        ("compared", _verdict(comparison) + _rate(comparison.size, figures.compare), figures.compare),
    ]
    print()
    for label, text, seconds in rows:
        print(f"{label:<9} {text:<78} {seconds:6.1f} s")
    print(f"{'in all':<9} {'':<78} {total:6.1f} s")
    for difference in comparison.differences[:SHOWN]:
        print(f"  {difference}")
    if len(comparison.differences) > SHOWN:
        print(f"  and {len(comparison.differences) - SHOWN} more")
    print(
        "\nNext:\n"
        "  look around yourself   coopfs demo --keep --dir D   (then coopfs --home D/nodes/owner status)\n"
        "  for real, each machine coopfs init, coopfs serve, coopfs partner invite --size 100G   (README.md, coopfs(1))"
    )


def print_kept(network: Network) -> None:
    """Where everything is after --keep."""
    owner = network.home(OWNER)
    print(
        f"\ncomplete on all partners, and all is left running:\n"
        f"  mount         {network.mount}\n"
        f"  homes         {owner}, {network.home('p1')} ...\n"
        f"  recovery kit  {network.kit}\n"
        f"\nNext:\n"
        f"  watch it      coopfs --home {owner} status --watch\n"
        f"  restore view  coopfs restore mount {network.kit} {network.restored}\n"
        f"  end it        coopfs demo --stop --dir {network.work}"
    )


def _verdict(comparison: Comparison) -> str:
    if comparison.differences:
        return f"NOT THE SAME in {len(comparison.differences)} places of {comparison.entries:,} entries"
    return f"{comparison.entries:,} entries: every byte and attribute is the same"


def _rate(size: int, seconds: float) -> str:
    return f", {format_size(int(size / max(seconds, 0.001)))}/s"
