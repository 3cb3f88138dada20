"""kill -9 of real daemons under load: `contrib/campaign crashes`.

1. a network of real daemons on this machine; the owner's disk is mounted, and every burden is set up on it;
2. each round, files and one burden more work until a random moment, at which the owner is killed;
3. `mount.coopfs` must have the mount ready within READY, with nobody's help;
4. all that was promised is there, by the burdens' own checks, and daemons have not complained.
"""

import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from random import Random

import click
from suitelib.shell import Failed

from campaignlib.burdens import BURDENS, Burden
from campaignlib.stage import DIRECTORY, stage
from coopfs.cli import progress
from coopfs.cli.client import Watch
from coopfs.errors import CoopfsError
from coopfs.limits import MIB
from tests.e2e.commands import mount_coopfs, well
from tests.e2e.world import Owner, World

PARTNERS = ("p1", "p2", "p3")
SHARE = 400 * MIB  # bytes each partner gives
READY = 10.0  # seconds from the helper's start until the mount answers
LONGEST = 4.0  # seconds of one round's load


class Crashes:
    """One owner, killed again and again."""

    def __init__(self, owner: Owner, burdens: dict[str, Burden], random: Random) -> None:
        self._owner = owner
        self._burdens = burdens
        self._random = random
        self.met: Counter[str] = Counter()
        self.slowest = 0.0  # seconds until the mount was ready

    def round(self) -> None:
        """Failed, AssertionError: something that was promised is not so."""
        others = sorted(self._burdens.keys() - {"files"})
        names = [*(["files"] if "files" in self._burdens else []), *self._random.sample(others, min(1, len(others)))]
        for name in names:
            self._burdens[name].begin()
        time.sleep(self._random.uniform(0.05, LONGEST))  # the moment of the crash: nothing waits for it
        self._owner.kill()
        for name in names:
            self._burdens[name].end()
        began = time.monotonic()
        well(mount_coopfs(self._owner.home, self._owner.mount_point))
        self.slowest = max(self.slowest, time.monotonic() - began)
        for name in names:
            self._burdens[name].check()
            self.met[name] += 1
        complaints = self._owner.world.complaints()
        if complaints:
            raise Failed("\n".join(complaints))


@click.command()
@click.option("--rounds", default=100, show_default=True, metavar="N", type=click.IntRange(1), help="Crashes.")
@click.option("--seed", default=1, show_default=True, metavar="N", help="Of what works when, and of the moments.")
@click.option("--burden", "names", multiple=True, type=click.Choice(list(BURDENS)), help="Instead of all; repeated.")
@DIRECTORY
def crashes(rounds: int, seed: int, names: tuple[str, ...], parent: Path) -> int:
    """Kill a real daemon at random moments under load: nothing that was synced is lost, and no step is manual.

    The moments are those of this machine, so that another run with the same seed is not the same. Needs root.
    """
    chosen = names or tuple(BURDENS)
    with progress.show() as watch, stage(parent) as (world, beside):
        found = _live(world, beside, chosen, Random(seed), rounds, watch)
    works, broken = found
    burdens = ", ".join(f"{count} {name}" for name, count in sorted(works.met.items()))
    print(f"{sum(works.met.values())} checks after {rounds} kills: {burdens}")
    print(f"the mount was ready after {works.slowest:.1f} s at the most (at most {READY:.0f})")
    print(f"broken: {broken}" if broken else "nothing that was synced is lost")
    return 1 if broken or works.slowest > READY else 0


def _live(
    world: World, beside: Path, chosen: Sequence[str], random: Random, rounds: int, watch: Watch
) -> tuple[Crashes, str | None]:
    """What was met, and what is broken, in words."""
    world.start(*PARTNERS)
    owner = world.owner("owner", data=2, redundancy=1, partners=PARTNERS, size=SHARE)
    top = owner.mount()
    burdens: dict[str, Burden] = {}
    works, number = Crashes(owner, burdens, random), 0
    try:
        for name in chosen:
            watch(f"setting up {name}", 0, 0)
            burdens[name] = BURDENS[name](top, beside, random)
        for number in range(rounds):
            watch("killing", number, rounds)
            works.round()
    except (Failed, AssertionError, CoopfsError) as wrong:
        return works, f"at kill {number + 1}: {wrong}"
    return works, None
