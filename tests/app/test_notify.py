"""The service manager is told when the daemon answers, and when it ends."""

import socket
from pathlib import Path

import pytest

from coopfs.app.notify import READY, notify


def _listener(address: str) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    listener.bind(address)
    return listener


def test_who_asks_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = str(tmp_path / "notify")
    with _listener(path) as listener:
        monkeypatch.setenv("NOTIFY_SOCKET", path)
        notify(READY)
        assert listener.recv(100) == b"READY=1"


def test_an_abstract_socket_will_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    name = f"coopfs-test-{tmp_path}"
    with _listener("\0" + name) as listener:
        monkeypatch.setenv("NOTIFY_SOCKET", "@" + name)
        notify(READY)
        assert listener.recv(100) == b"READY=1"


def test_nobody_need_listen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    notify(READY)
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "gone"))
    notify(READY)
