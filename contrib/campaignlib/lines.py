"""Bad lines between one node and its partners, which live on the other side of them: packets.py carries the packets."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

import click

from campaignlib.packets import enter_new_namespace
from coopfs.cli.detach import COOPFS
from coopfs.cli.node import create_home
from coopfs.config import Config
from tests.e2e.world import World

PROGRAM = Path(__file__).with_name("packets.py")
PORT = 7530
NEAR = "10.77.0.1"
FAR = "10.77.1.{}"


class Lines:
    """From here to the homes `names` of a world, which do not exist yet. This process, and what it starts from now on,
    has no other network. Needs root."""

    def __init__(self, world: World, names: Sequence[str], seed: str) -> None:
        self._world = world
        self._addresses = {name: FAR.format(number) for number, name in enumerate(names, 1)}
        try:
            enter_new_namespace()
        except OSError as error:
            raise click.ClickException(f"network namespaces cannot be made: {error.strerror}") from None
        command = [sys.executable, PROGRAM, seed, NEAR, *self._addresses.values()]
        self._ways_in: Sequence[str] = ()  # descriptors of the program, one for each name
        self._program = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __enter__(self) -> "Lines":
        word, _, numbers = self._heard().partition(" ")
        if word != "ready":
            self._program.communicate()
            raise click.ClickException("packets cannot be carried between network namespaces here")
        self._ways_in = numbers.split()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._program.communicate()

    def start_partners(self) -> None:
        """New homes, and their daemons, each at the other end of its line."""
        for (name, address), number in zip(self._addresses.items(), self._ways_in, strict=True):
            home = create_node(self._world, name, address)
            across = ("nsenter", f"--net=/proc/{self._program.pid}/fd/{number}")
            self._world.launch(name, *across, *COOPFS, "--home", home, "serve")

    def change(self, names: Sequence[str], loss: float = 0.0, rate: float = 0.0) -> None:
        """So large a share of packets is lost from now on, and so many bytes per second go (0: any number)."""
        assert self._program.stdin is not None
        for name in names:
            self._program.stdin.write(f"{self._addresses[name]} {loss} {rate}\n")
            self._program.stdin.flush()
            assert self._heard() == "done", "packets.py has ended"

    def _heard(self) -> str:
        assert self._program.stdout is not None
        return self._program.stdout.readline().strip()


def create_node(world: World, name: str, address: str) -> Path:
    """A new home, reached at that address."""
    where = f"{address}:{PORT}"
    create_home(world.home(name), Config(name=name, listen=where, advertise=(where,)))
    return world.home(name)
