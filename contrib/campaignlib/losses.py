"""The machine burns, and partners with it: `contrib/campaign losses`.

1. eight real daemons hold the 6+2 disk of a ninth; history, SQLite and git work on its mount;
2. each round, a sync makes what is done held, or complete; some time later the machine is lost, with one partner if it
   was held, with two if it was complete;
3. the restore view shows one moment that there was, no older than what was promised, and the programs' own checks find
   nothing;
4. the partners are back, another home takes the node over, and goes on.

A campaign that was stopped goes on where its record ends, with a new disk and other moments.
"""

import shutil
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Protocol

import click
from suitelib.shell import Failed, require

from campaignlib.burdens import Git
from campaignlib.databases import Sqlite
from campaignlib.history import History
from campaignlib.record import RECORD, Record
from campaignlib.stage import DIRECTORY, stage
from coopfs.cli import progress
from coopfs.cli.client import Watch
from coopfs.demo import mounts
from coopfs.errors import CoopfsError
from tests.e2e.commands import coopfs, mount_coopfs, well
from tests.e2e.world import PARTNERS, Owner, World

WORK = 2.0  # seconds at most before and after a sync
HELD, COMPLETE = 1, 2  # partners that may be lost besides: f of 6+2, and m


class Counted(Protocol):
    """What is done can be counted, and what came back too."""

    def told(self) -> int:
        """So much is done."""

    def found(self, top: Path) -> int:
        """So much came back below `top`. Failed: it is not sound."""


@dataclass(frozen=True, slots=True)
class Loss:
    """Of the machine and so many partners.

    checks: by each burden, how often what came back was sound; behind: operations that did not come back; restored,
    taken: seconds until the view was ready, and until the new machine was mounted; broken: "" if all went well, and
    otherwise the figures are of no account.
    """

    partners: int
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
        self._history = History(owner.mount_point, random)
        self._git = Git(owner.mount_point, beside, random)
        self._sqlite = Sqlite(owner.mount_point, beside, random)

    def round(self) -> Loss:
        """Work, a loss, and what came back."""
        victims: list[str] = []
        try:
            return self._round(victims)
        except (Failed, AssertionError, CoopfsError) as wrong:
            return Loss(len(victims), {}, 0, 0.0, 0.0, str(wrong) or repr(wrong))

    def _round(self, victims: list[str]) -> Loss:
        burdens: Mapping[str, Counted] = {"history": self._history, "git": self._git, "sqlite": self._sqlite}
        self._history.start()
        self._git.begin()
        self._sqlite.begin()
        complete = self._random.random() < 0.5
        time.sleep(self._random.uniform(0.0, WORK))
        promised = {name: burden.told() for name, burden in burdens.items()}
        self._owner.sync(complete=complete)
        time.sleep(self._random.uniform(0.0, WORK))  # the moment of the loss: nothing waits for it
        victims += self._random.sample(PARTNERS, COMPLETE if complete else HELD)
        self._burn(victims)

        began = time.monotonic()
        well(self._owner.restore("--accept-older"))
        restored = time.monotonic() - began
        shutil.copytree(self._owner.view, self._beside / "copy", symlinks=True)
        mounts.unmount(self._owner.view)
        checks = self._judge(burdens, promised, self._beside / "copy")
        shutil.rmtree(self._beside / "copy")
        taken = self._take_over(victims)
        checks += self._judge(burdens, promised, self._owner.mount_point)
        behind = self._history.told() - self._history.found(self._owner.mount_point)
        self._go_on()
        return Loss(len(victims), dict(checks), behind, restored, taken, "")  # a Counter cannot be recorded

    def _burn(self, victims: list[str]) -> None:
        self._owner.kill()
        self._world.kill(*victims)
        self._history.stop()
        self._git.end()
        self._sqlite.end()
        self._owner.lose()

    def _judge(self, burdens: Mapping[str, Counted], promised: Mapping[str, int], top: Path) -> Counter[str]:
        for name, burden in burdens.items():
            there = burden.found(top)
            require(there >= promised[name], f"{top}: {name} is back at {there}, and {promised[name]} was promised")
        return Counter(burdens.keys())

    def _take_over(self, victims: list[str]) -> float:
        self._world.restart(*victims)
        began = time.monotonic()
        kit = self._owner.kit
        well(coopfs("takeover", "--accept-older", "--listen=127.0.0.1:0", kit, home=self._owner.home))
        well(mount_coopfs(self._owner.home, self._owner.mount_point))
        return time.monotonic() - began

    def _go_on(self) -> None:
        self._owner.export_kit()
        self._history = self._history.again(self._owner.mount_point)
        self._git.renew()
        self._sqlite.renew()
        self._world.complaints()  # that partners and owner went is told of, and was meant


@click.command()
@click.option("--rounds", default=20, show_default=True, metavar="N", type=click.IntRange(1), help="Losses.")
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
    checks = sum((Counter(loss.checks) for loss in well_gone), Counter())
    met = ", ".join(f"{count} {name}" for name, count in checks.items())
    print(f"{len(kept.lines)} losses and takeovers: {with_one} with one partner, {len(well_gone) - with_one} with two")
    if well_gone:
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
    work = Losses(world, owner, beside, random)
    while len(kept.lines) < rounds:
        watch("losing", len(kept.lines), rounds)
        kept.add(work.round())
        if kept.lines[-1].broken:
            break
