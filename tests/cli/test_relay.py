"""The command `coopfs relay serve`: what it refuses, and how it begins and ends."""

import signal
import socket
import subprocess

import pytest

from coopfs.cli.detach import COOPFS
from coopfs.cli.main import cli
from coopfs.cli.run import run

Captured = pytest.CaptureFixture[str]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--listen", "here"], "'here' is not an address"),
        (["--listen", "198.51.100.77:0"], "cannot listen on 198.51.100.77:0"),
        (["--rate", "fast"], "'fast' is not a size"),
        (["--node-daily", "-1"], "is not a size"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(options: list[str], words: str, capsys: Captured) -> None:
    assert run(cli, "coopfs", ["relay", "serve", *options]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert words in line


def test_a_port_in_use_is_said(capsys: Captured) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert run(cli, "coopfs", ["relay", "serve", "--listen", f"127.0.0.1:{port}"]) == 2
    assert "the port is in use" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_when_it_is_told_to(end: signal.Signals) -> None:
    command = [*COOPFS, "relay", "serve", "--listen", "127.0.0.1:0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as relay:
        assert relay.stderr is not None
        assert "the relay listens at 127.0.0.1:" in relay.stderr.readline()
        relay.send_signal(end)
        assert relay.stderr.read() == ""
    assert relay.returncode == 0
