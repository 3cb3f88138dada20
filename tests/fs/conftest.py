"""A mount for each test that asks for one."""

import os
import shutil
import tempfile
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


@pytest.fixture
def open_place() -> Iterator[Path]:
    """A directory that everybody can enter: not below pytest's own, which each new session closes to others."""
    place = Path(tempfile.mkdtemp(prefix="coopfs-test-", dir=os.environ["PYTEST_DEBUG_TEMPROOT"]))
    place.chmod(0o755)
    yield place
    shutil.rmtree(place)


@pytest.fixture
def open_server(open_place: Path) -> Iterator[Server]:
    """A mount there."""
    server = Server(open_place)
    server.start()
    server.mountpoint.chmod(0o755)
    yield server
    server.clean_up()
