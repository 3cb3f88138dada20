"""A matching server that lies, talks nonsense, is slow or silent: each ends in time, in an error that says so."""

import gzip
import json
from base64 import b64encode
from collections.abc import Callable
from typing import Any

import httpx
import pytest
import trio
from trio.testing import MockClock

from coopfs.core.announcement import sign
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
from coopfs.match.client import MatchClient
from tests.match.members import Server, member, seed_of, signed, text


def response(status: int, body: bytes, **headers: str) -> httpx.Response:
    """Not read yet, as one that comes over a network."""
    return httpx.Response(status, stream=httpx.ByteStream(body), headers=headers)


def answering(handler: Callable[[httpx.Request], Any]) -> MatchClient:
    return MatchClient("http://match.test", httpx.MockTransport(handler))


async def search(client: MatchClient) -> list[str]:
    return [said.name for said in await client.search(signed(1), 5, (), ())]


@pytest.mark.parametrize(
    ("status", "body"),
    [
        *(
            (200, body)
            for body in (b"", b"hello", b"\xff\xfe", b"[]", b"null", b"{}", b'{"candidates": 1}', b"[" * 9999)
        ),
        *((status, b"<html>It works!</html>") for status in (200, 302, 404, 500, 502)),
        (200, json.dumps({"candidates": [""] * (MATCH_CANDIDATES + 1)}).encode()),
        (200, b" " * (MATCH_ANSWER + 1)),
    ],
)
async def test_nonsense(status: int, body: bytes) -> None:
    with pytest.raises(ProtocolError, match="the matching server"):
        await search(answering(lambda request: response(status, body)))


@pytest.mark.parametrize(
    ("word", "kind"),
    [
        *(("clock", ClockApart), ("replayed", Replayed), ("twin", TwinIdentity), ("not-authentic", NotAuthentic)),
        *(("malformed", ProtocolError), ("refused", Refused), ("too-often", Refused), ("from-the-future", Refused)),
    ],
)
async def test_refusals_come_back_as_what_they_were(word: str, kind: type[PeerError]) -> None:
    body = {"error": word, "message": "so\x1b[31m it is" + "x" * 999}
    with pytest.raises(kind, match="the matching server says: so ") as raised:
        await search(answering(lambda request: response(409, json.dumps(body).encode())))
    assert type(raised.value) is kind
    assert str(raised.value).isprintable()
    assert len(str(raised.value)) < 300


async def test_candidates_that_are_not_authentic_are_left_out() -> None:
    good = signed(2)
    bad = [good[:-1] + b"\x07", sign(seed_of(4), member(3)), b"", good + b"x"]
    candidates = [b64encode(each).decode() for each in [*bad, good]]
    answer = response(200, json.dumps({"candidates": [*candidates, "%%", 5, None]}).encode())
    assert await search(answering(lambda request: answer)) == ["node-2"]


async def test_pairs_that_are_none_are_left_out() -> None:
    """One that is not authentic, one node twice, two without a bond in common; and an answer that is no list."""
    bond = b"bond 1-2"
    good = [text(signed(number, bonds=(bond,))) for number in (2, 3)]
    bad: list[object] = [[good[0], text(signed(3)[:-1] + b"x")], [good[0], good[0]], [good[0], text(signed(4))]]
    bad += [good[:1], [*good, good[0]], "x", None, 5]
    answer = response(200, json.dumps({"pairs": bad[:7]}).encode())
    assert await answering(lambda request: answer).pairs(signed(1), (), ()) == []
    answer = response(200, json.dumps({"pairs": [*bad[7:], good]}).encode())
    ((one, two),) = await answering(lambda request: answer).pairs(signed(1), (), ())
    assert (one.name, two.name) == ("node-2", "node-3")
    for wrong in ({}, {"pairs": 5}, {"pairs": [good] * (MATCH_PAIRS + 1)}):
        answer = response(200, json.dumps(wrong).encode())
        with pytest.raises(ProtocolError, match="no list of pairs"):
            await answering(lambda request: answer).pairs(signed(1), (), ())  # noqa: B023


async def test_silence_and_drops(autojump_clock: MockClock) -> None:
    async def silent(request: httpx.Request) -> httpx.Response:
        await trio.sleep_forever()
        raise AssertionError

    class Drops(httpx.AsyncByteStream):
        async def __aiter__(self) -> Any:
            while True:
                await trio.sleep(MATCH_TIMEOUT / 3)
                yield b" "

    for client in (answering(silent), answering(lambda request: httpx.Response(200, stream=Drops()))):
        started = trio.current_time()
        with pytest.raises(PartnerAway, match="did not answer within"):
            await search(client)
        assert trio.current_time() - started == pytest.approx(MATCH_TIMEOUT)


async def test_nobody_there_and_a_broken_connection() -> None:
    with pytest.raises(PartnerAway, match="cannot be reached"):
        await search(MatchClient("http://127.0.0.1:1"))

    def broken(request: httpx.Request) -> httpx.Response:
        raise httpx.ReadError("it broke")

    with pytest.raises(PartnerAway, match="it broke"):
        await search(answering(broken))


async def test_a_packed_answer_is_not_unfolded() -> None:
    bomb = gzip.compress(b" " * (100 * MATCH_ANSWER))
    with pytest.raises(ProtocolError, match="not understood"):
        await search(answering(lambda request: response(200, bomb, **{"Content-Encoding": "gzip"})))


async def test_a_server_as_it_should_be(server: Server) -> None:
    client = MatchClient("http://match.test/", server.transport("20.0.1.1"))
    await client.announce(signed(1))
    assert await search(client) == []
    body = {"announcement": text(signed(2))}
    assert (await server.ask("announce", body, "20.0.2.1")).status_code == 200
    assert await search(client) == ["node-2"]
    assert await client.search(signed(1), 999, [member(2).node], ()) == []


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("https://127.0.0.1:{port}", "cannot be reached: it does not speak HTTPS there"),
        ("http://nobody.invalid:{port}", "cannot be reached: no such host, or no name server is reached"),
    ],
)
async def test_why_a_server_cannot_be_reached_is_said_in_words(address: str, said: str) -> None:
    async def garble(stream: trio.SocketStream) -> None:
        await stream.send_all(b"hello\r\n" * 100)

    async with trio.open_nursery() as nursery:
        (listener, *_) = await nursery.start(trio.serve_tcp, garble, 0)
        assert isinstance(listener, trio.SocketListener)
        client = MatchClient(address.format(port=listener.socket.getsockname()[1]))
        with pytest.raises(PartnerAway, match=said):
            await client.announce(b"x")
        nursery.cancel_scope.cancel()
