"""A mount for each test that asks for one."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fs.server import Server, is_mounted


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    server = Server(tmp_path)
    server.start()
    yield server
    server.clean_up()
    assert not is_mounted(server.mountpoint)


@pytest.fixture
def mnt(server: Server) -> Path:
    return server.mountpoint
