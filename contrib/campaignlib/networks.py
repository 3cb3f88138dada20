"""Bad networks between real daemons: `contrib/campaign networks`.

1. six real daemons hold the 3+3 disk of a seventh; between it and each of them is a line of its own;
2. each round, files are changed on the mount, synced and unsynced, and some lines go bad: a kilobyte per second, half
   of all packets lost, or nothing gets through for two weeks, in which the daemon is killed and started again;
3. as long as enough partners are left all goes on and becomes held, and a restore view shows it; otherwise writers
   wait when no more may wait here, and deleting works all the same. What must get over lines that lose packets may take
   TCP for ever: they are good again after a while;
4. status tells what is the matter, and blames nobody who is not to blame;
5. the lines are good again: everything becomes complete by itself, and a restore view shows all of it.

A campaign that was stopped goes on where its record ends, with a new disk and other moments.
"""

import contextlib
import math
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

import click
from suitelib.shell import Failed, require
from suitelib.source import digest

from campaignlib.filler import Filler
from campaignlib.history import History
from campaignlib.lines import NEAR, Lines, create_node
from campaignlib.record import RECORD, Record
from campaignlib.stage import DIRECTORY, stage
from campaignlib.wrong import BREAKS, in_words
from coopfs.cli import progress
from coopfs.cli.client import Watch
from coopfs.demo import mounts
from coopfs.limits import MIB
from tests.e2e.commands import coopfs, mount_coopfs, tool, well
from tests.e2e.load import Writer
from tests.e2e.waiting import until
from tests.e2e.world import Owner, World

PARTNERS = ("p1", "p2", "p3", "p4", "p5", "p6")
SPARE = 2  # partners whose absence keeps nothing from becoming held: f of 3+3
CACHE = 16 * MIB  # bytes of content here, three quarters of which may wait
FILE = 2 * MIB  # bytes of each file that fills it
WORK = 3.0  # seconds at most before lines go bad
LOAD = 0.1  # of the time for which lines stay bad there is load at the most; what it wrote becomes held in the rest
AWAY = 15 * 86_400  # seconds: more than the grace period
PATIENCE = 300.0  # seconds until all is well again: the longest wait between two calls is about as long as the absence


@dataclass(frozen=True, slots=True)
class Trouble:
    """loss: share of packets; rate: bytes per second, 0: any number; away: whether two weeks go by; victims: partners
    behind such lines, at least and at most."""

    loss: float
    rate: float
    away: bool
    victims: tuple[int, int]


TROUBLES = {
    "slow": Trouble(0.0, 1000.0, False, (1, 1)),
    "loss": Trouble(0.5, 0.0, False, (1, len(PARTNERS))),
    "parted": Trouble(1.0, 0.0, True, (1, SPARE)),
    "offline": Trouble(1.0, 0.0, True, (4, len(PARTNERS))),
}


@dataclass(frozen=True, slots=True)
class Round:
    """held: whether what was written meanwhile became so while the lines were bad; healed: seconds until all was
    complete again; broken: "" if all went well."""

    trouble: str
    victims: int
    held: bool
    healed: float
    broken: str


