"""Power loss of real machines under load: `contrib/campaign outages`.

1. a network of real daemons on this machine, each of whose homes lies on a layer that knows what was not synced; the
   owner's disk is mounted, and burdens are set up on it;
2. each round, they work until a random moment, at which the owner, one partner, or all of them at once are killed, and
   what they had not synced is lost or torn; before it, the owner may have asked for a new key, another size or layout,
   or another partner in the place of one, which goes on through later rounds;
3. all are started again, and the mount is ready within READY, with nobody's help;
4. all that was promised is there, by the burdens' own checks, and daemons have not complained;
5. after some outages, drawn, which hit partners, the owner stays away: what was complete before must come back from the
   kit, with a partner less than all, before the owner could send anything again; after others every block is checked.

A campaign that was stopped goes on where its record ends, with a new disk and other moments.
"""

import shutil
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from random import Random

import click
from suitelib.shell import Failed, require, run

from campaignlib.burdens import Burden, Files, Git
from campaignlib.changes import Changes
from campaignlib.databases import Sqlite
from campaignlib.history import History
from campaignlib.losses import Counted
from campaignlib.operations import Operations
from campaignlib.platter import Platter
from campaignlib.record import RECORD, Record
from campaignlib.stage import DIRECTORY, stage
from campaignlib.wrong import BREAKS, in_words
from coopfs.cli import progress
from coopfs.cli.client import Watch
from coopfs.demo import mounts, process
from coopfs.limits import MIB
from tests.e2e.commands import coopfs, mount_coopfs, well
from tests.e2e.world import Owner, World, pid_of

OWNER, PARTNERS = "owner", ("p1", "p2", "p3", "p4")  # one more than there are columns
SHARE = 64 * MIB  # bytes each partner gives: the layer writes each page of a reservation by itself
CACHE = 4 * MIB  # bytes of content at home, so that some goes, and comes back, which is never synced
READY = 10.0  # seconds from the daemon's start until the mount answers, as after a crash
LONGEST = 4.0  # seconds of one round's load
VIEWED = 0.4  # share of the outages of partners after which a restore view is looked at
DEEP = 0.2  # share of all after which every block is checked
NEW_KIT = 0.5  # share of all, besides those that are looked at, before which a kit is exported


Other = Files | Operations | Git | Sqlite


@dataclass(frozen=True, slots=True)
class Outage:
    """struck: whose power failed; checks: of the burdens; behind: operations, not synced, that the owner lost; ready:
    seconds until it was mounted again, 0 if it was not struck; viewed, deep: what was looked at besides; change: asked
    for before, "" for nothing; broken: "" if all went well."""

    struck: Sequence[str]
    checks: Sequence[str]
    behind: int
    ready: float
    viewed: bool
    deep: bool
    change: str
    broken: str


class Outages:
    """One owner and its partners, whose power fails again and again."""

    def __init__(self, owner: Owner, platters: Mapping[str, Platter], beside: Path, random: Random) -> None:
        self._owner = owner
        self._world = owner.world
        self._platters = platters
        self._beside = beside
        self._random = random
        top = owner.mount_point
        self._history = History(top, random)
        self._others: dict[str, Other] = {
            "files": Files(top, beside, random),
            "operations": Operations(top, beside, random),
            "git": Git(top, beside, random),
            "sqlite": Sqlite(top, beside, random),
        }
        self._changes = Changes(owner, PARTNERS, SHARE, random)
        self._working: list[Burden | History] = []

    def round(self) -> Outage:
        """Load, an outage, and what it came to."""
        random = self._random
        struck = random.choice(([OWNER], [random.choice(PARTNERS)], [OWNER, *PARTNERS]))
        viewed = struck != [OWNER] and random.random() < VIEWED
        deep = random.random() < DEEP
        # with files, every few milliseconds somebody waits for a commit; without, the last second is at stake
        checks = ["history", *random.sample(sorted(self._others), random.randint(0, 2))]
        behind, ready = 0, 0.0
        try:
            behind, ready = self._round(struck, viewed, [self._others[name] for name in checks[1:]])
            if deep:
                self._check_deeply()
            broken = "\n".join(self._world.complaints())
        except BREAKS as wrong:
            broken = in_words(wrong, self._owner)
            self._clear_away()
        return Outage(struck, checks, behind, ready, viewed, deep, self._changes.what, broken)

    def _round(self, struck: Sequence[str], viewed: bool, others: Sequence[Other]) -> tuple[int, float]:
        for burden in (self._history, *others):
            burden.begin()
            self._working.append(burden)
        self._wait()
        self._changes.begin()
        # files are compared with what is there now, which after the promise goes on changing
        promised: list[tuple[Counted, int]] = []
        if viewed:
            promised += [(each, each.told()) for each in (self._history, *others) if not isinstance(each, Files)]
            self._owner.sync(complete=True)
        if viewed or self._random.random() < NEW_KIT:
            self._changes.renew_kit()
        self._wait()
        self._strike(struck, viewed)
        stays = pid_of(self._owner.home) is not None
        self._world.restart(*(name for name in struck if name != OWNER))
        if stays:
            self._wait()
        self._end_burdens()
        if viewed:
            self._view(struck, promised)
        ready = 0.0 if stays else self._return()
        for each in (self._changes, *others):
            each.check()
        behind = self._history.told() - self._history.found(self._owner.mount_point)
        require(not (stays and behind), f"{behind} operations are lost, and the owner ran all the time")
        self._history = self._history.again(self._owner.mount_point)
        return behind, ready

    def _end_burdens(self) -> None:
        while self._working:
            self._working.pop().end()

    def _clear_away(self) -> None:
        """Whatever a broken round left running; without a daemon the mount lets go of who waits for it."""
        if pid_of(self._owner.home) is not None:
            self._owner.kill()
        self._end_burdens()

    def _wait(self) -> None:
        """The moment of an outage: nothing waits for it."""
        time.sleep(self._random.uniform(0.05, LONGEST))

    def _strike(self, struck: Sequence[str], alone: bool) -> None:
        """alone: the owner is killed in any case, so that it cannot send again what partners have lost."""
        if alone or OWNER in struck:
            self._owner.kill()
        self._world.kill(*(name for name in struck if name != OWNER))
        for name in struck:
            self._platters[name].lose_power(self._random.randrange(1 << 30))

    def _view(self, struck: Sequence[str], promised: Sequence[tuple[Counted, int]]) -> None:
        """What comes back while a partner is away, if possible one that was not struck."""
        away = self._random.choice([name for name in PARTNERS if name not in struck] or PARTNERS)
        self._world.kill(away)
        copy = self._beside / "copy"
        well(self._owner.restore("--accept-older"))
        try:
            run("rsync", "-aHAXS", f"{self._owner.view}/", copy)
            for burden, least in promised:
                there = burden.found(copy)
                require(
                    there >= least,
                    f"without {away}, {type(burden).__name__} is back at {there}, and {least} was complete",
                )
        finally:
            mounts.unmount(self._owner.view)
            shutil.rmtree(copy, ignore_errors=True)
        self._world.restart(away)

    def _return(self) -> float:
        began = time.monotonic()
        self._world.restart(OWNER)
        _mount(self._owner)
        return time.monotonic() - began

    def _check_deeply(self) -> None:
        self._owner.wait_for_partners(*self._owner.columns())
        self._owner.sync(complete=True)
        said = well(coopfs("check", "--deep", home=self._owner.home))
        require("found nothing" in said.out, f"a check of every block says: {said.out}")


