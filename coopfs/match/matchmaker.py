"""What the server does with a question, whatever way it came."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import ip_address

from blake3 import blake3

from coopfs.core import agreement
from coopfs.core.announcement import check_time, verify
from coopfs.core.matching import Pair, Spot, choose, choose_pairs, near, spot_of, subnet_of
from coopfs.errors import Refused, UsageError
from coopfs.levels import storage_level
from coopfs.match.rates import Rates
from coopfs.match.register import Heard, Register
from coopfs.types import NodeKey


class TooOften(Refused):
    """wait: seconds until a question is welcome again."""

    def __init__(self, wait: float) -> None:
        super().__init__(f"too many questions from here: ask again in {wait:.0f} s")
        self.wait = wait


@dataclass(frozen=True, slots=True)
class Search:
    """signed: the seeker's announcement; count: how many candidates; partners: node keys of those it has, which are
    not proposed; refused: those it does not want."""

    signed: bytes
    count: int
    partners: tuple[NodeKey, ...]
    refused: tuple[NodeKey, ...]


class Matchmaker:
    """clock: seconds since 1970; lot: random numbers 0..1; together: members at one site or in one subnet are proposed
    to each other, for tests."""

    def __init__(
        self, register: Register, rates: Rates, clock: Callable[[], float], lot: Callable[[], float], *, together: bool
    ) -> None:
        self.register = register
        self.clock = clock
        self._rates = rates
        self._lot = lot
        self._together = together

    async def announce(self, signed: bytes, observed: str) -> None:
        """Remember who announces itself from IP address `observed`. Refused: TooOften, ClockApart, Replayed,
        TwinIdentity, or no room; ProtocolError, NotAuthentic."""
        await self.register.announce(self._heard(signed, observed))

    def _heard(self, signed: bytes, observed: str) -> Heard:
        """As it is to be remembered. Errors as `announce`."""
        self.admit(observed)
        announcement = verify(signed)
        if wait := self._rates.take(announcement.node):
            raise TooOften(wait)
        now = int(self.clock())
        check_time(announcement, now)
        return Heard(announcement, signed, spot_of(announcement, observed), now, self._lot(), self._lot())

    async def search(self, search: Search, observed: str) -> Sequence[bytes]:
        """Announcements of candidates, the best first; the seeker is announced by asking. Errors as `announce`."""
        heard = self._heard(search.signed, observed)
        unwanted = {heard.announcement.node, *search.partners, *search.refused}

        def pick(crowd: Sequence[Spot], partners: Sequence[Spot]) -> Sequence[Spot]:
            candidates = [spot for spot in crowd if spot.node not in unwanted and self._may_meet(spot, heard.spot)]
            return choose(candidates, partners, search.count, self._lot)

        if heard.announcement.needs == 0:
            await self.register.announce(heard)
            return ()
        return await self.register.search(heard, search.partners, pick)

    async def pairs(self, search: Search, observed: str) -> Sequence[tuple[bytes, bytes]]:
        """The same of members that are partners of each other and let others step between them, none of both near the
        seeker, which must lack two at least."""
        heard = self._heard(search.signed, observed)
        unwanted = {heard.announcement.node, *search.partners, *search.refused}

        def suits(pair: Pair) -> bool:
            return all(spot.node not in unwanted and self._may_meet(spot, heard.spot) for spot in pair)

        def pick(crowd: Sequence[Pair], partners: Sequence[Spot]) -> Sequence[Pair]:
            return choose_pairs([pair for pair in crowd if suits(pair)], partners, search.count, self._lot)

        if heard.announcement.needs < 2:
            await self.register.announce(heard)
            return ()
        return await self.register.pairs(heard, search.partners, pick)

    def _may_meet(self, one: Spot, two: Spot) -> bool:
        return self._together or not near(one, two)

    async def note_match(self, text: bytes, signatures: tuple[bytes, bytes], observed: str) -> None:
        """An agreement that came of a search, by the signatures of its inviter and its acceptor. ProtocolError,
        NotAuthentic; Refused: not of two members."""
        self.admit(observed)
        made = agreement.decode(text)
        agreement.verify(made, made.inviter, signatures[0])
        agreement.verify(made, made.acceptor, signatures[1])
        try:
            level = storage_level(made.inviter_gives)
        except UsageError as little:
            raise Refused(str(little)) from None
        digest = blake3(text).digest(length=16)
        await self.register.note_match(digest, level, (made.inviter, made.acceptor), int(self.clock()))

    def admit(self, observed: str) -> None:
        """TooOften: from its subnet have come too many questions."""
        if wait := self._rates.take(subnet_of(ip_address(observed))):
            raise TooOften(wait)
