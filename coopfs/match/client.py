"""A matching server, seen by a node. Whatever it answers, slowly or never, ends in time and in a PeerError."""

import socket
import ssl
from base64 import b64decode, b64encode
from collections.abc import Sequence
from typing import Any

import httpx
import trio

from coopfs.core.announcement import Announcement, verify
from coopfs.errors import (
    ClockApart,
    NotAuthentic,
    PartnerAway,
    PeerError,
    ProtocolError,
    Refused,
    Replayed,
    TwinIdentity,
)
from coopfs.limits import MATCH_ANSWER, MATCH_CANDIDATES, MATCH_PAIRS, MATCH_TIMEOUT
from coopfs.types import NodeKey, Renewal

_ERRORS: dict[str, type[PeerError]] = {
    "clock": ClockApart,
    "replayed": Replayed,
    "twin": TwinIdentity,
    "not-authentic": NotAuthentic,
    "malformed": ProtocolError,
}


class MatchClient:
    """address: "https://HOST:PORT", as the owner configured it, whose certificate this machine must
    trust; transport: of the tests, None: the network."""

    def __init__(self, address: str, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self.address = address
        self._transport = transport
        self._trust = ssl.create_default_context() if address.startswith("https:") else False

    async def announce(self, signed: bytes) -> None:
        """Be known there for MATCH_EXPIRY seconds. PartnerAway, ProtocolError, Refused (or a special one of it)."""
        await self._ask("announce", {"announcement": _text(signed)})

    async def search(
        self, signed: bytes, count: int, partners: Sequence[NodeKey], refused: Sequence[NodeKey]
    ) -> Sequence[Announcement]:
        """Candidates, as they have signed it; those that are not authentic are left out. Errors as `announce`."""
        answer = await self._ask("search", _wish(signed, min(count, MATCH_CANDIDATES), partners, refused))
        candidates = answer.get("candidates")
        if not isinstance(candidates, list) or len(candidates) > MATCH_CANDIDATES:
            raise ProtocolError("the matching server's answer has no list of candidates")
        return [found for found in map(_candidate, candidates) if found is not None]

    async def pairs(
        self, signed: bytes, partners: Sequence[NodeKey], refused: Sequence[NodeKey]
    ) -> Sequence[tuple[Announcement, Announcement]]:
        """Members that let others step between them, as they have signed it: those that tell of the same bond. Errors
        as `announce`."""
        answer = await self._ask("pairs", _wish(signed, MATCH_PAIRS, partners, refused))
        pairs = answer.get("pairs")
        if not isinstance(pairs, list) or len(pairs) > MATCH_PAIRS:
            raise ProtocolError("the matching server's answer has no list of pairs")
        return [found for found in map(_pair, pairs) if found is not None]

    async def report(self, made: Renewal) -> None:
        """An agreement that came of a search, seen by its acceptor. Errors as `announce`."""
        question = {"agreement": made.text, "inviter_signature": made.yours, "acceptor_signature": made.mine}
        await self._ask("matches", {key: _text(value) for key, value in question.items()})

    async def _ask(self, path: str, question: dict[str, Any]) -> dict[str, Any]:
        with trio.move_on_after(MATCH_TIMEOUT):
            try:
                return await self._exchange(path, question)
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                raise PartnerAway(f"the matching server cannot be reached: {_line(error)}") from None
        raise PartnerAway(f"the matching server did not answer within {MATCH_TIMEOUT:.0f} s")

    async def _exchange(self, path: str, question: dict[str, Any]) -> dict[str, Any]:
        async with httpx.AsyncClient(transport=self._transport, verify=self._trust, timeout=MATCH_TIMEOUT) as client:
            url = f"{self.address.rstrip('/')}/v0/{path}"
            headers = {"Accept-Encoding": "identity"}  # what is packed could unfold to anything
            async with client.stream("POST", url, json=question, headers=headers) as response:
                data = await _first(response)
        if len(data) > MATCH_ANSWER:
            raise ProtocolError(f"the matching server's answer is longer than {MATCH_ANSWER} bytes")
        if response.status_code == 204:
            return {}
        return _understood(response, data)


async def _first(response: httpx.Response) -> bytes:
    """Its content as it came; of a longer one than MATCH_ANSWER one byte more."""
    data = bytearray()
    with trio.CancelScope() as enough:
        async for chunk in response.aiter_raw():
            data += chunk[: MATCH_ANSWER + 1 - len(data)]
            if len(data) > MATCH_ANSWER:
                enough.cancel()  # rather than to leave the loop, which would leave generators behind
    return bytes(data)


def _understood(response: httpx.Response, data: bytes) -> dict[str, Any]:
    """The object that it answered, or the error as what it was."""
    try:
        answer = httpx.Response(200, content=data).json()
    except (ValueError, RecursionError):
        answer = None
    if not isinstance(answer, dict):
        raise ProtocolError(f"the matching server answered something that is not understood ({response.status_code})")
    if response.is_success:
        return answer
    word, message = str(answer.get("error")), str(answer.get("message"))
    raise _ERRORS.get(word, Refused)(f"the matching server says: {_printable(message)}")


def _candidate(text: object) -> Announcement | None:
    try:
        return verify(b64decode(str(text), validate=True))
    except (ValueError, PeerError):
        return None


def _pair(texts: object) -> tuple[Announcement, Announcement] | None:
    if not isinstance(texts, list) or len(texts) != 2:
        return None
    one, two = map(_candidate, texts)
    if one is None or two is None or one.node == two.node or not set(one.bonds) & set(two.bonds):
        return None
    return one, two


def _wish(signed: bytes, count: int, partners: Sequence[NodeKey], refused: Sequence[NodeKey]) -> dict[str, Any]:
    return {
        "announcement": _text(signed),
        "count": count,
        "partners": [key.hex() for key in partners],
        "refused": [key.hex() for key in refused],
    }


def _text(data: bytes) -> str:
    return b64encode(data).decode()


def _line(error: Exception) -> str:
    """What is behind it, in words: httpx names some causes by nothing, and others by their number."""
    causes = [error]
    while (deeper := causes[-1].__cause__ or causes[-1].__context__) is not None and isinstance(deeper, Exception):
        causes.append(deeper)
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"its certificate is not trusted here: {_printable(cause.verify_message)}"
    if any(isinstance(cause, ssl.SSLError) for cause in causes):
        return "it does not speak HTTPS there"
    if isinstance(causes[-1], socket.gaierror):
        return "no such host, or no name server is reached"
    return next((_printable(str(cause)) for cause in causes if str(cause)), type(error).__name__)


def _printable(text: str) -> str:
    return "".join(letter if letter.isprintable() else " " for letter in text)[:200]
