"""A directory whose machine can lose power: it lies on the recording layer (layer.py), a process of its own."""

import subprocess
import sys
from pathlib import Path

from coopfs.demo import mounts
from coopfs.errors import MountError

PATIENCE = 120.0  # seconds until an unmounted layer has ended
CONTRIB = Path(__file__).parent.parent


class Platter:
    """mountpoint: what programs use, made if need be; backing: a new directory, where it all lies."""

    def __init__(self, mountpoint: Path, backing: Path) -> None:
        """MountError: the layer does not start."""
        self._mountpoint = mountpoint
        self._backing = backing
        mountpoint.mkdir(parents=True, exist_ok=True)
        backing.mkdir(parents=True)
        self._process = self._start()

    def lose_power(self, seed: int) -> None:
        """Afterwards there is what the next start of the machine would find. Nobody may be using it: processes are
        killed before. MountError."""
        self._stop(f"{seed}\n")
        self._process = self._start()

    def end(self) -> None:
        """Unmount. MountError."""
        self._stop("")

    def _start(self) -> "subprocess.Popen[str]":
        command = [sys.executable, "-m", "campaignlib.layer", str(self._backing), str(self._mountpoint)]
        process = subprocess.Popen(
            command, cwd=CONTRIB, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        assert process.stdout is not None
        if process.stdout.readline() != "mounted\n":
            process.communicate()
            raise MountError(f"the layer at {self._mountpoint} does not start")
        return process

    def _stop(self, last_word: str) -> None:
        mounts.unmount(self._mountpoint)
        try:
            self._process.communicate(last_word, PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()
            raise MountError(f"somebody still uses {self._mountpoint}") from None
        if self._process.returncode:
            raise MountError(f"the layer at {self._mountpoint} ended with {self._process.returncode}")
