"""What the status page tells: counted anew at most every few seconds, since anybody may look as often as they like."""

from collections.abc import Callable
from dataclasses import dataclass

import trio

from coopfs.levels import storage_size
from coopfs.limits import MATCH_LISTED, MATCH_OVERVIEW
from coopfs.match.register import Register
from coopfs.sizes import format_size


@dataclass(frozen=True, slots=True)
class Level:
    """size: bytes that partners swap; uptime: in words; members; lacking: of them those that want partners; lacked,
    had: partners, of all of them."""

    size: int
    uptime: str
    members: int
    lacking: int
    lacked: int
    had: int

    @property
    def name(self) -> str:
        return f"{format_size(self.size)}, {self.uptime}"


@dataclass(frozen=True, slots=True)
class Member:
    """key: the first letters of the node key; site, system: in its own words; age: seconds since it was heard."""

    key: str
    site: str
    system: str
    size: int
    uptime: str
    needs: int
    partners: int
    age: int


@dataclass(frozen=True, slots=True)
class Match:
    """size: bytes each way; one, two: sites in their own words; age: seconds."""

    size: int
    one: str
    two: str
    age: int


@dataclass(frozen=True, slots=True)
class Overview:
    """members, sites: how many; newest: members heard last; matches: newest first; time: seconds since 1970."""

    time: int
    members: int
    sites: int
    levels: tuple[Level, ...]
    newest: tuple[Member, ...]
    matches: tuple[Match, ...]


class Counter:
    """clock: seconds since 1970."""

    def __init__(self, register: Register, clock: Callable[[], float]) -> None:
        self._register = register
        self._clock = clock
        self._counted: Overview | None = None
        self._turn = trio.Lock()

    async def overview(self) -> Overview:
        """Not older than MATCH_OVERVIEW seconds. StateError."""
        async with self._turn:
            now = int(self._clock())
            if self._counted is None or not 0 <= now - self._counted.time < MATCH_OVERVIEW:
                self._counted = await self._count(now)
            return self._counted

    async def _count(self, now: int) -> Overview:
        levels = tuple(
            Level(storage_size(int(storage)), uptime, *map(int, numbers))
            for storage, uptime, *numbers in await self._register.levels(now)
        )
        newest = tuple(
            Member(bytes(node).hex()[:8], place, system, storage_size(storage), uptime, needs, partners, now - heard)
            for node, place, system, storage, uptime, needs, partners, heard in await self._register.newest_members(
                now, MATCH_LISTED
            )
        )
        matches = tuple(
            Match(storage_size(storage), one, two, max(0, now - made))
            for storage, one, two, made in await self._register.matches()
        )
        members = sum(level.members for level in levels)
        return Overview(now, members, await self._register.sites(now), levels, newest, matches)
