"""Where tests put their files: on a disk, where there is room for partners' stores, and whose times and reads are those
of ext4, with which the filesystem is compared (a tmpfs differs). And examples that are drawn are drawn alike each time,
and may take as long as a busy machine needs."""

import os

from hypothesis import HealthCheck, settings

os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", "/var/tmp")
settings.register_profile("coopfs", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("coopfs")
