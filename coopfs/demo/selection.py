"""What the demo backs up: one directory of the user's, or a part of /usr/share that is the same each time."""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from coopfs.errors import UsageError

DEFAULT_ROOT = Path("/usr/share")
DEFAULT_BYTES = 300_000_000
DEFAULT_ENTRIES = 20_000


@dataclass(frozen=True, slots=True)
class Selection:
    """Paths that are copied, each with all below it, and how much that is: directory entries, and bytes of regular
    files."""

    sources: tuple[Path, ...]
    entries: int
    size: int


def choose(directory: Path | None) -> Selection:
    """The given directory, or the default part of /usr/share. UsageError: there is nothing to read."""
    if directory is None:
        return _part_of(DEFAULT_ROOT, DEFAULT_BYTES, DEFAULT_ENTRIES)
    if not directory.is_dir():
        raise UsageError(f"{directory} is not a directory")
    # a trailing `..` or symbolic link would make another name of the copy than of the original
    resolved = directory.resolve()
    if not resolved.name:
        raise UsageError("the demo does not take / as a whole; name a directory in it")
    entries, size = _measure(resolved)
    return Selection((resolved,), entries, size)


def _part_of(root: Path, most_bytes: int, most_entries: int) -> Selection:
    """Children of root, the largest first, each that still fits: comes near both bounds, and is the same each time."""
    children = [(*_measure(child), child) for child in root.iterdir()]
    chosen: list[Path] = []
    total_entries = total_size = 0
    for entries, size, child in sorted(children, key=lambda child: (-child[1], child[2])):
        if total_entries + entries <= most_entries and total_size + size <= most_bytes:
            chosen.append(child)
            total_entries += entries
            total_size += size
    if not chosen:
        raise UsageError(f"{root} holds nothing for the demo; name a directory: coopfs demo DIR")
    return Selection(tuple(sorted(chosen)), total_entries, total_size)


def _measure(top: Path) -> tuple[int, int]:
    entries = size = 0
    for status in _walk(top):
        entries += 1
        if stat.S_ISREG(status.st_mode):
            size += status.st_size
    return entries, size


def _walk(top: Path) -> Iterator[os.stat_result]:
    """The status of top and of all below it. UsageError: one cannot be read, so it could not be copied either."""
    pending = [top]
    while pending:
        path = pending.pop()
        try:
            status = path.lstat()
            yield status
            if stat.S_ISDIR(status.st_mode):
                pending.extend(path.iterdir())
        except OSError as error:
            raise UsageError(f"{path} cannot be read: {error.strerror}") from error
