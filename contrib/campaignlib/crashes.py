"""kill -9 of real daemons under load: `contrib/campaign crashes`.

1. a network of real daemons on this machine; the owner's disk is mounted, and every burden is set up on it;
2. each round, files and one burden more work until a random moment, at which the owner is killed;
3. `mount.coopfs` must have the mount ready within READY, with nobody's help;
4. all that was promised is there, by the burdens' own checks, and daemons have not complained;
5. after some kills, drawn, a sync makes all of it held, and a restore view shows the same: what the owner took for held
   before it was killed is with its partners.

A campaign that was stopped goes on where its record ends, with a new disk and other moments.
"""

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

import click
from suitelib.shell import Failed, require
from suitelib.source import digest

from campaignlib.burdens import BURDENS, Burden
from campaignlib.record import RECORD, Record
from campaignlib.stage import DIRECTORY, stage
from campaignlib.wrong import BREAKS, in_words
from coopfs.cli import progress
from coopfs.cli.client import Watch
from coopfs.cli.detach import LOG_NAME
from coopfs.demo import mounts
from coopfs.limits import MIB
from tests.e2e.commands import mount_coopfs, well
from tests.e2e.world import Owner, World

PARTNERS = ("p1", "p2", "p3")
SHARE = 400 * MIB  # bytes each partner gives
READY = 10.0  # seconds from the helper's start until the mount answers
LONGEST = 4.0  # seconds of one round's load
VIEWED = 0.1  # share of the kills after which a restore view is compared


@dataclass(frozen=True, slots=True)
class Kill:
    """What worked meanwhile; seconds until the mount was ready again; broken: "" if all went well; viewed: whether a
    restore view was compared too."""

    burdens: Sequence[str]
    ready: float
    broken: str
    viewed: bool = False  # of a record that was begun without


class Crashes:
    """One owner, killed again and again."""

    def __init__(self, owner: Owner, burdens: dict[str, Burden], random: Random) -> None:
        self._owner = owner
        self._burdens = burdens
        self._random = random

    def round(self) -> Kill:
        """Load, a kill, and what it came to."""
        others = sorted(self._burdens.keys() - {"files"})
        names = [*(["files"] if "files" in self._burdens else []), *self._random.sample(others, min(1, len(others)))]
        for name in names:
            self._burdens[name].begin()
        time.sleep(self._random.uniform(0.05, LONGEST))  # the moment of the crash: nothing waits for it
        self._owner.kill()
        for name in names:
            self._burdens[name].end()
        viewed = self._random.random() < VIEWED
        began = time.monotonic()
        try:
            well(mount_coopfs(self._owner.home, self._owner.mount_point))
            ready = time.monotonic() - began
            for name in names:
                self._burdens[name].check()
            if viewed:
                self._compare()
            broken = "\n".join(self._owner.world.complaints(self._owner.home / LOG_NAME))
        except BREAKS as wrong:
            ready, broken = time.monotonic() - began, in_words(wrong, self._owner)
        return Kill(names, ready, broken, viewed)

    def _compare(self) -> None:
        """What a restore view shows with what is here, byte by byte. The kit is as old as the disk."""
        self._owner.sync(complete=False)
        well(self._owner.restore())
        try:
            same = digest(self._owner.view) == digest(self._owner.mount_point)
        finally:
            mounts.unmount(self._owner.view)
        require(same, "what is held differs from what is here")


@click.command()
@click.option("--rounds", default=100, show_default=True, metavar="N", type=click.IntRange(1), help="Crashes.")
@click.option("--seed", default=1, show_default=True, metavar="N", help="Of what works when, and of the moments.")
@click.option("--burden", "names", multiple=True, type=click.Choice(list(BURDENS)), help="Instead of all; repeated.")
@RECORD
@DIRECTORY
def crashes(rounds: int, seed: int, names: tuple[str, ...], record: Path | None, parent: Path) -> int:
    """Kill a real daemon at random moments under load: nothing that was synced is lost, and no step is manual.

    The moments are those of this machine, so that another run with the same seed is not the same. Needs root.
    """
    with Record(record, lambda fields: Kill(**fields)) as kept, progress.show() as watch:
        random = Random(f"{seed} {len(kept.lines)}")
        if len(kept.lines) < rounds:
            with stage(parent) as (world, beside):
                _live(world, beside, names or tuple(BURDENS), random, rounds, kept, watch)
    slowest = max(kill.ready for kill in kept.lines)
    met = Counter(name for kill in kept.lines for name in kill.burdens if not kill.broken)
    burdens = ", ".join(f"{count} {name}" for name, count in sorted(met.items()))
    print(f"{sum(met.values())} checks after {len(kept.lines)} kills: {burdens}")
    print(f"the mount was ready after {slowest:.1f} s at the most (at most {READY:.0f})")
    views = sum(kill.viewed and not kill.broken for kill in kept.lines)
    print(f"{views} restore views of it showed all that was held")
    broken = [f"at kill {number}: {kill.broken}" for number, kill in enumerate(kept.lines, 1) if kill.broken]
    print("\n".join(f"broken {words}" for words in broken) if broken else "nothing that was synced is lost")
    return 1 if broken or slowest > READY else 0


def _live(
    world: World,
    beside: Path,
    chosen: Sequence[str],
    random: Random,
    rounds: int,
    kept: Record[Kill],
    watch: Watch,
) -> None:
    """Until so many rounds are recorded, or one is broken."""
    world.start(*PARTNERS)
    owner = world.owner("owner", data=2, redundancy=1, partners=PARTNERS, size=SHARE)
    top = owner.mount()
    owner.export_kit()
    burdens: dict[str, Burden] = {}
    for name in chosen:
        watch(f"setting up {name}", 0, 0)
        try:
            burdens[name] = BURDENS[name](top, beside, random)
        except Failed as wrong:
            raise click.ClickException(f"{name} cannot be set up: {wrong}") from None
    works = Crashes(owner, burdens, random)
    while len(kept.lines) < rounds:
        watch("killing", len(kept.lines), rounds)
        kept.add(works.round())
        if kept.lines[-1].broken:
            break
