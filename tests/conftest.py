"""Where tests put their files: on a disk, where there is room for partners' stores, and whose times and reads are those
of ext4, with which the filesystem is compared (a tmpfs differs)."""

import os

os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", "/var/tmp")
