"""The service as an ASGI application: JSON in, JSON out, and one page for people (match/openapi describes it)."""

import json
from base64 import b64decode, b64encode
from contextlib import aclosing, suppress
from dataclasses import asdict
from ipaddress import IPv6Address, ip_address
from typing import Any

import trio
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from coopfs.errors import (
    ClockApart,
    CoopfsError,
    NotAuthentic,
    ProtocolError,
    Refused,
    Replayed,
    StateError,
    TwinIdentity,
)
from coopfs.limits import MATCH_BODY, MATCH_CANDIDATES, MATCH_EXPIRY, MATCH_PAIRS, MATCH_READ_TIMEOUT, MAX_WANTED
from coopfs.match.matchmaker import Matchmaker, Search, TooOften
from coopfs.match.openapi import DESCRIPTION
from coopfs.match.overview import Counter
from coopfs.match.page import render
from coopfs.types import NodeKey

# The first that fits, so the special come before the general. The word is what programs go by.
ERRORS: tuple[tuple[type[CoopfsError], int, str], ...] = (
    (TooOften, 429, "too-often"),
    (ClockApart, 409, "clock"),
    (Replayed, 409, "replayed"),
    (TwinIdentity, 409, "twin"),
    (Refused, 403, "refused"),
    (NotAuthentic, 403, "not-authentic"),
    (ProtocolError, 400, "malformed"),
    (StateError, 503, "unavailable"),
)
_PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class Web:
    """proxies: IP addresses of reverse proxies, whose word is taken for where a question came from."""

    def __init__(self, maker: Matchmaker, proxies: frozenset[str]) -> None:
        self._maker = maker
        self._proxies = proxies
        self._counter = Counter(maker.register, maker.clock)

    def application(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/", self.page, methods=["GET"]),
                Route("/v0/announce", self.announce, methods=["POST"]),
                Route("/v0/search", self.search, methods=["POST"]),
                Route("/v0/pairs", self.pairs, methods=["POST"]),
                Route("/v0/matches", self.matches, methods=["POST"]),
                Route("/v0/status", self.status, methods=["GET"]),
                Route("/v0/openapi.json", self.openapi, methods=["GET"]),
            ],
            exception_handlers={CoopfsError: _refusal, HTTPException: _http_refusal},
        )

    async def announce(self, request: Request) -> Response:
        observed = self._observed(request)
        body = await _body(request)
        await self._maker.announce(_octets(body, "announcement"), observed)
        return JSONResponse({"expires_in": MATCH_EXPIRY, "observed": observed})

    async def search(self, request: Request) -> Response:
        search = _search(await _body(request), MATCH_CANDIDATES)
        found = await self._maker.search(search, self._observed(request))
        return JSONResponse({"candidates": list(map(_text, found))})

    async def pairs(self, request: Request) -> Response:
        search = _search(await _body(request), MATCH_PAIRS)
        found = await self._maker.pairs(search, self._observed(request))
        return JSONResponse({"pairs": [list(map(_text, pair)) for pair in found]})

    async def matches(self, request: Request) -> Response:
        body = await _body(request)
        signatures = _octets(body, "inviter_signature"), _octets(body, "acceptor_signature")
        await self._maker.note_match(_octets(body, "agreement"), signatures, self._observed(request))
        return Response(status_code=204)

    async def status(self, request: Request) -> Response:
        self._maker.admit(self._observed(request))
        return JSONResponse(asdict(await self._counter.overview()))

    async def openapi(self, request: Request) -> Response:
        return JSONResponse(DESCRIPTION)

    async def page(self, request: Request) -> Response:
        self._maker.admit(self._observed(request))
        return HTMLResponse(render(await self._counter.overview()), headers=_PAGE_HEADERS)

    def _observed(self, request: Request) -> str:
        """The IP address that asks. ProtocolError: the proxy does not tell, which may be only where somebody looks at
        the page on the proxy's own machine: else all members would be at one site."""
        peer = request.client.host if request.client is not None else ""
        if peer in self._proxies and (request.method != "GET" or "x-forwarded-for" in request.headers):
            peer = request.headers.get("x-forwarded-for", "").rsplit(",", 1)[-1].strip()
        with suppress(ValueError):
            address = ip_address(peer)
            mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
            return str(mapped or address)
        raise ProtocolError("it is not known from which IP address this question comes")


async def _body(request: Request) -> dict[str, Any]:
    """ProtocolError: longer than MATCH_BODY, slower than MATCH_READ_TIMEOUT, or not a JSON object."""
    data = bytearray()
    with trio.move_on_after(MATCH_READ_TIMEOUT) as patience:
        try:
            async with aclosing(request.stream()) as chunks:
                async for chunk in chunks:
                    data += chunk
                    if len(data) > MATCH_BODY:
                        raise HTTPException(413, f"a question has at most {MATCH_BODY} bytes")
        except ClientDisconnect:
            raise ProtocolError("the question was cut short") from None
    if patience.cancelled_caught:
        raise HTTPException(408, f"a question must come within {MATCH_READ_TIMEOUT:.0f} s")
    try:
        body = json.loads(data)
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict):
        raise ProtocolError("a question is a JSON object")
    return body


def _search(body: dict[str, Any], most: int) -> Search:
    count = _whole(body, "count", 1, most)
    return Search(_octets(body, "announcement"), count, _keys(body, "partners"), _keys(body, "refused"))


def _text(data: bytes) -> str:
    return b64encode(data).decode()


def _octets(body: dict[str, Any], key: str) -> bytes:
    value = body.get(key)
    if isinstance(value, str):
        with suppress(ValueError):
            return b64decode(value, validate=True)
    raise ProtocolError(f"{key!r} is not base64")


def _whole(body: dict[str, Any], key: str, low: int, high: int) -> int:
    value = body.get(key)
    if type(value) is not int or not low <= value <= high:
        raise ProtocolError(f"{key!r} is not a whole number {low}..{high}")
    return value


def _keys(body: dict[str, Any], key: str) -> tuple[NodeKey, ...]:
    """At most MAX_WANTED node keys in hexadecimal; none if the key is missing."""
    values = body.get(key, [])
    if (
        isinstance(values, list)
        and len(values) <= MAX_WANTED
        and all(isinstance(v, str) and len(v) == 64 for v in values)
    ):
        with suppress(ValueError):
            return tuple(NodeKey(bytes.fromhex(value)) for value in values)
    raise ProtocolError(f"{key!r} is not a list of at most {MAX_WANTED} node keys in hexadecimal")


async def _refusal(request: Request, error: Exception) -> Response:
    status, word = next((status, word) for kind, status, word in ERRORS if isinstance(error, kind))
    headers = {"Retry-After": str(int(error.wait) + 1)} if isinstance(error, TooOften) else None
    return JSONResponse({"error": word, "message": str(error)}, status, headers)


async def _http_refusal(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return JSONResponse({"error": "http", "message": error.detail}, error.status_code, error.headers)
