"""The local part of one disk: its directory with database and stage, opened together.

HOME/disks/<disk id>/disk.sqlite   the view of the log (schema)
                     stage/        content of stripes
                     keys          (keyfile)
"""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from coopfs.core.cache import Cache
from coopfs.core.geometry import shard_capacity
from coopfs.core.stripe import Packer
from coopfs.local.database import Database, SqliteError, damage_of
from coopfs.local.metadata import Metadata
from coopfs.local.stage import Stage
from coopfs.types import Layout

DATABASE = "disk.sqlite"
STAGE = "stage"


def create_disk(
    directory: Path, clock: Callable[[], int], uid: int, gid: int, facts: Mapping[str, int | str | bytes]
) -> None:
    """A new, empty disk in an existing directory, durable on return. StateError: there is one already.

    clock: ns since 1970; uid, gid: the owner of its root; facts: at least `k` and `shard_length` (bytes, directory
    included) of the layout that new stripes get.
    """
    (directory / STAGE).mkdir(exist_ok=True)
    database = Database.create(directory / DATABASE)
    metadata = Metadata.create(database, clock, uid, gid)
    for key, value in facts.items():
        database.set_fact(key, value)
    metadata.images.materialise()
    database.commit()
    database.sync_wal()
    database.close()


class LocalDisk:
    """Database, metadata and stage. The cache has no cap until somebody sets one. StateError: lost or damaged."""

    def __init__(self, directory: Path, clock: Callable[[], int]) -> None:
        self.database = Database(directory / DATABASE)
        try:
            self._open(directory, clock)
        except SqliteError as torn:
            raise damage_of(self.database.path, torn) from None

    def _open(self, directory: Path, clock: Callable[[], int]) -> None:
        self.metadata = Metadata(self.database, clock)
        k, shard_length = int(self.database.fact("k")), int(self.database.fact("shard_length"))
        self.cache = Cache()
        packer = partial(Packer, k, shard_length)
        self.stage = Stage(directory / STAGE, self.metadata.stripes, k * shard_length, packer, self.cache)
        self.stage.recover()

    def cut_for(self, layout: Layout) -> None:
        """Content that comes from now on is for stripes of this layout."""
        self.stage.cut_for(*_shape(layout))

    def least_cache_for(self, layout: Layout) -> int:
        """Stage.least_cache if stripes were of this layout."""
        capacity, packer = _shape(layout)
        return self.stage.least_cache_for(capacity, packer())

    def close(self) -> None:
        """What is not committed is lost."""
        self.stage.close()
        self.database.close()


def _shape(layout: Layout) -> tuple[int, Callable[[], Packer]]:
    """Content bytes of a stripe at the most, and what makes an empty one."""
    shard_length = shard_capacity(layout.block_size)
    return layout.k * shard_length, partial(Packer, layout.k, shard_length)
