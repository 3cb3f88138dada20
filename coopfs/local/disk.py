"""The local part of one disk: its directory with database and stage, opened together.

HOME/disks/<disk id>/disk.sqlite   the view of the log (schema)
                     stage/        content of stripes
                     keys          (keyfile)
"""

from collections.abc import Callable, Mapping
from pathlib import Path

from coopfs.core.cache import Cache
from coopfs.core.stripe import Packer
from coopfs.local.database import Database, SqliteError, damage_of
from coopfs.local.metadata import Metadata
from coopfs.local.stage import Stage

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
        self.stage = Stage(
            directory / STAGE, self.metadata.stripes, k * shard_length, lambda: Packer(k, shard_length), self.cache
        )
        self.stage.recover()

    def close(self) -> None:
        """What is not committed is lost."""
        self.stage.close()
        self.database.close()
