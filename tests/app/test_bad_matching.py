"""Servers and members that lie, copies, and clocks that are wrong: each is one line, and nothing is lost."""

import json
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
import trio

from coopfs.core.announcement import sign
from coopfs.core.invitation import Invitation
from coopfs.errors import PeerError
from coopfs.levels import storage_size
from coopfs.limits import MATCH_EXPIRY
from coopfs.match.client import MatchClient
from coopfs.match.serve import open_engine
from coopfs.types import NodeKey, Welcome
from tests.app.village import TERMS, Village, Villager, village
from tests.match.members import START, Clock, Server, text

SIZE = storage_size(TERMS.storage)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """An honest one."""
    engine = open_engine(str(tmp_path / "match.sqlite"))
    yield Server(engine, together=True)
    engine.close()


@pytest.fixture
async def place(tmp_path: Path, server: Server, nursery: trio.Nursery) -> AsyncIterator[Village]:
    """A village with that server."""
    with village(tmp_path, nursery, [MatchClient("http://match.test", server.transport("20.9.9.9"))]) as made:
        yield made


def liar(name: str, answer: Callable[[httpx.Request], httpx.Response]) -> MatchClient:
    return MatchClient(f"http://{name}", httpx.MockTransport(answer))


def answering(status: int, body: str) -> Callable[[httpx.Request], httpx.Response]:
    """Not read yet, as what comes over a network."""
    return lambda request: httpx.Response(status, stream=httpx.ByteStream(body.encode()))


def proposing(name: str, *signed: bytes) -> MatchClient:
    """A server that answers with these, whatever it is asked."""
    return liar(name, answering(200, json.dumps({"candidates": [text(each) for each in signed]})))


def broken(request: httpx.Request) -> httpx.Response:
    raise httpx.ReadError("it\nbroke")


def hosted(villager: Villager, tmp_path: Path) -> int:
    """What it has reserved or agreed."""
    return len(list((tmp_path / villager.name / "hosted").iterdir()))


async def test_servers_that_lie_hide_nobody_whom_an_honest_one_knows(place: Village) -> None:
    one, two, three = place.settle(3)
    old = replace(three.membership.announcement(), addresses=("20.77.0.1:1",))
    place.clock.now += 60
    for villager in place.villagers:
        await villager.membership.announce()
    altered = two.membership.signed().replace(b"node-2", b"node-9")
    forged = sign((9).to_bytes(32, "big"), two.membership.announcement())
    replayed = sign((3).to_bytes(32, "big"), old)
    one.membership.servers = [
        liar("babbles", answering(200, "<html>\x1b[2J")),
        liar("fails", answering(502, "oh\nno")),
        liar("breaks", broken),
        liar("refuses", answering(403, '{"error": "refused", "message": "go\\naway"}')),
        proposing("lies", altered, forged, replayed, one.membership.signed(), b"", b"x" * 5000),
        *one.membership.servers,
    ]
    found, hindrances = await one.find()
    assert (sorted(found), hindrances) == (["node-2", "node-3"], [])
    place.check()
    trouble = one.membership.trouble
    assert set(trouble) == {"http://babbles", "http://fails", "http://breaks", "http://refuses"}
    assert all(line.isprintable() and line.startswith("the matching server") for line in trouble.values()), trouble
    assert await one.find() == ([], []), "there is a partner for each"


async def test_a_lying_server_alone_leads_to_nobody(place: Village, tmp_path: Path) -> None:
    one, two = place.settle(2)
    old = replace(two.membership.announcement(), addresses=("20.77.0.1:1",))
    one.membership.servers = [proposing("lies", sign((2).to_bytes(32, "big"), old), one.membership.signed())]
    found, (hindrance,) = await one.find()
    assert found == []
    assert hindrance.startswith("node-2: ")
    assert hindrance.isprintable()
    assert (one.agreements(), hosted(one, tmp_path), one.openings.free()) == ({}, 0, 3)


class LyingDoor:
    """Welcomes whoever comes. invited: what it holds ready, size and uptime; told: what it says of it, both ways."""

    def __init__(self, liar: Villager, invited: tuple[int, str], told: tuple[int, int]) -> None:
        self._liar = liar
        self._invited = invited
        self._told = told

    async def welcome(self, peer: NodeKey, announcement: bytes) -> Welcome:
        (size, uptime), liar = self._invited, self._liar
        made = await liar.hosting.invite(size, int(START), bytes(16), liar.name, (liar.address,), uptime)
        return Welcome(made.token, *self._told, liar.name, (liar.address,))


