"""What a disk whose database or stage is lost had not sent: kept aside, to be put into lost+found (design R6).

    disks/damaged-<epoch>/           the disk as it was, until all of it that is of use is held again
                          unsent/    of its stage, the files of stripes that are not in the state found at the partners
    disks/damaged-<epoch>-unread/    of these files those that could not be read wholly, for good

A takeover sorts them out, by their index (stageindex) and by what is left of the database. Each of them has an index
from then on, so that nothing else is needed to read them. It may be done again at any point.
"""

import errno
import os
import shutil
import sqlite3
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import msgpack

from coopfs.core.stripe import Fragment
from coopfs.core.units import PLAIN
from coopfs.limits import WRITE_MAX
from coopfs.local.disk import DATABASE, STAGE
from coopfs.local.filling import end_file
from coopfs.local.home import sync_directory
from coopfs.local.stageindex import Index, read_index
from coopfs.types import Kind

DAMAGED = "damaged-"  # what the name of its directory begins with; the epoch of the takeover follows
UNREAD = "-unread"  # what the name of the directory ends with in which is left what the local disk did not read
UNSENT = "unsent"
VersionOf = Callable[[int], int | None]
NAMELESS = 0  # inode of content of which nothing tells whose it was


@dataclass(frozen=True, slots=True)
class Unsent:
    """What was found: bytes of so many files, and so many bytes that are not in the stage any more."""

    bytes: int
    files: int
    gone: int


@dataclass(frozen=True, slots=True)
class _Known:
    """What a database tells of a data stripe."""

    born: int
    version: int | None  # None: not sealed
    died: bool
    fragments: Sequence[Fragment]

    @property
    def length(self) -> int:
        return sum(fragment.stored for fragment in self.fragments)


def damaged(disks: Path) -> list[Path]:
    """The directories of disks that were lost, the oldest first."""
    names = (path for path in disks.iterdir() if path.name.startswith(DAMAGED))
    found = [path for path in names if not path.name.endswith(UNREAD)]
    return sorted(found, key=lambda path: int(path.name.removeprefix(DAMAGED)))


def unread(disks: Path) -> list[Path]:
    """The directories of what the local disk did not read of such disks."""
    return sorted(path for path in disks.iterdir() if path.name.startswith(DAMAGED) and path.name.endswith(UNREAD))


def remove(directory: Path) -> None:
    """A lost disk, as all of it is held again: but what cannot be read stays. It may be a cable, and nobody else has
    it. OSError."""
    left = directory.with_name(f"{directory.name}{UNREAD}")
    for path in unsent_files(directory):
        if not _is_readable(path):
            left.mkdir(exist_ok=True)
            path.rename(left / path.name)
    if left.exists():
        sync_directory(left)
        sync_directory(left.parent)
    shutil.rmtree(directory)


def _is_readable(path: Path) -> bool:
    try:
        with open(path, "rb", buffering=0) as file:
            while file.read(WRITE_MAX):
                pass
    except OSError as bad:
        if bad.errno != errno.EIO:
            raise
        return False
    return read_index(path) is not None


def unsent_files(directory: Path) -> list[Path]:
    """The files kept aside in one of them, the oldest first."""
    place = directory / UNSENT
    return sorted(place.iterdir(), key=lambda path: int(path.name)) if place.is_dir() else []


def set_aside(directory: Path, group: int, version_of: VersionOf, capacities: Collection[int]) -> Unsent:
    """Sort out what was not sent. group: of the state found at the partners; version_of: a stripe of that, None:
    it is not in it; capacities: bytes of a stage file that was never closed, in any layout. Durable on return."""
    known = _known(directory / DATABASE)
    place = directory / UNSENT
    place.mkdir(exist_ok=True)
    stage = directory / STAGE
    for path in _own_files(stage):
        if _is_unsent(path, known.get(int(path.name)), group, version_of, capacities):
            path.rename(place / path.name)
    for path in unsent_files(directory):
        _describe(path, known.get(int(path.name)))
    for each in (place, directory):
        sync_directory(each)
    return _count(directory, known, version_of)


def _own_files(stage: Path) -> list[Path]:
    """Those written here, not fetched: only they can hold what nobody else has."""
    return [path for path in stage.iterdir() if path.name.isdigit()] if stage.is_dir() else []


def _is_unsent(
    path: Path, known: _Known | None, group: int, version_of: VersionOf, capacities: Collection[int]
) -> bool:
    size, stripe = path.stat().st_size, int(path.name)
    if size == 0:  # made ahead
        return False
    if known is not None:  # its group says little: another machine may have given others the same number
        return _is_lacked(stripe, known, version_of)
    index = read_index(path)
    if index is not None:
        return index.group > group
    return size not in capacities and version_of(stripe) is None  # of full size, and without index: never synced


def _is_lacked(stripe: int, known: _Known, version_of: VersionOf) -> bool:
    """Whether a stripe with something that lives is not in the state found."""
    return known.version is None or not (known.died or version_of(stripe) == known.version)


def _describe(path: Path, known: _Known | None) -> None:
    """Let the file end with an index, which those that were cut short have lost."""
    if read_index(path) is not None:
        return
    size = path.stat().st_size
    fragments = _within(known.fragments, size) if known else [Fragment(NAMELESS, 0, size, 0, b"")]
    length = sum(fragment.stored for fragment in fragments)
    end_file(path, int(path.name), known.born if known else 0, length, fragments)
    with open(path, "rb") as file:
        os.fsync(file.fileno())


def _within(fragments: Sequence[Fragment], size: int) -> list[Fragment]:
    """Those of which all, or if they are plain some, lies in the first `size` bytes."""
    found: list[Fragment] = []
    for f in fragments:
        if f.stored > size:
            if f.codec == PLAIN and size:
                found.append(Fragment(f.ino, f.offset, size, f.parent, f.name))
            break
        found.append(f)
        size -= f.stored
    return found


def _count(directory: Path, known: dict[int, _Known], version_of: VersionOf) -> Unsent:
    total = gone = 0
    inodes: set[int] = set()
    there: dict[int, int] = {}
    for path, index in indexes(directory):
        total += sum(piece.length for piece in index.pieces)
        there[int(path.name)] = sum(piece.stored for piece in index.pieces)
        inodes.update(piece.ino for piece in index.pieces)
    for stripe, each in known.items():
        if _is_lacked(stripe, each, version_of):
            gone += max(0, each.length - there.get(stripe, 0))
    return Unsent(total, len(inodes), gone)


def indexes(directory: Path) -> Iterator[tuple[Path, Index]]:
    """The files kept aside in a directory of a lost disk, with their indexes."""
    for path in unsent_files(directory):
        index = read_index(path)
        if index is not None:
            yield path, index


def _known(path: Path) -> dict[int, _Known]:
    """The data stripes that may not have been sent, as far as the database can still be read."""
    found: dict[int, _Known] = {}
    query = (
        "SELECT id, born, version, died, list FROM stripes JOIN fragments ON stripe = id"
        f" WHERE kind = {Kind.DATA:d} AND (row IS NULL OR born > (SELECT value FROM facts WHERE key = 'barrier'))"
    )
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            for id_, born, version, died, packed in connection.execute(query):
                fragments = [Fragment(*fields) for fields in msgpack.unpackb(packed)]
                found[int(id_)] = _Known(int(born), version, died is not None, fragments)
    except (sqlite3.Error, OSError, ValueError, TypeError):
        return found  # what a torn database still told is worth something, the rest the files tell themselves
    return found
