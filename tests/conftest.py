"""Where tests put their files: on a disk, where there is room for partners' stores, and whose times and reads are those
of ext4, with which the filesystem is compared (a tmpfs differs). And examples that are drawn are drawn alike each time,
and may take as long as a busy machine needs.

Where two processes share the tests (contrib/test), those that wait most, with real daemons and mounts, stay in one; the
other has the rest of what is real first, and then all that computes. Each takes about half the time."""

import os
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", "/var/tmp")
settings.register_profile("coopfs", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("coopfs")

MOUNTS = ("tests/e2e/", "tests/fs/")
COMMANDS = ("tests/match/", "tests/demo/", "tests/cli/", "tests/test_bench.py")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> object:
    from xdist.scheduler import LoadScopeScheduling

    class Scheduling(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            if nodeid.startswith(MOUNTS):
                return "mounts"
            return "commands" if nodeid.startswith(COMMANDS) else nodeid

    return Scheduling(config, log)
