"""The matching server of the village: the whole service in this process, on SQLite."""

from collections.abc import Callable
from pathlib import Path
from random import Random

import httpx

from coopfs.match.client import MatchClient
from coopfs.match.matchmaker import Matchmaker
from coopfs.match.rates import Rates
from coopfs.match.register import Register
from coopfs.match.serve import open_engine
from coopfs.match.web import Web
from tests.village.streams import HERE

ADDRESS = "http://market.test"
MEMBERS = 1000


class Market:
    """clock: seconds since 1970."""

    def __init__(self, path: Path, clock: Callable[[], float], random: Random) -> None:
        self._engine = open_engine(str(path))
        maker = Matchmaker(Register(self._engine, MEMBERS), Rates(clock), clock, random.random, together=False)
        self._app = Web(maker, frozenset()).application()

    def client(self, address: str) -> MatchClient:
        """That of the machine on which this is called."""
        return MatchClient(address, httpx.ASGITransport(self._app, client=(HERE.get(), 1)))

    def close(self) -> None:
        self._engine.close()
