"""What a household wants, and what its owner answers."""

from dataclasses import dataclass

from coopfs.app.recovery.dialogue import Dialogue
from coopfs.config import CacheSize, Config
from coopfs.levels import Uptime
from coopfs.limits import MIB
from tests.sim.world import Geometry
from tests.village.market import ADDRESS

SWAPS = 4 * MIB  # bytes with each partner: 85 rows of 2 + 2
CACHE = CacheSize(64 * MIB)
SCRUB_DAYS = 30


@dataclass(frozen=True, slots=True)
class Wishes:
    """How a household's disk is to be. spare: partners beside those of the disk; careless: its owner switches the
    machine off for hours, most days."""

    geometry: Geometry
    spare: int
    uptime: Uptime
    careless: bool

    def settings(self, name: str, address: str) -> Config:
        """Of the node of this name, which is reached there. Each lives in a town of its own."""
        return Config(
            name=name,
            advertise=(address,),
            cache=CACHE,
            scrub_days=SCRUB_DAYS,
            site=f"town of {name}",
            uptime=self.uptime,
            match_servers=(ADDRESS,),
            match_size=SWAPS,
            match_partners=self.geometry.quorum.n + self.spare,
        )


def ignore(step: str, done: int, total: int) -> None:
    """Nobody watches."""


def dialogue() -> Dialogue:
    """Somebody who takes what there is."""
    return Dialogue(True, 0, lambda question: True, lambda line: None, ignore)
