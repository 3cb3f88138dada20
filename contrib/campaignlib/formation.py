"""Twelve nodes find each other, lose one, grow and shrink: `contrib/campaign formation`.

1. twelve real daemons know nothing but a matching server, and become each other's partners until nobody is left who
   could take one more;
2. owners among them make a disk each on all their partners, and work on its mount from now on;
3. a partner dies, which its owners say, as a daemon waits two weeks before it does, and a newcomer follows it; or it
   leaves, tells all by itself, and those that it had find each other; if they are odd in number, one of them is left
   over, and a newcomer follows. All without a word;
4. the disks grow, as their partners agree, and get smaller than they were, with the agreements;
5. everything becomes complete, and is authenticated; the owners' machines burn with two partners of each, and what the
   restore views show is what was written, byte by byte.

Each round is another twelve; a campaign that was stopped goes on where its record ends.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

import click
from suitelib.shell import Failed, require

from campaignlib.record import RECORD, Record
from campaignlib.stage import DIRECTORY, stage
from coopfs.cli import progress
from coopfs.cli.client import Watch, ignore_progress
from coopfs.config import Config
from coopfs.demo import mounts
from coopfs.errors import CoopfsError
from coopfs.limits import MIB
from tests.e2e.commands import coopfs, mount_coopfs, well
from tests.e2e.load import Writer
from tests.e2e.waiting import until
from tests.e2e.world import BLOCK, Owner, World

NODES = tuple(f"n{number}" for number in range(1, 13))
NEWCOMER = "n13"
WANTED = 5  # partners of each: 30 agreements, so that who loses one finds another
DATA, REDUNDANCY = 3, 2
SIZE, LARGER, SMALLER = 32 * MIB, 48 * MIB, 24 * MIB  # bytes each way; a writer's files take half of the last at most
OWNERS = 2
WORK = 3.0  # seconds at most between two events
PATIENCE = 900.0  # seconds: nodes look again after 15, 30 and so on up to 600
# What daemons say of who goes and comes back, all of it meant.
EXPECTED = (r"is lost\. \w+ gets its part of the disk", "away|unreachable|not reached|left its partners")


@dataclass(frozen=True, slots=True)
class Formed:
    """formed, followed, resized, shrunk: seconds that it took; agreements; lacking: partners that nobody was left for;
    changes: made by the owners' writers and compared; broken: "" if all went well."""

    how: str
    formed: float
    agreements: int
    lacking: int
    followed: float
    resized: float
    shrunk: float
    changes: int
    broken: str


