"""The machine burns, and partners with it: `contrib/campaign losses`.

1. eight real daemons hold the 6+2 disk of a ninth; history, operations of every kind, SQLite, git, restic and borg
   work on its mount;
2. each round, a sync makes what is done held, or complete; some time later the machine is lost, with one partner if it
   was held, with two if it was complete;
3. the restore view shows one moment that there was, no older than what was promised, and the programs' own checks find
   nothing;
4. another home takes the node over, and goes on: in half of the rounds while one of the lost partners is still away,
   since seven of eight are enough to hold everything again, in the others when all are back.

As long as no more than one partner is away nothing can be in doubt, and nothing may be asked.

A campaign that was stopped goes on where its record ends, with a new disk and other moments.
"""

import shutil
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Protocol

import click
from suitelib.shell import Failed, require, run

from campaignlib.backups import Backups
from campaignlib.burdens import Git
from campaignlib.databases import Sqlite
from campaignlib.history import History
from campaignlib.operations import PACE, Operations
from campaignlib.record import RECORD, Record
from campaignlib.stage import DIRECTORY, stage
from campaignlib.wrong import BREAKS, in_words
from coopfs.cli import progress
from coopfs.cli.client import Watch
from coopfs.demo import mounts
from tests.e2e.commands import coopfs, mount_coopfs, well
from tests.e2e.world import PARTNERS, Owner, World, pid_of

WORK = 2.0  # seconds at most before and after a sync
HELD, COMPLETE = 1, 2  # partners that may be lost besides: f of 6+2, and m
SPARE = 1  # partners without whom all that a takeover found can be held again: n - (k + f_min) of 6+2
BACKUPS = ("restic", "borg")
TOO_FEW = "are needed to exclude a newer state"  # never: 2 answers of 8 are enough


class Counted(Protocol):
    """What is done can be counted, and what came back too."""

    def begin(self) -> None:
        """Work, in the background."""

    def end(self) -> None:
        """Nothing of it runs any more."""

    def told(self) -> int:
        """So much is done."""

    def found(self, top: Path) -> int:
        """So much came back below `top`. Failed: it is not sound."""


@dataclass(frozen=True, slots=True)
class Loss:
    """Of the machine and so many partners.

    away: partners that the takeover had to do without; checks: by each burden, how often what came back was sound;
    behind: operations that did not come back; restored, taken: seconds until the view was ready, and until the new
    machine was mounted; broken: "" if all went well, and otherwise the figures are of no account.
    """

    partners: int
    away: int
    checks: Mapping[str, int]
    behind: int
    restored: float
    taken: float
    broken: str


class Losses:
    """One node, lost again and again."""

    def __init__(self, world: World, owner: Owner, beside: Path, random: Random) -> None:
        self._world = world
        self._owner = owner
        self._beside = beside
        self._random = random
        top = owner.mount_point
        self._history = History(top, random)
        self._operations = Operations(top, beside, random, share=0.0, pace=PACE)
        self._git = Git(top, beside, random)
        self._sqlite = Sqlite(top, beside, random)
        self._backups = {kind: Backups(kind, top, beside, random) for kind in BACKUPS}

    def round(self) -> Loss:
        """Work, a loss, and what came back."""
        victims: list[str] = []
        kind = self._random.choice(BACKUPS)  # one, or a round takes twice as long
        backups = self._backups[kind]
        burdens: dict[str, Counted] = {"history": self._history, "operations": self._operations, "git": self._git}
        burdens |= {"sqlite": self._sqlite, kind: backups}
        try:
            return self._round(victims, burdens, backups)
        except BREAKS as wrong:
            broken = in_words(wrong, self._owner)
            self._clear_away(burdens)
            return Loss(len(victims), 0, {}, 0, 0.0, 0.0, broken)

    def _round(self, victims: list[str], burdens: Mapping[str, Counted], backups: Backups) -> Loss:
        for burden in burdens.values():
            burden.begin()
        complete = self._random.random() < 0.5
        if self._random.random() < 0.5:
            backups.finish()  # what was promised has it; otherwise it is under way at the sync, or at the loss
        time.sleep(self._random.uniform(0.0, WORK))
        promised = {name: burden.told() for name, burden in burdens.items()}
        self._owner.sync(complete=complete)
        time.sleep(self._random.uniform(0.0, WORK))  # the moment of the loss: nothing waits for it
        victims += self._random.sample(PARTNERS, COMPLETE if complete else HELD)
        self._burn(victims, burdens)

        restored = self._restore(victims)
        checks = self._judge(burdens, promised, self._beside / "copy")
        shutil.rmtree(self._beside / "copy")
        away = victims[: self._random.choice((0, SPARE))]
        taken = self._take_over([name for name in victims if name not in away])
        checks += self._judge(burdens, promised, self._owner.mount_point)
        behind = self._history.told() - self._history.found(self._owner.mount_point)
        self._world.restart(*away)
        self._go_on(backups)
        # a Counter cannot be recorded
        return Loss(len(victims), len(away), dict(checks), behind, restored, taken, "")

    def _burn(self, victims: Sequence[str], burdens: Mapping[str, Counted]) -> None:
        self._owner.kill()
        self._world.kill(*victims)
        for burden in burdens.values():
            burden.end()
        self._owner.lose()

    def _restore(self, victims: Sequence[str]) -> float:
        """Copy what the view shows. With more away than what is held survives, something newer may have been held."""
        began = time.monotonic()
        said = well(self._owner.restore(*(["--accept-older"] if len(victims) > HELD else [])))
        restored = time.monotonic() - began
        require(TOO_FEW not in said.err, f"enough partners answer, but it says: {said.err}")
        run("rsync", "-aHAXS", f"{self._owner.view}/", self._beside / "copy")
        mounts.unmount(self._owner.view)
        return restored

    def _judge(self, burdens: Mapping[str, Counted], promised: Mapping[str, int], top: Path) -> Counter[str]:
        for name, burden in burdens.items():
            there = burden.found(top)
            require(there >= promised[name], f"{top}: {name} is back at {there}, and {promised[name]} was promised")
        return Counter(burdens.keys())

    def _take_over(self, back: Sequence[str]) -> float:
        """With these back: so few are away that nothing may be asked."""
        self._world.restart(*back)
        began = time.monotonic()
        well(coopfs("takeover", "--listen=127.0.0.1:0", self._owner.kit, home=self._owner.home))
        well(mount_coopfs(self._owner.home, self._owner.mount_point))
        return time.monotonic() - began

    def _go_on(self, backups: Backups) -> None:
        self._owner.export_kit()
        self._history = self._history.again(self._owner.mount_point)
        self._operations.renew()
        self._git.renew()
        self._sqlite.renew()
        backups.renew()
        self._world.complaints()  # that partners and owner went is told of, and was meant

    def _clear_away(self, burdens: Mapping[str, Counted]) -> None:
        """Whatever a broken round left running; without a daemon the mount lets go of who waits for it."""
        if pid_of(self._owner.home) is not None:
            self._owner.kill()
        for burden in burdens.values():
            with suppress(*BREAKS):
                burden.end()


