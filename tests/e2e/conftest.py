"""One world for the whole folder: eight partners that run all the time, and whatever each test adds.

Everything here is slow, and needs root: devices, owners, and mounts of small filesystems.
"""

import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import coopfs
from tests.e2e.world import PARTNERS, World

HERE = Path(__file__).parent
sys.path.insert(0, str(Path(coopfs.__file__).parent.parent / "contrib"))  # campaignlib


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session")
def everything() -> Iterator[World]:
    """The world, with its partners up. Nothing of it is left at the end."""
    work = Path(tempfile.mkdtemp(prefix="coopfs-e2e-", dir="/var/tmp"))
    work.rmdir()
    world = World(work)
    try:
        world.start(*PARTNERS)
        yield world
    finally:
        world.end()
        shutil.rmtree(work)
    assert not world.mountpoints()


@pytest.fixture
def world(everything: World) -> Iterator[World]:
    """The same; afterwards its daemons must not have complained, and all partners are up again."""
    yield everything
    complaints = everything.complaints()
    everything.recover()
    assert not complaints, "\n".join(complaints)
