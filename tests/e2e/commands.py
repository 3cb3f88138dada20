"""The commands `coopfs` and `mount.coopfs`, run as a user runs them."""

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from coopfs.cli.detach import COOPFS

TIMEOUT = 120.0  # seconds after which a command hangs
MOUNT_HELPER = Path(sys.executable).with_name("mount.coopfs")


@dataclass(frozen=True, slots=True)
class Said:
    """What a command left: exit code, standard output, standard error."""

    code: int
    out: str
    err: str

    @property
    def line(self) -> str:
        """The one line of an error, without the program's name. Progress lines of a step that went well may stand
        before it; a traceback fails here."""
        lines = [line for line in self.err.splitlines() if line.startswith(("coopfs: ", "mount.coopfs: "))]
        assert len(lines) == 1, self
        assert self.err.splitlines()[-1] == lines[0], self
        assert "Traceback" not in self.err, self
        return lines[0].partition(": ")[2]


def coopfs(*arguments: str | Path, home: Path | None = None) -> Said:
    """Run `coopfs`, away from a terminal."""
    where = [] if home is None else ["--home", str(home)]
    return _run([*COOPFS, *where, *map(str, arguments)])


def mount_coopfs(*arguments: str | Path) -> Said:
    """Run `mount.coopfs`."""
    return _run([str(MOUNT_HELPER), *map(str, arguments)])


def well(said: Said) -> Said:
    """The same, of a command that succeeded."""
    assert said.code == 0, said
    return said


def tool(*command: str | Path, cwd: Path | None = None) -> str:
    """Run any other program; what it printed. It must succeed."""
    done = subprocess.run(list(map(str, command)), cwd=cwd, capture_output=True, timeout=TIMEOUT, check=False)
    assert done.returncode == 0, (command, done.stderr.decode(errors="replace"))
    return done.stdout.decode(errors="replace")


def _run(command: Sequence[str]) -> Said:
    """AssertionError, with what it had said: it hangs."""
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=TIMEOUT, check=False)
    except subprocess.TimeoutExpired as late:
        said = (late.stderr or b"").decode(errors="replace")
        raise AssertionError(f"{' '.join(command)}: hangs after {TIMEOUT:g} seconds; it has said: {said}") from None
    return Said(done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace"))
