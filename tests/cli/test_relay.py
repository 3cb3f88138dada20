"""The command `coopfs relay serve`: what it refuses, and how it begins and ends; and --listen of a restore."""

import signal
import socket
import subprocess
from pathlib import Path

import pytest

from coopfs.cli.detach import COOPFS
from coopfs.cli.main import cli
from coopfs.cli.run import run
from coopfs.core.keys import make_keys
from coopfs.core.kit import Kit, KitDisk, to_text
from coopfs.core.master import Floor

Captured = pytest.CaptureFixture[str]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--listen", "here"], "'here' is not an address"),
        (["--listen", "198.51.100.77:0"], "cannot listen on 198.51.100.77:0"),
        (["--rate", "fast"], "'fast' is not a size"),
        (["--node-daily", "-1"], "is not a size"),
        (["--allow", "/no/list"], "/no/list cannot be read: No such file"),
        (["--allow", "/dev/zero"], "/dev/zero has more than the 16.0 MiB"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(options: list[str], words: str, capsys: Captured) -> None:
    assert run(cli, "coopfs", ["relay", "serve", *options]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert words in line


@pytest.mark.parametrize(("content", "code", "words"), [(b"\xff", 2, "not UTF-8"), (b"\nanna", 3, "list, line 2: ")])
def test_a_list_that_is_wrong_is_one_line(
    content: bytes, code: int, words: str, tmp_path: Path, capsys: Captured
) -> None:
    (tmp_path / "list").write_bytes(content)
    assert run(cli, "coopfs", ["relay", "serve", "--allow", str(tmp_path / "list")]) == code
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


@pytest.mark.parametrize("command", ["copy", "mount"])
def test_a_restore_cannot_listen_where_there_is_no_address(command: str, tmp_path: Path, capsys: Captured) -> None:
    disk = KitDisk(make_keys(b"r" * 32, b"s" * 32), Floor(1 << 48, 86400))
    kit = Kit("alice", b"i" * 32, (disk,), (), 90000)
    (tmp_path / "kit").write_text(to_text(kit, "2026-01-02"))
    options = ["--listen", "here", *(["--foreground"] if command == "mount" else [])]
    assert run(cli, "coopfs", ["restore", command, *options, str(tmp_path / "kit"), str(tmp_path)]) == 2
    assert "'here' is not an address" in capsys.readouterr().err
