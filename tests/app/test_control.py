"""The control socket: whatever is said to it, it answers one line, and the daemon goes on."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio

from coopfs.app.control import serve_control
from coopfs.app.node import Node
from coopfs.app.requests import CALLS, check_arguments
from coopfs.config import Config
from coopfs.errors import UsageError
from coopfs.limits import CONTROL_LINE
from coopfs.local import partners
from coopfs.local.home import Home
from coopfs.local.nodedb import NodeDatabase
from coopfs.net.whereabouts import Whereabouts


@asynccontextmanager
async def node(directory: Path) -> AsyncIterator[tuple[Node, Path]]:
    """A node without a disk, and its control socket."""
    home = Home(directory / "home")
    home.create(b"i" * 32)
    database = NodeDatabase(home.node_database)
    async with trio.open_nursery() as nursery:
        whereabouts = Whereabouts(["a.example:1"], [], 1, partial(partners.move, database))
        one = Node(home, Config("alice"), database, nursery, whereabouts)
        await nursery.start(serve_control, home.control_socket, one.calls())
        yield one, home.control_socket
        nursery.cancel_scope.cancel()
    one.hosting.close()
    database.close()


async def ask(socket: Path, line: bytes) -> Any:
    """The last line that comes back."""
    stream = await trio.open_unix_socket(str(socket))
    async with stream:
        await stream.send_all(line)
        await stream.send_eof()
        answer = b""
        while part := await stream.receive_some(CONTROL_LINE):
            answer += part
    return json.loads(answer.splitlines()[-1])


def request(call: object, args: object) -> bytes:
    return json.dumps({"call": call, "args": args}).encode() + b"\n"


GOOD: dict[str, dict[str, Any]] = {
    "partner_invite": {"size": 1, "uptime": "95%"},
    "partner_accept": {"code": "c"},
    "partner_lose": {"partner": "p"},
    "partner_replace": {"partner": "p", "by": "c"},
    "format": {
        "data": 1,
        "redundancy": 1,
        "target": None,
        "block_size": 65536,
        "partners": None,
        "no_redundancy": False,
    },
    "mount": {"mountpoint": "/mnt", "options": []},
    "log": {"path": "/mnt"},
    "sync": {"path": None, "complete": False},
    "partner_end": {"partner": "bob", "yes": False},
    "leave": {"yes": False},
    "partner_add": {"by": "bob", "master_only": True},
    "partner_resize": {"partner": "bob", "size": 1},
    "resize": {"size": None},
    "reshape": {"data": 2, "redundancy": 1, "add": [], "leave_out": []},
    "check": {"deep": False, "repair": False, "anew": False},
    "kit_export": {"read_only": True, "until": None},
    "kit_written": {"key": 2, "date": 1},
    "rekey": {"everything": True},
    "kit_revoke": {"reader": "ab"},
}

GARBAGE = [
    b"\n",
    b"status\n",
    b"\xff\xfe\n",
    b'{"call": "status"}\n',
    b'{"call": "status", "args": null}\n',
    b'{"call": "status", "args": [["a", 1]]}\n',
    b'{"call": 7, "args": {}}\n',
    b'{"call": ["status"], "args": {}}\n',
    b'["status", {}]\n',
    b"[" * 100_000 + b"\n",
    b'{"call": "status", "args": {"n": ' + b"9" * 10_000 + b"}}\n",
    b"",
    request("nonsense", {}),
    request("close", {}),
    request("status", {"verbose": True}),
    request("partner_invite", {}),
    request("partner_invite", {"size": "10G"}),
    request("partner_invite", {"size": True}),
    request("partner_invite", {"size": 1.5}),
    request("partner_invite", {"size": 0}),
    request("partner_invite", {"size": 1 << 80}),
    request("partner_accept", {"code": None}),
    request("partner_accept", {"code": ["COOPFS0"]}),
    request("partner_accept", {"code": ""}),
    request("partner_accept", {"code": "\ud800"}),
    request("partner_accept", {"code": "a\0b"}),
    request("partner_accept", {"code": "x" * 100_000}),
    *(request("format", GOOD["format"] | {key: value}) for key, value in [("data", None), ("data", 10**9)]),
    request("format", GOOD["format"] | {"redundancy": -1}),
    request("format", GOOD["format"] | {"block_size": "4K"}),
    request("format", GOOD["format"] | {"partners": "bob"}),
    request("format", GOOD["format"] | {"partners": [7]}),
    request("format", GOOD["format"] | {"no_redundancy": "no"}),
    request("mount", {"options": []}),
    request("mount", {"mountpoint": "relative", "options": []}),
    request("mount", {"mountpoint": "/mnt", "options": {"ro": True}}),
    request("mount", {"mountpoint": "/mnt", "options": [None]}),
    request("sync", {"path": 3, "complete": False}),
    request("sync", {"path": "/mnt", "complete": 0}),
]


@pytest.mark.parametrize("line", GARBAGE, ids=lambda line: repr(line[:60]))
async def test_garbage_is_refused_in_one_line_and_the_daemon_goes_on(line: bytes, tmp_path: Path) -> None:
    async with node(tmp_path) as (_, socket):
        answer = await ask(socket, line)
        assert answer["exit"] == UsageError.exit_code
        assert "\n" not in answer["error"]
        status = await ask(socket, request("status", {}))
        assert status["result"]["node"]["name"] == "alice"


async def test_a_caller_that_goes_away_harms_nobody(tmp_path: Path) -> None:
    async with node(tmp_path) as (_, socket):
        for said in (b"", b'{"call"', request("status", {})):
            stream = await trio.open_unix_socket(str(socket))
            await stream.send_all(said or b" ")
            await stream.aclose()
        assert "result" in await ask(socket, request("partner_list", {}))


async def test_every_call_of_the_node_has_its_arguments_in_the_table(tmp_path: Path) -> None:
    async with node(tmp_path) as (one, _):
        assert set(one.calls()) == set(CALLS)


VALUES = [None, True, 0, -1, 1, 7.0, 1 << 90, "", "/", "a", [], ["a"], [[]], {}, {"a": 1}]


@pytest.mark.parametrize("name", CALLS)
def test_any_value_is_accepted_as_it_is_or_refused(name: str) -> None:
    """With all other arguments right."""
    accepted: dict[str, list[object]] = {}
    for key in CALLS[name]:
        for value in VALUES:
            try:
                checked = check_arguments(name, GOOD[name] | {key: value})
            except UsageError:
                continue
            accepted.setdefault(key, []).append(value)
            assert checked[key] is value or checked[key] == value
    assert all(len(values) < len(VALUES) / 2 for values in accepted.values())
    assert set(accepted) == set(CALLS[name])