@click.command()
@click.option("--rounds", default=100, show_default=True, metavar="N", type=click.IntRange(1), help="Outages.")
@click.option("--seed", default=1, show_default=True, metavar="N", help="Of who is struck when, and what is lost.")
@RECORD
@DIRECTORY
def outages(rounds: int, seed: int, record: Path | None, parent: Path) -> int:
    """Let the power of real daemons' machines fail under load: nothing that was synced, or told to others, is lost.

    Each home lies on a layer of its own, which loses or tears what was written since it was synced last. Meanwhile the
    disk gets new keys, other sizes, layouts and partners. The moments are those of this machine, so that another run
    with the same seed is not the same. Needs root.
    """
    with Record(record, lambda fields: Outage(**fields)) as kept, progress.show() as watch:
        random = Random(f"{seed} {len(kept.lines)}")
        if len(kept.lines) < rounds:
            with stage(parent) as (world, beside), ExitStack() as cleaning:
                _live(world, beside, random, rounds, kept, watch, cleaning)
    well_gone = [outage for outage in kept.lines if not outage.broken]
    hit = Counter(
        "all" if len(each.struck) > 1 else "the owner" if OWNER in each.struck else "a partner" for each in well_gone
    )
    print(f"{len(kept.lines)} outages: " + ", ".join(f"{count} of {whom}" for whom, count in sorted(hit.items())))
    checks = Counter(name for outage in well_gone for name in outage.checks)
    print(f"{checks.total()} checks: " + ", ".join(f"{count} {name}" for name, count in sorted(checks.items())))
    views, deep = sum(outage.viewed for outage in well_gone), sum(outage.deep for outage in well_gone)
    changes = Counter(outage.change for outage in well_gone if outage.change)
    print(f"{changes.total()} changes: " + ", ".join(f"{count} {what}" for what, count in sorted(changes.items())))
    print(f"{views} restore views showed all that was complete, {deep} checks of every block found nothing")
    slowest = max(outage.ready for outage in kept.lines)
    print(f"the mount was ready after {slowest:.1f} s at the most (at most {READY:.0f})")
    broken = [f"at outage {number}: {each.broken}" for number, each in enumerate(kept.lines, 1) if each.broken]
    print("\n".join(f"broken {words}" for words in broken) if broken else "nothing that was synced is lost")
    return 1 if broken or slowest > READY else 0


def _live(
    world: World,
    beside: Path,
    random: Random,
    rounds: int,
    kept: Record[Outage],
    watch: Watch,
    cleaning: ExitStack,
) -> None:
    """Until so many rounds are recorded, or one is broken."""
    platters = {}
    for name in (OWNER, *PARTNERS):
        platters[name] = Platter(world.home(name), world.work / "platters" / name)
        cleaning.callback(platters[name].end)
    cleaning.callback(_end_daemons, world)
    world.start(*PARTNERS)
    owner = world.owner(OWNER, data=2, redundancy=1, partners=PARTNERS[:-1], size=SHARE)
    world.swap(OWNER, PARTNERS[-1:], SHARE)
    _mount(owner)
    watch("setting up burdens", 0, 0)
    try:
        work = Outages(owner, platters, beside, random)
    except Failed as wrong:
        raise click.ClickException(f"burdens cannot be set up: {wrong}") from None
    while len(kept.lines) < rounds:
        watch("losing power", len(kept.lines), rounds)
        kept.add(work.round())
        if kept.lines[-1].broken:
            break


def _mount(owner: Owner) -> None:
    well(mount_coopfs(owner.home, owner.mount_point, "-o", f"cache={CACHE}"))


def _end_daemons(world: World) -> None:
    """Before the layers below them."""
    for name in (OWNER, *PARTNERS):
        pid = pid_of(world.home(name))
        if pid is not None:
            process.kill(process.identify(name, pid))
