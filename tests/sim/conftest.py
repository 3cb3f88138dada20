"""What the simulated disks have smaller than real ones."""

from collections.abc import Iterator

import pytest

from coopfs.core import cleaning
from coopfs.tasks import keeper


@pytest.fixture(autouse=True)
def a_short_log() -> Iterator[None]:
    """So short that these small lives retire heads and empty stripes: 16 rows of slack are all they have."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(cleaning, "LOG_SLACK", 3)
        yield


@pytest.fixture(autouse=True)
def a_floor_that_moves() -> Iterator[None]:
    """Lives last for minutes, and some for several half days."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(keeper, "FLOOR_INTERVAL", 60)
        yield