class Networks:
    """One node behind lines that go bad and are good again. offset: a file, by how many seconds its clock is off;
    longest: seconds that lines are slow, or lose packets."""

    def __init__(self, owner: Owner, lines: Lines, offset: Path, random: Random, longest: float) -> None:
        self._owner = owner
        self._lines = lines
        self._offset = offset
        self._random = random
        self._longest = longest
        self._history = History(owner.mount_point, random)
        synced = owner.mount_point / "synced"
        synced.mkdir()
        self._writer = Writer(synced, random.randrange(1 << 30))
        self._clock = 0  # seconds

    def round(self, name: str) -> Round:
        """Trouble, and its end."""
        trouble = TROUBLES[name]
        victims = self._random.sample(PARTNERS, self._random.randint(*trouble.victims))
        held, healed = False, 0.0
        try:
            held = self._suffer(trouble, victims)
            healed = self._heal()
            broken = "\n".join(self._owner.world.complaints())
        except BREAKS as wrong:
            broken = in_words(wrong, self._owner)
        return Round(name, len(victims), held, healed, broken)

    def _suffer(self, trouble: Trouble, victims: Sequence[str]) -> bool:
        """Whether what was written became held all the same."""
        self._history.begin()
        self._writer.start()
        time.sleep(self._random.uniform(0.0, WORK))  # the moment: nothing waits for it
        self._lines.change(victims, trouble.loss, trouble.rate)
        with self._mended(victims, math.inf if trouble.away else self._longest) as mending:
            if trouble.away:
                self._lose_weeks(victims)
            else:
                time.sleep(self._random.uniform(0.0, LOAD * self._longest))
            self._rest()
            (self._go_on if len(victims) <= SPARE else self._stand_still)(trouble, victims)
            return len(victims) <= SPARE and mending.is_alive()

    @contextlib.contextmanager
    def _mended(self, victims: Sequence[str], patience: float) -> Iterator[threading.Timer]:
        """The lines are good again afterwards, and after so many seconds in any case."""
        mending = threading.Timer(min(patience, threading.TIMEOUT_MAX), self._lines.change, (victims,))
        mending.start()
        try:
            yield mending
        finally:
            mending.cancel()
            mending.join()
            self._lines.change(victims)

    def _lose_weeks(self, victims: Sequence[str]) -> None:
        """Two of them go by, in which the machine is started anew."""
        self._owner.kill()
        self._mount_again()
        self._until_states([name for name in PARTNERS if name not in victims], {"caught up"})
        self._until_states(victims, {"unreachable"})
        self._clock += AWAY
        self._offset.write_text(str(self._clock))

    def _mount_again(self) -> None:
        self._owner.world.launch_with_clock(self._owner.name, self._offset)
        well(mount_coopfs(self._owner.home, self._owner.mount_point, "-o", f"cache={CACHE}"))

    def _rest(self) -> None:
        """Nobody works, and nothing is lost that was synced."""
        self._history.end()
        self._writer.stop()
        self._writer.check(self._owner.mount_point / "synced")
        self._writer = self._writer.continued()

    def _go_on(self, trouble: Trouble, victims: Sequence[str]) -> None:
        """Enough partners are left: more is written and becomes held, and would come back."""
        (self._owner.mount_point / "meanwhile").write_bytes(self._random.randbytes(FILE))
        blamed = {"away"} if trouble.away else {"unreachable", "catching up", "caught up"}
        self._until_states(victims, blamed)
        self._owner.sync(complete=False)
        said = self._status(victims, blamed)
        for name in victims if trouble.away else ():
            require(f"{name} has been away for long" in said, f"nothing tells that {name} is away:\n{said}")
        require("it seems to be this machine" not in said, f"the machine is not offline:\n{said}")
        self._compare()

    def _stand_still(self, trouble: Trouble, victims: Sequence[str]) -> None:
        """Too few are left for anything to become held: writers wait, who deletes does not, nobody is lost."""
        if not trouble.away:
            self._status(victims, {"unreachable", "catching up", "caught up"})
            return
        self._until_states(victims, {"away"})
        filler = Filler(self._owner.mount_point, self._random.randbytes(FILE))
        filler.start()
        until(lambda: self._owner.status()["cache"]["writers_waiting"] > 0)
        for number in range(filler.files):
            tool("rm", self._owner.mount_point / f"filler {number}")
        said = self._status(victims, {"away"})
        require("it seems to be this machine" in said, f"nothing tells that the machine is offline:\n{said}")
        require("away for long" not in said, f"a partner is blamed:\n{said}")
        self._lines.change(victims)
        filler.stop()

    def _until_states(self, names: Sequence[str], wanted: set[str]) -> None:
        try:
            until(lambda: all(self._owner.columns()[name]["state"] in wanted for name in names), PATIENCE)
        except AssertionError:
            raise Failed(f"{', '.join(names)} did not become {wanted}: {self._owner.columns()}") from None

    def _status(self, victims: Sequence[str], blamed: set[str]) -> str:
        """What it says for people. Only the victims are in another state than caught up, and in those alone; but for a
        moment after both sides have called, as one connection of two ends."""
        self._until_states([name for name in PARTNERS if name not in victims], {"caught up"})
        self._until_states(victims, blamed)
        return well(coopfs("status", home=self._owner.home)).out

    def _heal(self) -> float:
        """Seconds that it took. Then all is told to be well, and is."""
        began = time.monotonic()
        self._until_states(PARTNERS, {"caught up"})
        self._owner.sync(complete=True)
        healed = time.monotonic() - began
        said = self._status((), set())
        matter = [line for line in said.splitlines() if line.startswith("-> ")]
        require(not matter, f"something is still the matter: {'; '.join(matter)}")
        self._until_nothing_waits()
        self._compare()
        self._history = self._history.again(self._owner.mount_point)
        return healed

    def _until_nothing_waits(self) -> None:
        """What the compactor has moved since is in a group of its own."""
        try:
            until(lambda: "nothing written since waits" in self._status((), set()), PATIENCE)
        except AssertionError:
            raise Failed(f"something still waits:\n{self._status((), set())}") from None

    def _compare(self) -> None:
        """What a restore view shows with what is here, byte by byte. The kit is as old as the disk."""
        well(self._owner.restore())
        try:
            same = digest(self._owner.view) == digest(self._owner.mount_point)
        finally:
            mounts.unmount(self._owner.view)
        require(same, "what came back differs")


