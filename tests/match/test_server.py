"""The matching server, asked over HTTP in this process, on SQLite and on PostgreSQL."""

import json
from collections import Counter
from typing import Any

import httpx
import jsonschema
import pytest
import trio
from openapi_spec_validator import validate

from coopfs.core.announcement import sign
from coopfs.levels import Share, parse_uptime, storage_size
from coopfs.limits import MATCH_BURST, MATCH_CANDIDATES, MATCH_EXPIRY, MATCH_PAIRS, MATCH_SKEW
from coopfs.match.engines import Engine
from coopfs.match.openapi import DESCRIPTION
from tests.match.members import PROXY, START, Server, announcements, match_of, member, seed_of, signed, text


def refusal(answer: httpx.Response) -> tuple[int, str]:
    body = answer.json()
    assert body["message"].count("\n") == 0
    return answer.status_code, body["error"]


async def test_members_find_each_other(server: Server) -> None:
    for number in range(1, 9):
        answer = await server.announce(number)
        assert answer.json() == {"expires_in": MATCH_EXPIRY, "observed": f"20.0.{number}.1"}
    found = await server.search(9, 16)
    assert sorted(each.name for each in found) == [f"node-{number}" for number in range(1, 9)]
    assert member(9).name in [each.name for each in await server.search(1, 16)], "a search announces too"


async def test_only_who_suits_is_proposed(server: Server) -> None:
    await server.announce(1, storage=17)
    await server.announce(2, uptime=Share(99))
    await server.announce(3, uptime=parse_uptime("mon-fri 08-18 Europe/Paris"))
    await server.announce(4, needs=0)
    await server.announce(5, site="Town  100")
    await server.announce(6, addresses=("20.0.100.77:7530",))
    await server.announce(7)
    await server.announce(8)
    await server.announce(9)
    extra = {"partners": [member(8).node.hex()], "refused": [member(9).node.hex()]}
    assert [each.name for each in await server.search(100, 16, extra)] == ["node-7"]
    assert await server.search(100, 16, needs=0, sequence=START * 1000 + 1) == []
    hours = {"uptime": parse_uptime("mon-fri 08:00-18:00 Europe/Paris")}
    assert [each.name for each in await server.search(101, 16, **hours)] == ["node-3"]


async def test_neighbours_are_proposed_where_the_operator_says_so(engine: Engine) -> None:
    server = Server(engine, together=True)
    await server.announce(1, site="here")
    await server.announce(2, site="here", addresses=("20.0.1.9:7530",))
    assert [each.name for each in await server.search(3, 16, site="here")] != []


async def test_behind_one_router_are_neighbours_whatever_they_say(server: Server) -> None:
    body = {"announcement": text(signed(1))}
    await server.ask("announce", body, "30.1.1.1")
    search = {"announcement": text(signed(2)), "count": 3}
    assert (await server.ask("search", search, "30.1.1.2")).json() == {"candidates": []}
    assert len((await server.ask("search", search, "30.1.2.2")).json()["candidates"]) == 1


async def test_candidates_are_spread_over_sites_and_away_from_partners(server: Server) -> None:
    for number in range(1, 41):
        await server.announce(number, site=f"site {number % 5}", addresses=(f"20.{number}.1.1:1",))
    partner = {"partners": [member(5).node.hex()]}  # at site 0
    found = await server.search(50, 4, partner)
    assert Counter(each.site for each in found) == {f"site {number}": 1 for number in range(1, 5)}


BOND = b"bond 1-2"


