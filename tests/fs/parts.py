"""A disk without partners, for tests: everything is admitted, all content is on this machine."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from coopfs.errors import ContentUnavailable
from coopfs.fs.disk import Disk
from coopfs.local.disk import LocalDisk, create_disk

Clock = Callable[[], int]
SMALL = {"epoch": 1, "k": 3, "shard_length": 4096}  # stripes of 12 KiB: writes cross them all the time
START = 1_700_000_000 * 10**9  # ns


class AllowAll:
    """Space without end."""

    def admit(self, data_bytes: int, images: int) -> None:
        assert data_bytes >= 0
        assert images >= 0

    def admit_free(self) -> None:
        pass

    def figures(self) -> tuple[int, int]:
        return 10 << 30, 8 << 30


class NoPartners:
    async def read(self, stripe: int, at: int, length: int) -> bytes:
        raise ContentUnavailable(f"stripe {stripe} is not here")


def ticking(start: int = START, step: int = 1_000_000) -> Clock:
    """A clock that goes on by a millisecond whenever somebody looks."""
    return itertools.count(start, step).__next__


def state_of(stripes: Sequence[int], group: int) -> str:
    return f"dirty {len(stripes)} {group}"


def new_disk(directory: Path, facts: Mapping[str, int | str | bytes] = SMALL, clock: Clock | None = None) -> Disk:
    create_disk(directory, clock or ticking(), 0, 0, facts)
    return open_disk(directory, clock)


def open_disk(directory: Path, clock: Clock | None = None) -> Disk:
    return Disk(LocalDisk(directory, clock or ticking()), AllowAll(), NoPartners(), state_of)


def drop_slowly(disk: Disk, seed: int) -> None:
    """Let operations on files of two extents or more dig graves, for every other seed."""
    if seed % 2:
        disk.metadata.extents.at_once = 1


def commit(disk: Disk) -> None:
    """What the committer does, without waiting for the disk."""
    never_sent = disk.metadata.prepare(disk.stage)
    disk.database.commit()
    disk.stage.remove(never_sent)


def close_group(disk: Disk) -> int | None:
    closed, never_sent = disk.metadata.close_group(disk.stage)
    disk.database.commit()
    disk.stage.remove(never_sent)
    return None if closed is None else closed.id