@click.command()
@click.option("--rounds", default=100, show_default=True, metavar="N", type=click.IntRange(1), help="Losses.")
@click.option("--seed", default=1, show_default=True, metavar="N", help="Of what is lost when.")
@RECORD
@DIRECTORY
def losses(rounds: int, seed: int, record: Path | None, parent: Path) -> int:
    """Lose a real machine and as many partners as is promised to be survived: what was held comes back.

    The moments are those of this machine, so that another run with the same seed is not the same. Needs root.
    """
    with Record(record, lambda fields: Loss(**fields)) as kept, progress.show() as watch:
        random = Random(f"{seed} {len(kept.lines)}")
        if len(kept.lines) < rounds:
            with stage(parent) as (world, beside):
                _live(world, beside, random, rounds, kept, watch)
    well_gone = [loss for loss in kept.lines if not loss.broken]
    with_one = sum(loss.partners == HELD for loss in well_gone)
    without = sum(loss.away > 0 for loss in well_gone)
    checks = sum((Counter(loss.checks) for loss in well_gone), Counter())
    met = ", ".join(f"{count} {name}" for name, count in checks.items())
    print(f"{len(kept.lines)} losses and takeovers: {with_one} with one partner, {len(well_gone) - with_one} with two")
    if well_gone:
        print(f"{without} of the takeovers while a partner was away")
        print(f"{checks.total()} checks: {met}")
        restored, taken = max(loss.restored for loss in well_gone), max(loss.taken for loss in well_gone)
        print(f"view ready after {restored:.1f} s, new machine mounted after {taken:.1f} s at most")
        behind = sorted(loss.behind for loss in well_gone)
        print(f"operations that did not come back: {behind[len(behind) // 2]} in the middle, {behind[-1]} at most")
    broken = [f"broken at loss {number}: {loss.broken}" for number, loss in enumerate(kept.lines, 1) if loss.broken]
    print("\n".join(broken) if broken else "all that was promised came back")
    return 1 if broken else 0


def _live(world: World, beside: Path, random: Random, rounds: int, kept: Record[Loss], watch: Watch) -> None:
    """Until so many rounds are recorded, or one is broken."""
    world.start(*PARTNERS)
    owner = world.owner("owner")
    owner.mount()
    owner.export_kit()
    watch("setting up backups", 0, 0)
    try:
        work = Losses(world, owner, beside, random)
    except Failed as wrong:
        raise click.ClickException(f"backups cannot be set up: {wrong}") from None
    while len(kept.lines) < rounds:
        watch("losing", len(kept.lines), rounds)
        kept.add(work.round())
        if kept.lines[-1].broken:
            break