class Formation:
    """One round in a world of its own."""

    def __init__(self, world: World, random: Random, how: str, watch: Watch) -> None:
        self._world = world
        self._random = random
        self._how = how
        self._watch = watch
        self._terms = Config()
        self._here: list[str] = []  # who takes part, and is not gone
        self._owners: list[Owner] = []
        self._writers: list[Writer] = []

    def live(self) -> Formed:
        """All of it."""
        try:
            formed = self._timed("find partners", self._form)
            agreements = sum(len(self._partners(name)) for name in NODES) // 2
            lacking = sum(self._lacking(name) for name in NODES)
            self._make_disks()
            followed = self._timed(f"follow one that {self._how}", self._lose_one)
            resized = self._timed("grow", self._grow)
            shrunk = self._timed("shrink", self._shrink)
            changes = self._rest()
            self._watch("burn", 0, 0)
            for owner, writer in zip(self._owners, self._writers, strict=True):
                self._burn(owner, writer)
        except (Failed, AssertionError, CoopfsError) as wrong:
            return Formed(self._how, 0.0, 0, 0, 0.0, 0.0, 0.0, 0, str(wrong) or repr(wrong))
        finally:
            for writer in self._writers:
                writer.stop()
        return Formed(self._how, formed, agreements, lacking, followed, resized, shrunk, changes, "")

    def _timed(self, step: str, work: Callable[[], None]) -> float:
        self._watch(step, 0, 0)
        began = time.monotonic()
        work()
        return time.monotonic() - began

    # --- partners -----------------------------------------------------------------------------------------------------

    def _form(self) -> None:
        server = self._world.network.start_matching(ignore_progress)

        self._terms = Config(match_servers=(server,), match_size=SIZE, match_partners=WANTED, match_together=True)
        self._start(NODES)
        until(self._is_settled, PATIENCE)

    def _start(self, names: Sequence[str]) -> None:
        self._world.network.start(names, ignore_progress, lambda name: replace(self._terms, name=name))
        self._here += names

    def _is_settled(self) -> bool:
        """Whether those that lack partners are all partners of each other: nobody else is free."""
        time.sleep(1.0)  # there are many to ask
        lacking = [name for name in self._here if self._lacking(name)]
        return all({*lacking} - {name} <= self._partners(name) for name in lacking)

    def _lacking(self, name: str) -> int:
        lacking: int = self._world.call(name, "status")["matching"]["lacking"]
        return lacking

    def _partners(self, name: str) -> set[str]:
        return {entry["name"] for entry in self._world.call(name, "partner_list")["partners"]}

    # --- disks --------------------------------------------------------------------------------------------------------

    def _make_disks(self) -> None:
        able = [name for name in NODES if not self._lacking(name)]
        require(len(able) >= OWNERS, f"only {len(able)} of {len(NODES)} nodes found {WANTED} partners")
        for name in self._random.sample(able, OWNERS):
            coding = {"data": DATA, "redundancy": REDUNDANCY, "block_size": BLOCK, "partners": None}
            self._world.call(name, "format", **coding, no_redundancy=False)
            owner = Owner(self._world, name)
            well(mount_coopfs(owner.home, owner.mount_point))
            work = owner.mount_point / "work"
            work.mkdir()
            writer = Writer(work, self._random.randrange(1 << 30))
            self._owners.append(owner)
            self._writers.append(writer)
            writer.start()

    def _lose_one(self) -> None:
        """A partner of an owner, and no owner itself."""
        time.sleep(self._random.uniform(0.0, WORK))  # the moment: nothing waits for it
        owners = {owner.name for owner in self._owners}
        victim = self._random.choice(sorted(self._partners(self._owners[0].name) - owners))
        holding = [owner for owner in self._owners if victim in owner.columns()]
        if self._how == "leaves":
            well(coopfs("leave", "--yes", home=self._world.home(victim)))
        else:
            self._start((NEWCOMER,))
        self._world.kill(victim)
        self._here.remove(victim)
        for owner in holding if self._how == "dies" else ():
            until(lambda owner=owner: owner.columns()[victim]["state"] == "unreachable")
            well(coopfs("partner", "lose", victim, home=owner.home))
        if self._how == "leaves":
            until(lambda: all(self._is_whole(owner, victim) for owner in holding) or self._is_settled(), PATIENCE)
            if any(self._lacking(owner.name) for owner in holding):
                self._start((NEWCOMER,))
        for owner in holding:
            until(lambda owner=owner: self._is_whole(owner, victim), PATIENCE)

    def _is_whole(self, owner: Owner, victim: str) -> bool:
        columns = owner.columns()
        return victim not in columns and {column["state"] for column in columns.values()} == {"caught up"}

    def _grow(self) -> None:
        for owner in self._owners:
            rows = owner.status()["rows"]
            well(coopfs("resize", str(LARGER), home=owner.home))
            for name in owner.columns():
                well(coopfs("partner", "resize", owner.name, str(LARGER), home=self._world.home(name)))
            until(lambda owner=owner, rows=rows: owner.status()["rows"] > 1.4 * rows, PATIENCE)

    def _shrink(self) -> None:
        """All disks, then the agreements: owners may be partners of each other, and give what both store."""
        for owner in self._owners:
            time.sleep(self._random.uniform(0.0, WORK))
            rows = owner.status()["rows"]
            well(coopfs("resize", str(SMALLER), home=owner.home))
            until(lambda owner=owner: owner.status()["growth"] is None, PATIENCE)
            require(owner.status()["rows"] < 0.6 * rows, f"the disk of {owner.name} did not get smaller")
        for owner in self._owners:
            for name in owner.columns():
                well(coopfs("partner", "resize", name, str(SMALLER), home=owner.home))
                well(coopfs("partner", "resize", owner.name, str(SMALLER), home=self._world.home(name)))

    # --- the end ------------------------------------------------------------------------------------------------------

    def _rest(self) -> int:
        """Nobody works any more: how many changes were made, which are all there."""
        time.sleep(self._random.uniform(0.0, WORK))
        for owner, writer in zip(self._owners, self._writers, strict=True):
            writer.stop()
            require(writer.broken is None, f"the mount of {owner.name} broke: {writer.broken}")
            owner.sync(complete=True)
            writer.check(owner.mount_point / "work")
            well(coopfs("check", "--deep", home=owner.home))
            owner.export_kit()
        return sum(writer.changes for writer in self._writers)

    def _burn(self, owner: Owner, writer: Writer) -> None:
        """The machine, and as many partners as may go when everything is complete, owners that burned before among
        them; the others come back for the next one."""
        columns = sorted(owner.columns())
        standing = [name for name in columns if self._world.home(name).exists()]
        victims = self._random.sample(standing, REDUNDANCY - (len(columns) - len(standing)))
        owner.lose()
        self._world.kill(*victims)
        well(owner.restore("--accept-older"))
        writer.check(owner.view / "work")
        mounts.unmount(owner.view)
        self._world.restart(*victims)


@click.command()
@click.option("--rounds", default=10, show_default=True, metavar="N", type=click.IntRange(1), help="Of twelve each.")
@click.option("--seed", default=1, show_default=True, metavar="N", help="Of who owns, goes, and when.")
@RECORD
@DIRECTORY
def formation(rounds: int, seed: int, record: Path | None, parent: Path) -> int:
    """Let twelve real daemons find each other, follow one that goes, resize under load; compare what comes back.

    The moments are those of this machine, so that another run with the same seed is not the same. Needs root.
    """
    with Record(record, lambda fields: Formed(**fields)) as kept, progress.show() as watch:
        while len(kept.lines) < rounds and not any(line.broken for line in kept.lines):
            number = len(kept.lines)
            with stage(parent) as (world, _):
                world.expected += EXPECTED
                line = Formation(world, Random(f"{seed} {number}"), ("dies", "leaves")[number % 2], watch).live()
                complaints = "" if line.broken else "\n".join(world.complaints())
            kept.add(Formed(line.how, 0.0, 0, 0, 0.0, 0.0, 0.0, 0, complaints) if complaints else line)
    well_gone = [line for line in kept.lines if not line.broken]
    for how in sorted({line.how for line in well_gone}):
        these = [line for line in well_gone if line.how == how]
        formed, followed, grown, shrunk = (
            max(times)
            for times in zip(*((line.formed, line.followed, line.resized, line.shrunk) for line in these), strict=True)
        )
        print(
            f"one {how}: {len(these)} times; formed after {formed:.0f} s at most, followed after {followed:.0f}, "
            f"grown after {grown:.0f}, smaller after {shrunk:.0f}; "
            f"{sum(line.agreements for line in these)} agreements, {sum(line.lacking for line in these)} lacking, "
            f"{sum(line.changes for line in these):,} changes compared"
        )
    broken = [f"broken in round {number}: {line.broken}" for number, line in enumerate(kept.lines, 1) if line.broken]
    print("\n".join(broken) if broken else "everybody found partners, and nothing was lost")
    return 1 if broken else 0
