"""Members of a matching server, each made of a number, and the server in this process."""

import random
from base64 import b64decode, b64encode
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import httpx

from coopfs.core import agreement
from coopfs.core.agreement import Agreement
from coopfs.core.announcement import INCARNATION, Announcement, sign, verify
from coopfs.core.identity import Identity
from coopfs.levels import Share
from coopfs.match.engines import Engine
from coopfs.match.matchmaker import Matchmaker
from coopfs.match.rates import Rates
from coopfs.match.register import Register
from coopfs.match.web import Web

START = 1_800_000_000  # seconds since 1970
PROXY = "127.0.0.9"


def seed_of(number: int) -> bytes:
    return number.to_bytes(32, "big")


def member(number: int, **changes: Any) -> Announcement:
    """At a site and in a subnet of its own, swapping 64 GiB at 95 %, in need of three partners."""
    plain = Announcement(
        node=Identity.from_seed(seed_of(number)).key,
        incarnation=bytes(INCARNATION),
        name=f"node-{number}",
        addresses=(f"20.{number >> 8 & 255}.{number & 255}.1:7530",),
        site=f"town {number}",
        system="linux",
        storage=16,
        uptime=Share(95),
        needs=3,
        partners=0,
        time=START,
        sequence=START * 1000,
    )
    return replace(plain, **changes)


def signed(number: int, **changes: Any) -> bytes:
    return sign(seed_of(number), member(number, **changes))


def text(data: bytes) -> str:
    return b64encode(data).decode()


def match_of(one: int, two: int, size: int, **wrong: bytes) -> dict[str, str]:
    """A report that these two have agreed, parts of it replaced by wrong ones."""
    made = Agreement(member(one).node, member(two).node, size, size, START)
    first, second = (agreement.sign(seed_of(number), made) for number in (one, two))
    parts = {"agreement": made.encode(), "inviter_signature": first, "acceptor_signature": second} | wrong
    return {key: text(value) for key, value in parts.items()}


@dataclass
class Clock:
    now: float = START

    def __call__(self) -> float:
        return self.now


class Server:
    """The whole application on an engine; questions come from where `source` says."""

    def __init__(
        self, engine: Engine, *, members_max: int = 1000, together: bool = False, clock: Clock | None = None
    ) -> None:
        self.clock = clock or Clock()
        self.register = Register(engine, members_max)
        maker = Matchmaker(self.register, Rates(self.clock), self.clock, random.Random(5).random, together=together)
        self._app = Web(maker, frozenset([PROXY])).application()

    def transport(self, source: str) -> httpx.AsyncBaseTransport:
        """For a client at this IP address."""
        return httpx.ASGITransport(self._app, client=(source, 1))

    def client(self, source: str = "20.9.9.9") -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=self.transport(source), base_url="http://match.test")

    async def ask(self, path: str, body: object, source: str = "20.9.9.9", **headers: str) -> httpx.Response:
        async with self.client(source) as client:
            return await client.post(f"/v0/{path}", json=body, headers=headers)

    async def announce(self, number: int, **changes: Any) -> httpx.Response:
        said = member(number, **changes)
        source = said.addresses[0].rsplit(":", 1)[0]
        return await self.ask("announce", {"announcement": text(sign(seed_of(number), said))}, source)

    async def search(
        self, number: int, count: int = 3, extra: dict[str, Any] | None = None, **changes: Any
    ) -> list[Announcement]:
        """Whom it proposes, verified."""
        said = member(number, **changes)
        body = {"announcement": text(sign(seed_of(number), said)), "count": count, **(extra or {})}
        answer = await self.ask("search", body, said.addresses[0].rsplit(":", 1)[0])
        assert answer.status_code == 200, answer.text
        return announcements(answer.json()["candidates"])


def announcements(candidates: Sequence[str]) -> list[Announcement]:
    return [verify(b64decode(each)) for each in candidates]
