"""Where tests put their files: on a disk, where there is room for partners' stores, and whose times and reads are those
of ext4, with which the filesystem is compared (a tmpfs differs). And examples that are drawn are drawn alike each time,
and may take as long as a busy machine needs.

Where several processes share the tests (contrib/test), those with real daemons, mounts and programs stay in one: they
would wait for each other, and count each other's mounts."""

import os
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", "/var/tmp")
settings.register_profile("coopfs", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("coopfs")

REAL = tuple(f"tests/{name}" for name in ("e2e/", "match/", "demo/", "cli/", "fs/", "test_bench.py"))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> object:
    from xdist.scheduler import LoadScopeScheduling

    class Scheduling(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return "real" if nodeid.startswith(REAL) else nodeid

    return Scheduling(config, log)
