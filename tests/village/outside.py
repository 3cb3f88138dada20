"""What a process finds outside of itself, all from one seed: the time of day, chance, other machines, the market, and
the owner's eyes."""

import contextlib
import random as chance
import secrets
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from random import Random
from unittest.mock import patch

import trio

from coopfs.app import node
from coopfs.app.partners import matchmaking
from tests.village.market import Market
from tests.village.streams import HERE, Streams
from tests.village.tally import Tally

START = 1_800_000_000  # seconds since 1970
NS = 1_000_000_000


class Outside:
    """letters: what owners were told by themselves: when, the machine's address, the title."""

    def __init__(self, random: Random, clock: trio.abc.Clock, directory: Path, tally: Tally) -> None:
        self._clock = clock
        self._looks = 0
        self._chance = Random(random.random())
        self._directory = directory
        self.letters: list[tuple[float, str, str]] = []
        self.streams = Streams(Random(random.random()), tally.carried)
        self.market = Market(directory / "market.sqlite", self.wall, Random(random.random()))

    def wall(self) -> float:
        """Seconds since 1970. It goes on by a microsecond with each look, so that all times differ."""
        self._looks += 1
        return START + self._clock.current_time() + self._looks * 1e-6

    async def _tell(self, command: Sequence[str], title: str, text: str) -> None:
        self.letters.append((self._clock.current_time(), HERE.get(), title))

    @contextlib.contextmanager
    def around(self) -> Iterator[None]:
        """It is what every process finds."""
        draw: Callable[[int], bytes] = self._chance.randbytes
        with (
            patch.object(time, "time", self.wall),
            patch.object(time, "time_ns", lambda: int(self.wall() * NS)),
            patch.object(secrets, "token_bytes", draw),
            patch.object(secrets, "randbelow", self._chance.randrange),
            patch.object(chance, "random", self._chance.random),
            patch.object(tempfile, "tempdir", str(self._directory)),
            patch.object(trio, "open_tcp_stream", self.streams.open),
            patch.object(matchmaking, "MatchClient", self.market.client),
            patch.object(node, "tell_owner", self._tell),
        ):
            yield
