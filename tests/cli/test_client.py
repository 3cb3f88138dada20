"""The control socket from the command's side, against a server that says what it is told."""

import json
import socket
from pathlib import Path

import pytest

from coopfs import limits
from coopfs.cli import client
from coopfs.errors import CoopfsError, DaemonError, HomeError
from tests.cli.fake_daemon import answering, error, progress, result


def test_a_call_sends_its_arguments_and_returns_the_result(tmp_path: Path) -> None:
    with answering(tmp_path, [result(a=1)]) as requests:
        assert client.call(tmp_path, "sync", {"path": None, "complete": True}) == {"a": 1}
    assert requests == [{"call": "sync", "args": {"path": None, "complete": True}}]


def test_an_empty_result_is_a_result(tmp_path: Path) -> None:
    with answering(tmp_path, [b'{"result": null}\n']):
        assert client.call(tmp_path, "umount") == {}


def test_progress_comes_before_the_result(tmp_path: Path) -> None:
    seen: list[tuple[str, int, int]] = []
    with answering(tmp_path, [progress("send", 1, 2), progress("send", 2, 2), result()]):
        client.call(tmp_path, "sync", watch=lambda step, done, total: seen.append((step, done, total)))
    assert seen == [("send", 1, 2), ("send", 2, 2)]


def test_an_error_of_the_daemon_keeps_its_line_and_exit_code(tmp_path: Path) -> None:
    with answering(tmp_path, [error("the mountpoint is busy", 7)]), pytest.raises(CoopfsError) as caught:
        client.call(tmp_path, "mount")
    assert (str(caught.value), caught.value.exit_code) == ("the mountpoint is busy", 7)


@pytest.mark.parametrize(
    "line",
    [
        b"no json\n",
        b"[]\n",
        b"1\n",
        b"{}\n",
        b'{"progress": 3}\n',
        b'{"error": "x"}\n',
        b'{"result": 7}\n',
        b'{"result": [1]}\n',
        b"\xff\xfe\n",
    ],
)
def test_an_answer_that_is_not_understood_is_one_clear_error(tmp_path: Path, line: bytes) -> None:
    with answering(tmp_path, [line]), pytest.raises(DaemonError, match="not understood"):
        client.call(tmp_path, "status")


@pytest.mark.parametrize(("more", "who"), [({"version": "0.0.7"}, "coopfs 0.0.7"), ({}, "coopfs before 0.1.0")])
def test_what_an_older_daemon_does_not_tell_is_one_clear_error(tmp_path: Path, more: dict[str, str], who: str) -> None:
    line = json.dumps({"result": {"disk": {"columns": [{"partner": "bob"}]}}, **more}).encode() + b"\n"
    with answering(tmp_path, [line]):
        answer = client.call(tmp_path, "status")
    assert answer["disk"]["columns"][0]["partner"] == "bob"
    assert answer.get("matching") is None
    for at in (lambda: answer["matching"], lambda: answer["disk"]["columns"][0]["state"]):
        with pytest.raises(DaemonError, match=rf"which the daemon, of {who}, does not tell: restart the daemon"):
            at()


def test_an_endless_line_is_not_read_to_its_end(tmp_path: Path) -> None:
    with (
        answering(tmp_path, [b'{"result": "' + b"x" * limits.CONTROL_LINE]),
        pytest.raises(DaemonError, match="not understood"),
    ):
        client.call(tmp_path, "status")


def test_a_daemon_that_dies_is_reported(tmp_path: Path) -> None:
    with answering(tmp_path, [progress("send", 1, 2)]), pytest.raises(DaemonError, match="ended before it answered"):
        client.call(tmp_path, "sync")


def test_no_daemon_and_no_home_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(DaemonError, match="no daemon runs"):
        client.call(tmp_path, "status")
    with pytest.raises(HomeError, match="is not a home"):
        client.call(tmp_path / "nowhere", "status")


def test_a_socket_left_by_a_killed_daemon_is_no_daemon(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / client.SOCKET_NAME))
    assert not client.answers(tmp_path)
    with pytest.raises(DaemonError, match="no daemon runs"):
        client.call(tmp_path, "status")


def test_a_home_may_lie_deeper_than_a_socket_address_is_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deep = tmp_path / ("d" * 100) / ("e" * 100)
    deep.mkdir(parents=True)
    monkeypatch.chdir(deep)
    with answering(Path(), [result(a=1)]):
        assert client.call(deep, "status") == {"a": 1}


def test_a_silent_daemon_is_given_up_after_the_timeout(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(tmp_path / client.SOCKET_NAME))
        silent.listen()
        with pytest.raises(DaemonError, match="did not answer within"):
            client.call(tmp_path, "status", timeout=0.01)