@click.command()
@click.option("--rounds", default=20, show_default=True, metavar="N", type=click.IntRange(1), help="Troubles.")
@click.option("--seed", default=1, show_default=True, metavar="N", help="Of what is lost, and of the moments.")
@click.option("--trouble", "names", multiple=True, type=click.Choice(list(TROUBLES)), help="Instead of all; repeated.")
@click.option(
    "--longest", default=1000.0, show_default=True, metavar="SECONDS", help="That lines slow or lossy stay so."
)
@RECORD
@DIRECTORY
def networks(rounds: int, seed: int, names: tuple[str, ...], longest: float, record: Path | None, parent: Path) -> int:
    """Let real daemons have bad lines: nothing is lost, nobody is blamed wrongly, and all heals by itself.

    The lines are packets between two network namespaces; what is lost comes from the seed, the moments are those of
    this machine. Needs root.
    """
    with Record(record, lambda fields: Round(**fields)) as kept, progress.show() as watch:
        random = Random(f"{seed} {len(kept.lines)}")
        if len(kept.lines) < rounds:
            with stage(parent) as (world, beside), Lines(world, PARTNERS, f"{seed} {len(kept.lines)}") as lines:
                owner = _set_up(world, lines, beside / "offset")
                work = Networks(owner, lines, beside / "offset", random, longest)
                _live(work, names or tuple(TROUBLES), rounds, kept, watch)
    for name, count in Counter(one.trouble for one in kept.lines).items():
        these = [one for one in kept.lines if one.trouble == name and not one.broken]
        victims, healed = sum(one.victims for one in these), max((one.healed for one in these), default=0.0)
        held = f"{sum(one.held for one in these)} times held meanwhile"
        print(f"{name}: {count} times, {victims} lines in all, {held}, complete again after {healed:.0f} s at most")
    broken = [f"broken at trouble {number}: {one.broken}" for number, one in enumerate(kept.lines, 1) if one.broken]
    print("\n".join(broken) if broken else "nothing was lost, and all was told")
    return 1 if broken else 0


def _set_up(world: World, lines: Lines, offset: Path) -> Owner:
    """All daemons, a mounted disk, and its kit."""
    lines.start_partners()
    offset.write_text("0")

    def start(world: World, name: str) -> None:
        create_node(world, name, NEAR)
        world.launch_with_clock(name, offset)

    owner = world.owner("owner", data=3, redundancy=3, partners=PARTNERS, start=start)
    well(mount_coopfs(owner.home, owner.mount_point, "-o", f"cache={CACHE}"))
    owner.export_kit()
    return owner


def _live(work: Networks, names: Sequence[str], rounds: int, kept: Record[Round], watch: Watch) -> None:
    """Until so many rounds are recorded, or one is broken. The troubles take turns."""
    while len(kept.lines) < rounds:
        watch("spoiling", len(kept.lines), rounds)
        kept.add(work.round(names[len(kept.lines) % len(names)]))
        if kept.lines[-1].broken:
            break
