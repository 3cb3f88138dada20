"""The machine burns, and partners with it: `contrib/campaign losses`.

1. eight real daemons hold the 6+2 disk of a ninth; history, SQLite and git work on its mount;
2. each round, a sync makes what is done held, or complete; some time later the machine is lost, with one partner if it
   was held, with two if it was complete;
3. the restore view shows one moment that there was, no older than what was promised, and the programs' own checks find
   nothing;
4. the partners are back, another home takes the node over, and goes on.
"""

import shutil
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from random import Random
from typing import Protocol

import click
from suitelib.shell import Failed, require

from campaignlib.burdens import Git
from campaignlib.databases import Sqlite
from campaignlib.history import History
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


class Losses:
    """One node, lost again and again."""

    def __init__(self, world: World, owner: Owner, beside: Path, random: Random) -> None:
        self._world = world
        self._owner = owner
        self._beside = beside
        self._random = random
        self.met: Counter[str] = Counter()
        self.behind: list[int] = []  # operations that did not come back, each time
        self.restored: list[float] = []  # seconds until the view was ready,
        self.taken: list[float] = []  # and until the new machine was mounted
        self._history = History(owner.mount_point, random)
        self._git = Git(owner.mount_point, beside, random)
        self._sqlite = Sqlite(owner.mount_point, beside, random)

    def round(self) -> None:
        """Failed, AssertionError: something that was promised is not so."""
        burdens: Mapping[str, Counted] = {"history": self._history, "git": self._git, "sqlite": self._sqlite}
        self._history.start()
        self._git.begin()
        self._sqlite.begin()
        complete = self._random.random() < 0.5
        time.sleep(self._random.uniform(0.0, WORK))
        promised = {name: burden.told() for name, burden in burdens.items()}
        self._owner.sync(complete=complete)
        time.sleep(self._random.uniform(0.0, WORK))  # the moment of the loss: nothing waits for it
        victims = self._random.sample(PARTNERS, COMPLETE if complete else HELD)
        self._burn(victims)
        self.met["with one partner" if len(victims) == HELD else "with two partners"] += 1

        began = time.monotonic()
        well(self._owner.restore("--accept-older"))
        self.restored.append(time.monotonic() - began)
        shutil.copytree(self._owner.view, self._beside / "copy", symlinks=True)
        mounts.unmount(self._owner.view)
        self._judge(burdens, promised, self._beside / "copy")
        shutil.rmtree(self._beside / "copy")
        self._take_over(victims)
        self._judge(burdens, promised, self._owner.mount_point)
        self.behind.append(self._history.told() - self._history.found(self._owner.mount_point))
        self._go_on()

    def _burn(self, victims: list[str]) -> None:
        self._owner.kill()
        self._world.kill(*victims)
        self._history.stop()
        self._git.end()
        self._sqlite.end()
        self._owner.lose()

    def _judge(self, burdens: Mapping[str, Counted], promised: Mapping[str, int], top: Path) -> None:
        for name, burden in burdens.items():
            there = burden.found(top)
            require(there >= promised[name], f"{top}: {name} is back at {there}, and {promised[name]} was promised")
            self.met[name] += 1

    def _take_over(self, victims: list[str]) -> None:
        self._world.restart(*victims)
        began = time.monotonic()
        kit = self._owner.kit
        well(coopfs("takeover", "--accept-older", "--listen=127.0.0.1:0", kit, home=self._owner.home))
        well(mount_coopfs(self._owner.home, self._owner.mount_point))
        self.taken.append(time.monotonic() - began)

    def _go_on(self) -> None:
        self._owner.export_kit()
        self._history = self._history.again(self._owner.mount_point)
        self._git.renew()
        self._sqlite.renew()
        self._world.complaints()  # that partners and owner went is told of, and was meant


@click.command()
@click.option("--rounds", default=20, show_default=True, metavar="N", type=click.IntRange(1), help="Losses.")
@click.option("--seed", default=1, show_default=True, metavar="N", help="Of what is lost when.")
@DIRECTORY
def losses(rounds: int, seed: int, parent: Path) -> int:
    """Lose a real machine and as many partners as is promised to be survived: what was held comes back.

    The moments are those of this machine, so that another run with the same seed is not the same. Needs root.
    """
    with progress.show() as watch, stage(parent) as (world, beside):
        work, broken = _live(world, beside, Random(seed), rounds, watch)
    met = ", ".join(f"{count} {name}" for name, count in sorted(work.met.items(), key=lambda one: -len(one[0])))
    print(f"{len(work.taken)} losses and takeovers: {met}")
    if work.taken:
        print(f"view ready after {max(work.restored):.1f} s, new machine mounted after {max(work.taken):.1f} s at most")
        behind = sorted(work.behind)
        print(f"operations that did not come back: {behind[len(behind) // 2]} in the middle, {behind[-1]} at most")
    print(f"broken: {broken}" if broken else "all that was promised came back")
    return 1 if broken else 0


def _live(world: World, beside: Path, random: Random, rounds: int, watch: Watch) -> tuple[Losses, str | None]:
    """What was met, and what is broken, in words."""
    world.start(*PARTNERS)
    owner = world.owner("owner")
    owner.mount()
    owner.export_kit()
    work = Losses(world, owner, beside, random)
    for number in range(rounds):
        watch("losing", number, rounds)
        try:
            work.round()
        except (Failed, AssertionError, CoopfsError) as wrong:
            return work, f"at loss {number + 1}: {wrong}"
    return work, None