async def test_pairs_between_whom_one_may_step(server: Server) -> None:
    """Both tell of the same bond, both are of the seeker's levels, and neither is near it, unwanted, or the seeker."""
    bonds = [b"bond %03d" % number for number in range(9)]
    for number, (one, two) in enumerate([(1, 2), (3, 4), (5, 6), (7, 8), (9, 10)]):
        await server.announce(one, bonds=(bonds[number],), needs=0)
        await server.announce(two, bonds=(bonds[number], bonds[8]), needs=0, site="Rome" if two == 6 else "")
    await server.announce(11, bonds=(bonds[5],), needs=0)
    await server.announce(12, bonds=(bonds[6],), needs=0)
    await server.announce(13, bonds=(bonds[6],), needs=0, uptime=Share(99))
    async with server.client() as client:
        body = {"announcement": text(signed(20, site="rome")), "count": 8, "refused": [member(3).node.hex()]}
        body["partners"] = [member(8).node.hex()]
        found = [announcements(pair) for pair in (await client.post("/v0/pairs", json=body)).json()["pairs"]]
        named = sorted(
            sorted(each.name for each in pair) for pair in found if not all(bonds[8] in each.bonds for each in pair)
        )
        assert named == [["node-1", "node-2"], ["node-10", "node-9"]]
        body["announcement"] = text(signed(20, needs=1, sequence=START * 1000 + 1))
        assert (await client.post("/v0/pairs", json=body)).json() == {"pairs": []}, "it would have one too many"
        await server.announce(2, sequence=START * 1000 + 1, needs=0)
        body["announcement"] = text(signed(20, sequence=START * 1000 + 2))
        pairs = (await client.post("/v0/pairs", json=body)).json()["pairs"]
        assert all(b"bond 000" not in each.bonds for pair in pairs for each in announcements(pair)), "it told otherwise"


async def test_bonds_end_with_their_members(server: Server) -> None:
    await server.announce(1, bonds=(BOND,))
    await server.announce(2, bonds=(BOND,))
    server.clock.now += MATCH_EXPIRY
    await server.register.expire(int(server.clock.now))
    late = {"time": int(server.clock.now), "sequence": int(server.clock.now) * 1000}
    await server.announce(1, bonds=(BOND,), **late)
    answer = await server.ask("pairs", {"announcement": text(signed(3, **late)), "count": 1})
    assert answer.json() == {"pairs": []}


async def test_entries_end(server: Server) -> None:
    await server.announce(1)
    server.clock.now += MATCH_EXPIRY - 1
    later = {"time": int(server.clock.now), "sequence": START * 1000 + 1}
    assert len(await server.search(2, **later)) == 1
    server.clock.now += 1
    later["sequence"] += 1
    assert await server.search(2, **later) == []
    await server.register.expire(int(server.clock.now))
    assert (await server.register.spots([member(1).node])) == []
    assert len(await server.register.spots([member(2).node])) == 1


async def test_forged_and_altered_announcements(server: Server) -> None:
    forged = sign(seed_of(2), member(1))
    assert refusal(await server.ask("announce", {"announcement": text(forged)})) == (403, "not-authentic")
    altered = signed(1).replace(b"town", b"farm")
    assert refusal(await server.ask("announce", {"announcement": text(altered)})) == (403, "not-authentic")
    assert await server.search(3) == []


async def test_replayed_announcements(server: Server) -> None:
    old = {"announcement": text(signed(1))}
    assert (await server.ask("announce", old)).status_code == 200
    assert (await server.announce(1, needs=0, sequence=START * 1000 + 5)).status_code == 200
    assert refusal(await server.ask("announce", old)) == (409, "replayed")
    assert refusal(await server.ask("search", {**old, "count": 1})) == (409, "replayed")
    server.clock.now += MATCH_EXPIRY  # the entry is forgotten, and the replay too old
    assert refusal(await server.ask("announce", old)) == (409, "clock")


async def test_clocks_hours_apart(server: Server) -> None:
    for hours in (-3, 3):
        answer = await server.announce(1, time=START + hours * 3600)
        assert refusal(answer) == (409, "clock")
        assert "3 h" in answer.json()["message"]
    assert (await server.announce(1, time=START + MATCH_SKEW)).status_code == 200


