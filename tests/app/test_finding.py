"""Nodes find partners through matching servers, agree with them, and never twice, whoever begins."""

from collections.abc import AsyncIterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from random import Random

import httpx
import pytest
import trio

from coopfs.core.announcement import sign
from coopfs.core.terms import avoid
from coopfs.errors import ClockApart, NotAuthentic, PeerError, Refused
from coopfs.levels import Share, storage_size
from coopfs.limits import ANNOUNCE_INTERVAL, FIND_AGAIN, FIND_MIN, FIND_REFUSED, OFFER_LIFETIME, OFFERS_A_MINUTE
from coopfs.match.client import MatchClient
from coopfs.match.serve import open_engine
from tests.app.village import Village, Villager, village
from tests.match.members import Server
from tests.sim import schedule


@pytest.fixture
async def place(tmp_path: Path, nursery: trio.Nursery) -> AsyncIterator[Village]:
    """A village with one matching server."""
    engine = open_engine(str(tmp_path / "match.sqlite"))
    server = Server(engine, together=True)  # all ask from one address; whom they take is their own terms' affair
    with village(tmp_path, nursery, [MatchClient("http://match.test", server.transport("20.9.9.9"))]) as made:
        yield made
    engine.close()


async def test_partners_from_nothing(place: Village) -> None:
    one, two, three = place.settle(3, wanted=2)
    assert await one.find() == ([], [])  # nobody else is known yet
    assert await two.find() == (["node-1"], [])
    assert sorted((await three.find())[0]) == ["node-1", "node-2"]
    place.check()
    assert [villager.openings.lacking() for villager in place.villagers] == [0, 0, 0]
    assert await one.find() == ([], [])


async def test_a_match_is_reported(place: Village) -> None:
    one, two = place.settle(2)
    await one.find()
    await two.find()
    (server,) = one.membership.servers
    assert server.address not in two.membership.trouble
    made = two.hosting.renewal(one.key, "", ())
    assert made is not None
    await server.report(made)  # again: the signatures of both are right
    with pytest.raises(PeerError):
        await server.report(replace(made, mine=made.yours))


@pytest.mark.parametrize(("count", "wanted"), [(2, 1), (6, 5), (7, 2)])
async def test_all_at_once(place: Village, count: int, wanted: int) -> None:
    place.settle(count, wanted=wanted)
    for _ in range(4):
        await all_find(place.villagers)
        place.check()
        place.clock.now += FIND_AGAIN
    lacking = [villager.openings.lacking() for villager in place.villagers]
    assert sum(lacking) <= wanted, "all that are left are partners of each other, or there is one"


async def all_find(villagers: list[Villager]) -> None:
    for villager in villagers:
        await villager.membership.announce()
    async with trio.open_nursery() as nursery:
        for villager in villagers:
            nursery.start_soon(villager.find)


async def test_only_on_both_owners_terms(place: Village) -> None:
    (one,) = place.settle(1)
    others = [
        *place.settle(1, storage=1),
        *place.settle(1, uptime=Share(99)),
        *place.settle(1, wanted=0),
        *place.settle(1, avoided=avoid(("Paris", one.key.hex()))),
    ]
    for other in others:
        await other.membership.announce()
    found, hindrances = await one.find()
    assert found == []
    assert len(hindrances) == 1, "who avoids it says so only when asked"
    assert "does not want it" in hindrances[0]
    assert (await one.find())[1] == [], "and is not asked again at once"
    for other in others:  # asked all the same, each refuses by itself
        with pytest.raises(Refused):
            await other.door.welcome(one.key, one.membership.signed())


@pytest.mark.parametrize("site", ["Paris", ""])
async def test_neighbours_refuse_each_other(place: Village, site: str) -> None:
    one, two = place.settle(2, site=site)
    if not site:
        near = replace(two.membership.announcement(), addresses=("20.1.0.200:1",))
        with pytest.raises(Refused, match="one mishap"):
            await one.door.welcome(two.key, sign((2).to_bytes(32, "big"), near))
        return
    await one.membership.announce()
    assert await two.find() == ([], [])
    with pytest.raises(Refused, match="one mishap"):
        await one.door.welcome(two.key, two.membership.signed())


async def test_what_is_offered_at_the_door(place: Village) -> None:
    one, two = place.settle(2)
    with pytest.raises(NotAuthentic, match="another node's"):
        await one.door.welcome(two.key, one.membership.signed())
    with pytest.raises(PeerError):
        await one.door.welcome(two.key, b"nonsense")
    early = two.membership.signed()
    place.clock.now += 7200
    with pytest.raises(ClockApart, match="2 h"):
        await one.door.welcome(two.key, early)
    assert one.openings.free() == 3


