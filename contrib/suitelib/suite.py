"""What a suite is: a program somebody else wrote, and the steps in which it judges a filesystem."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from shutil import which

from suitelib.places import Place
from suitelib.shell import Failed


@dataclass(frozen=True, slots=True)
class Trial:
    """One suite on one place. top: its own directory there; beside: one on the plain disk, for what must survive."""

    place: Place
    top: Path
    beside: Path
    short: bool

    def size(self, full: int, short: int) -> int:
        """How much of something."""
        return short if self.short else full


Act = Callable[[Trial], None]


@dataclass(frozen=True, slots=True)
class Step:
    """Part of a suite. It fails by raising suitelib.shell.Failed or OSError.

    alone: later steps do not need it; timed: both places do the same work in it.
    """

    name: str
    act: Act
    alone: bool = False
    timed: bool = True


@dataclass(frozen=True, slots=True)
class Suite:
    """programs: must be installed; packages: the Debian packages that bring them; light: seconds, and few packages."""

    name: str
    programs: tuple[str, ...]
    packages: tuple[str, ...]
    steps: tuple[Step, ...]
    light: bool = True

    @property
    def missing(self) -> list[str]:
        """Programs that are not installed."""
        return [name for name in self.programs if which(name, path=_search()) is None]


def program(name: str) -> Path:
    """Where it is installed. Failed: nowhere."""
    found = which(name, path=_search())
    if found is None:
        raise Failed(f"{name} is not installed")
    return Path(found)


def _search() -> str:
    """Debian keeps PostgreSQL's programs, and some for root, off the path of a user. The newest version comes first."""
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name), reverse=True)
    return ":".join([*map(str, versions), os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])


def remount(trial: Trial) -> None:
    """A step between others: nothing may be lost by it."""
    trial.place.remount()


REMOUNT = Step("remount", remount, timed=False)