async def test_one_identity_on_two_machines(server: Server) -> None:
    await server.announce(1, incarnation=b"A" * 16)
    assert (await server.announce(1, incarnation=b"B" * 16, sequence=START * 1000 + 1)).status_code == 200
    answer = await server.announce(1, incarnation=b"A" * 16, sequence=START * 1000 + 2)
    assert refusal(answer) == (409, "twin")
    assert (await server.announce(1, incarnation=b"B" * 16, sequence=START * 1000 + 3)).status_code == 200


async def test_a_full_server_keeps_those_it_has(engine: Engine) -> None:
    server = Server(engine, members_max=2)
    await server.register.expire(START)
    assert [(await server.announce(number)).status_code for number in (1, 2, 3)] == [200, 200, 403]
    assert (await server.announce(1, sequence=START * 1000 + 1)).status_code == 200


async def test_two_announcements_at_once_leave_the_newer(server: Server) -> None:
    async with trio.open_nursery() as nursery:
        for number in range(20):
            changes = {"sequence": START * 1000 + number, "needs": number + 1}

            async def announce(changes: dict[str, Any] = changes) -> None:
                assert (await server.announce(1, **changes)).status_code in (200, 409)

            nursery.start_soon(announce)
    (found,) = await server.search(2)
    assert found.needs == 20


@pytest.mark.parametrize(
    ("path", "body"),
    [
        *(("announce", body) for body in (b"", b"{", b"[]", b"{}", b'{"announcement": 1}', b'{"announcement": "%%"}')),
        *(("announce", body) for body in (b'{"announcement": ""}', b"\xff", b"[" * 60_000)),
        *(
            ("search", json.dumps({"announcement": text(signed(1)), **more}).encode())
            for more in (
                {},
                {"count": 0},
                {"count": MATCH_CANDIDATES + 1},
                {"count": True},
                {"count": 1, "partners": "x"},
                {"count": 1, "partners": ["x" * 64]},
                {"count": 1, "refused": ["00" * 32] * 257},
            )
        ),
        ("pairs", json.dumps({"announcement": text(signed(1)), "count": MATCH_PAIRS + 1}).encode()),
        ("matches", b'{"agreement": "", "inviter_signature": "", "acceptor_signature": ""}'),
    ],
)
async def test_malformed_questions(server: Server, path: str, body: bytes) -> None:
    async with server.client() as client:
        assert refusal(await client.post(f"/v0/{path}", content=body)) == (400, "malformed")


async def test_too_many_questions(server: Server) -> None:
    async with server.client() as client:
        answers = [(await client.get("/v0/status")).status_code for _ in range(MATCH_BURST + 5)]
        assert answers == [200] * MATCH_BURST + [429] * 5
        assert int((await client.get("/")).headers["Retry-After"]) >= 1
        assert refusal(await client.post("/v0/nothing")) == (404, "http")
        assert refusal(await client.get("/v0/announce")) == (405, "http")
    async with server.client("20.8.8.8") as other:
        assert (await other.get("/v0/status")).status_code == 200
    server.clock.now += 1
    async with server.client() as client:
        assert (await client.get("/v0/status")).status_code == 200


async def test_one_node_cannot_ask_too_often_from_everywhere(server: Server) -> None:
    body = {"announcement": text(signed(1))}
    answers = [
        (await server.ask("announce", body, f"40.0.{source}.1")).status_code for source in range(MATCH_BURST + 1)
    ]
    assert answers[-2:] == [200, 429]


async def test_a_proxy_is_believed_and_nobody_else(server: Server) -> None:
    body = {"announcement": text(signed(1))}
    forwarded = {"X-Forwarded-For": "1.1.1.1, 50.1.1.1"}
    assert (await server.ask("announce", body, PROXY, **forwarded)).json()["observed"] == "50.1.1.1"
    assert (await server.ask("announce", body, "20.1.1.1", **forwarded)).json()["observed"] == "20.1.1.1"
    assert refusal(await server.ask("announce", body, PROXY)) == (400, "malformed")
    assert (await server.ask("announce", body, "::ffff:20.1.1.1")).json()["observed"] == "20.1.1.1"