async def test_a_welcome_holds_its_space_for_a_while_and_is_repeated(place: Village, tmp_path: Path) -> None:
    one, two, three = place.settle(3, wanted=1)
    welcome = await one.door.welcome(two.key, two.membership.signed())
    assert (welcome.given, welcome.taken) == (storage_size(0), storage_size(0))
    assert await one.door.welcome(two.key, two.membership.signed()) == welcome
    with pytest.raises(Refused, match="all the partners that it wants"):
        await one.door.welcome(three.key, three.membership.signed())
    held = tmp_path / "node-1" / "hosted"
    assert len(list(held.iterdir())) == 1
    place.clock.now += OFFER_LIFETIME + 1
    await one.hosting.expire()
    assert list(held.iterdir()) == []
    assert await one.door.welcome(three.key, three.membership.signed())


async def test_a_stranger_cannot_ask_too_often(place: Village) -> None:
    one, two = place.settle(2)
    for _ in range(OFFERS_A_MINUTE):
        with pytest.raises(PeerError):
            await one.door.welcome(two.key, b"")
    with pytest.raises(Refused, match="too many offers"):
        await one.door.welcome(two.key, two.membership.signed())


async def test_a_candidate_that_is_gone_does_not_hinder_the_next(place: Village) -> None:
    one, two, three = place.settle(3)
    await two.membership.announce()
    await three.membership.announce()
    del place.network.listeners[two.address]
    found, hindrances = await one.find()
    assert found == ["node-3"]
    assert [line.partition(":")[0] for line in hindrances] == ["node-2"]


async def test_who_refused_is_asked_again_soon_and_who_is_away_later(place: Village) -> None:
    """One that is just agreeing with somebody else says no, and may be free a minute later."""
    one, two, three, four = place.settle(4, wanted=1)
    for other in (two, three):
        await other.membership.announce()
    await two.door.welcome(four.key, four.membership.signed())  # which nobody will take up
    del place.network.listeners[three.address]
    found, hindrances = await one.find()
    assert (found, len(hindrances)) == ([], 2)
    place.clock.now += FIND_REFUSED - 1
    assert await one.find() == ([], [])
    place.clock.now += 1
    _, (line,) = await one.find()
    assert line == "node-2: this node has all the partners that it wants"
    place.clock.now += FIND_AGAIN - FIND_REFUSED
    await two.hosting.expire()
    assert (await one.find())[0] == ["node-2"]


async def test_several_servers_are_put_together(place: Village, tmp_path: Path) -> None:
    """The second one knows whom the first does not; the third is not there."""
    engine = open_engine(str(tmp_path / "second.sqlite"))
    second = MatchClient("http://second.test", Server(engine, together=True).transport("20.9.9.9"))
    one, two, three = place.settle(3)
    await one.membership.announce()
    two.membership.servers = [second]
    await two.membership.announce()
    absent = MatchClient("http://127.0.0.1:1")
    three.membership.servers = [*one.membership.servers, second, absent]
    assert sorted((await three.find())[0]) == ["node-1", "node-2"]
    assert list(three.membership.trouble) == [absent.address]
    engine.close()


def test_a_server_that_did_not_listen_is_told_again_soon(tmp_path: Path) -> None:
    """Even by a node that lacks nobody: others look for it. In between it says no more than every ten minutes."""
    answers, told = [204, 429, 429, 204, 204], []

    def answer(request: httpx.Request) -> httpx.Response:
        told.append(trio.current_time())
        body = b'{"error": "too-often", "message": "too many questions"}'
        return httpx.Response(answers[len(told) - 1], stream=httpx.ByteStream(body))

    async def main() -> None:
        server = MatchClient("http://match.test", httpx.MockTransport(answer))
        async with trio.open_nursery() as nursery:
            with village(tmp_path, nursery, [server]) as made:
                (one,) = made.settle(1, wanted=0)
                nursery.start_soon(one.finding.run)
                while len(told) < len(answers):
                    await trio.sleep(1)
                nursery.cancel_scope.cancel()

    schedule.run(Random(1), main)
    pauses = [later - before for before, later in pairwise(told)]
    longest = [ANNOUNCE_INTERVAL, 2 * FIND_MIN, 4 * FIND_MIN, ANNOUNCE_INTERVAL]
    assert all(0.9 * most <= pause <= most for pause, most in zip(pauses, longest, strict=True)), pauses
