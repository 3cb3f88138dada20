"""What the owner of a disk changes about it, one thing after another, while its machine fails: a new key, its size, its
layout, who holds a column."""

from collections.abc import Callable, Sequence
from random import Random
from typing import Any

from suitelib.shell import require

from coopfs.limits import MIB
from tests.e2e.commands import coopfs, well
from tests.e2e.world import Owner

LAYOUTS = ((2, 1), (1, 2))  # k, m, on three partners
OFTEN = 0.8  # of all times at which something may be asked for
REFUSED = 2  # exit code: not now, as something else is under way, or has no room


class Changes:
    """share: bytes that each agreement gives, of which the disk takes all, or half. what: was asked for last, "" for
    nothing."""

    def __init__(self, owner: Owner, partners: Sequence[str], share: int, random: Random) -> None:
        self._owner = owner
        self._partners = partners
        self._sizes = (share, share // 2)  # a disk that moves with less room beside it would be full for a while
        self._random = random
        self._newest = 1  # key
        self._asked = {"key": self._key, "size": self._size, "layout": self._layout, "partner": self._partner}
        self._agreed: Callable[[dict[str, Any]], bool] | None = None  # how the status tells that it is not forgotten
        self.what = ""

    def begin(self) -> None:
        """Something, or nothing."""
        self.what = ""
        if self._random.random() < OFTEN:
            self.ask(self._random.choice(list(self._asked)))

    def ask(self, what: str) -> None:
        """For one thing, if it may be now. From its answer on it survives an outage."""
        self._agreed = None
        self.what = what if self._asked[what]() else ""

    def check(self) -> None:
        """Failed: the daemon has agreed to something, and does not know it any more."""
        if self.what and self._agreed is not None:
            disk = self._disk()
            require(self._agreed(disk), f"another {self.what} was agreed to, and is forgotten: {disk}")

    def renew_kit(self) -> None:
        """What a key waits for; and its owner has one that names all partners."""
        new = self._owner.kit.with_suffix(".new")
        well(coopfs("kit", "export", new, home=self._owner.home))
        new.replace(self._owner.kit)

    def _key(self) -> bool:
        said = self._say("rekey", *self._random.choice(((), ("--all",))))
        if said is None:
            return False
        before, self._newest = self._newest, int(said.split()[1])
        require(self._newest > before, f"key {before} was made, and is forgotten: {said}")
        return True

    def _size(self) -> bool:
        return self._say("resize", f"{self._random.choice(self._sizes) // MIB}M") is not None

    def _layout(self) -> bool:
        disk = self._disk()
        shape = next(each for each in LAYOUTS if each != (disk["k"], disk["m"]))
        if self._say("reshape", "--data", str(shape[0]), "--redundancy", str(shape[1])) is None:
            return False
        self._agreed = lambda disk: shape in [(each["k"], each["m"]) for each in (disk, disk["reshaping"]) if each]
        return True

    def _partner(self) -> bool:
        """Whoever has no column gets that of another one."""
        having = list(self._owner.columns())
        idle = [name for name in self._partners if name not in having]
        if not idle or self._say("partner", "replace", self._random.choice(having), new := idle[0]) is None:
            return False
        self._agreed = lambda disk: (
            any(column["partner"] == new for column in disk["columns"])
            or (disk["replacement"] is not None and disk["replacement"]["to"] == new)
        )
        return True

    def _disk(self) -> dict[str, Any]:
        disk: dict[str, Any] = self._owner.world.call(self._owner.name, "status")["disk"]
        return disk

    def _say(self, *command: str) -> str | None:
        """What it says; None: not now."""
        said = coopfs(*command, home=self._owner.home)
        require(said.code in (0, REFUSED), f"coopfs {' '.join(command)}: {said.err}")
        return said.out if said.code == 0 else None