@pytest.mark.parametrize(
    ("invited", "told", "words"),
    [
        ((SIZE, "95%"), (SIZE // 2, SIZE), "it welcomes with other sizes than it had announced"),
        ((SIZE, "95%"), (SIZE, 64 * SIZE), "it welcomes with other sizes than it had announced"),
        ((SIZE // 2, "95%"), (SIZE, SIZE), "invitation"),
        ((SIZE, "50%"), (SIZE, SIZE), "invitation"),
    ],
    ids=["gives less", "takes more", "has less", "is up less"],
)
async def test_a_member_that_lies_about_its_level_becomes_nobodys_partner(
    place: Village, tmp_path: Path, invited: tuple[int, str], told: tuple[int, int], words: str
) -> None:
    one, two, three = place.settle(3)
    two.door = LyingDoor(two, invited, told)  # type: ignore[assignment]
    await two.membership.announce()
    await three.membership.announce()
    found, (hindrance,) = await one.find()
    assert found == ["node-3"], "the next one is asked"
    assert hindrance.startswith("node-2: ")
    assert words in hindrance
    assert hindrance.isprintable()
    assert two.agreements() == {}
    assert hosted(one, tmp_path) == 1, "what was reserved for the liar is free again"
    place.check()


async def test_a_member_that_announces_another_level_than_it_has_is_told_no(place: Village, tmp_path: Path) -> None:
    (one,) = place.settle(1)
    (two,) = place.settle(1, storage=3)
    said = replace(two.membership.announcement(), storage=TERMS.storage)
    await one.membership.servers[0].announce(sign((2).to_bytes(32, "big"), said))
    found, (hindrance,) = await one.find()
    assert (found, hosted(one, tmp_path)) == ([], 0)
    assert hindrance == "node-2: it swaps 1.0 MiB, this node 8.0 MiB"


async def test_an_invitation_serves_once_and_as_it_was_written(place: Village, tmp_path: Path) -> None:
    one, two, three = place.settle(3)
    welcome = await one.door.welcome(two.key, two.membership.signed())
    code = Invitation(one.key, welcome.token, SIZE, SIZE, one.name, (one.address,), "95%")
    for wrong in (replace(code, given=2 * SIZE), replace(code, uptime="99%"), replace(code, token=bytes(16))):
        with pytest.raises(PeerError, match=r"^[ -~]+$"):
            await accept(two, wrong)
        assert (two.agreements(), hosted(two, tmp_path)) == ({}, 0)
    await accept(two, code)
    with pytest.raises(PeerError, match="invitation"):
        await accept(three, code)
    assert (three.agreements(), hosted(three, tmp_path)) == ({}, 0)
    place.check()


async def accept(villager: Villager, code: Invitation) -> None:
    await villager.finding._accept(code)


async def test_one_identity_on_two_machines_is_told_and_costs_no_agreement(place: Village, tmp_path: Path) -> None:
    one, two = place.settle(2, wanted=1)
    await two.membership.announce()
    assert await one.find() == (["node-2"], [])
    before = one.agreements()
    servers = one.membership.servers
    copy = Villager(1, tmp_path / "copied", place.network, servers, place.clock, one.terms)
    copy.membership._me = replace(copy.membership._me, incarnation=b"C" * 16)
    place.clock.now += 1
    found, hindrances = await copy.find()
    assert (found, copy.membership.trouble) == ([], {})
    assert hindrances == ["node-2: these two nodes have an agreement already"]
    place.clock.now += 1
    await one.membership.announce()
    (line,) = one.membership.trouble.values()
    assert "another machine announces itself with this node's identity: one of the two is a copy" in line
    assert one.agreements() == before
    copy.close()
    place.check()


@pytest.mark.parametrize(("hours", "words"), [(3, "3 h 0 min ahead of"), (-5, "5 h 0 min behind")])
async def test_a_clock_hours_off_is_told_and_works_when_it_is_set(
    place: Village, tmp_path: Path, hours: int, words: str
) -> None:
    (one,) = place.settle(1)
    await one.membership.announce()
    wrong = Clock(START + hours * 3600)
    two = Villager(2, tmp_path, place.network, one.membership.servers, wrong, one.terms)
    place.villagers.append(two)
    assert await two.find() == ([], [])
    (line,) = two.membership.trouble.values()
    assert line == (
        f"the matching server says: the announcing node's clock is {words} this one: set the clock that is wrong"
    )
    wrong.now = place.clock.now
    assert await two.find() == (["node-1"], [])
    assert two.membership.trouble == {}
    place.check()


async def test_a_clock_that_was_put_back_is_told_until_the_entry_has_ended(
    place: Village, server: Server, tmp_path: Path
) -> None:
    (one,) = place.settle(1)
    ahead = Clock(START + 600)
    parts = place.network, one.membership.servers, ahead, one.terms
    before = Villager(2, tmp_path / "a", *parts)
    await before.membership.announce()
    assert before.membership.trouble == {}
    ahead.now = START
    after = Villager(2, tmp_path / "b", *parts)
    after.membership._me = replace(after.membership._me, incarnation=b"R" * 16)
    await after.membership.announce()
    (line,) = after.membership.trouble.values()
    assert "its clock was put back" in line
    server.clock.now = ahead.now = START + MATCH_EXPIRY
    await after.membership.announce()
    assert after.membership.trouble == {}
    for each in (before, after):
        each.close()