async def test_matches_are_noted_once_and_not_invented(server: Server) -> None:
    size = storage_size(16)
    await server.announce(1, site="Oslo")
    await server.announce(2, site="")
    for _ in range(2):
        assert (await server.ask("matches", match_of(1, 2, size))).status_code == 204
    assert refusal(await server.ask("matches", match_of(1, 3, size))) == (403, "refused")
    assert refusal(await server.ask("matches", match_of(1, 2, 1000))) == (403, "refused")
    forged = match_of(1, 2, size, acceptor_signature=bytes(64))
    assert refusal(await server.ask("matches", forged)) == (403, "not-authentic")
    async with server.client() as client:
        status = (await client.get("/v0/status")).json()
    assert status["matches"] == [{"size": size, "one": "Oslo", "two": "", "age": 0}]


def test_the_description_is_openapi() -> None:
    validate(DESCRIPTION)


async def test_answers_are_as_described(server: Server) -> None:
    """Every path that is described is there, and what it answers fits."""

    def fits(path: str, method: str, answer: httpx.Response) -> None:
        described = DESCRIPTION["paths"][path][method]["responses"][str(answer.status_code)]
        if "content" in described:
            kind = answer.headers["content-type"].partition(";")[0]
            schema = described["content"][kind]["schema"]
            jsonschema.validate(answer.text if kind == "text/html" else answer.json(), schema)

    await server.announce(2)
    questions: dict[str, Any] = {
        "/v0/announce": {"announcement": text(signed(1))},
        "/v0/search": {"announcement": text(signed(1)), "count": 5},
        "/v0/pairs": {"announcement": text(signed(1)), "count": 5},
        "/v0/matches": match_of(1, 2, storage_size(16)),
    }
    await server.announce(3, bonds=(BOND,))
    await server.announce(4, bonds=(BOND,))
    async with server.client() as client:
        for path, methods in DESCRIPTION["paths"].items():
            for method in methods:
                answer = await client.request(method, path, json=questions.get(path))
                assert answer.is_success, answer.text
                fits(path, method, answer)
        fits("/v0/announce", "post", await client.post("/v0/announce", json={}))
        for body in questions.items():
            schema = DESCRIPTION["paths"][body[0]]["post"]["requestBody"]["content"]["application/json"]["schema"]
            jsonschema.validate(body[1], schema)


async def test_the_page_escapes_what_members_say(server: Server) -> None:
    await server.announce(1, site="<script>alert(1)</script>", system="<b>")
    await server.announce(2, site="Oslo & Bergen")
    await server.ask("matches", match_of(1, 2, storage_size(16)))
    async with server.client() as client:
        page = await client.get("/")
    assert "<script" not in page.text
    assert "<b>&" not in page.text
    assert "Oslo &amp; Bergen" in page.text
    assert "default-src 'none'" in page.headers["content-security-policy"]


async def test_counts_by_level(server: Server) -> None:
    await server.announce(1, needs=3, partners=2)
    await server.announce(2, needs=0, partners=6)
    await server.announce(3, storage=10, uptime=Share(99))
    async with server.client() as client:
        status = (await client.get("/v0/status")).json()
    assert (status["members"], status["sites"]) == (3, 3)
    levels = [(level["size"], level["uptime"], level["members"], level["lacking"]) for level in status["levels"]]
    assert levels == [(storage_size(10), "99%", 1, 1), (storage_size(16), "95%", 2, 1)]
    assert (status["levels"][1]["lacked"], status["levels"][1]["had"]) == (3, 8)
    assert {each["key"] for each in status["newest"]} == {member(n).node.hex()[:8] for n in (1, 2, 3)}
