"""Comparing two trees byte by byte and attribute by attribute.

Compared: names, type, mode, uid, gid, mtime in ns, size and content of regular files, symlink targets, device
numbers, which names are hard links of each other, and extended attributes (ACLs are among them). Not compared: atime,
ctime, inode and link numbers, sizes of directories, and the virtual attributes that coopfs itself shows.
"""

import os
import stat
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

VIRTUAL_XATTRS = "user.coopfs."
CHUNK = 1 << 20  # bytes read at a time
READERS = 4  # files compared at once: a restore view waits for partners more than it computes
BATCH = 256  # files between two reports of progress


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that differs: path below the compared trees, the attribute's name, and both values as text."""

    path: str
    what: str
    original: str
    copy: str

    def __str__(self) -> str:
        line = f"{self.path}: {self.what} is {self.copy}, was {self.original}"
        # names are bytes; those that are no text must not stop the report
        return os.fsencode(line).decode(errors="replace")


@dataclass(slots=True)
class Comparison:
    """The result: what was looked at, and all that differs."""

    entries: int = 0
    size: int = 0  # bytes of content
    differences: list[Difference] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Pair:
    path: str
    original: Path
    copy: Path
    status: os.stat_result
    copy_status: os.stat_result


def compare(
    originals: Sequence[Path], copies: Path, *, ignore: frozenset[str] = frozenset(), watch: Callable[[int], None]
) -> Comparison:
    """Compare each of originals with the entry of the same name in copies.

    ignore: names of attributes that cannot be the same, for example uid and gid after a copy made by a plain user.
    watch: is told the number of entries compared so far. OSError: a tree cannot be read.
    """
    result = Comparison()
    links = _Links()
    files: list[_Pair] = []
    with ThreadPoolExecutor(READERS) as readers:

        def compare_files() -> None:
            for differences in readers.map(_contents, files):
                result.differences += differences
            result.size += sum(pair.status.st_size for pair in files)
            files.clear()
            watch(result.entries)

        for original in originals:
            for found in _walk(original.name, original, copies / original.name):
                result.entries += 1
                if isinstance(found, Difference):
                    result.differences.append(found)
                    continue
                result.differences += [
                    one for one in (*_attributes(found), *links.compare(found)) if one.what not in ignore
                ]
                if stat.S_ISREG(found.status.st_mode) and found.status.st_size == found.copy_status.st_size:
                    files.append(found)
                    if len(files) == BATCH:
                        compare_files()
        compare_files()
    return result


def _walk(top: str, top_original: Path, top_copy: Path) -> Iterator[_Pair | Difference]:
    """Pairs of entries, and names that only one tree has. In a directory plain entries come first, as rsync copies
    them."""
    pending = [(top, top_original, top_copy)]
    while pending:
        path, original, copy = pending.pop()
        status = original.lstat()
        try:
            pair = _Pair(path, original, copy, status, copy.lstat())
        except FileNotFoundError:
            yield Difference(path, "entry", "there", "missing")
            continue
        yield pair
        if not (stat.S_ISDIR(pair.status.st_mode) and stat.S_ISDIR(pair.copy_status.st_mode)):
            continue
        with os.scandir(original) as entries:
            names = sorted((entry.is_dir(follow_symlinks=False), entry.name) for entry in entries)
        for name in sorted(set(os.listdir(copy)) - {name for _, name in names}):
            yield Difference(f"{path}/{name}", "entry", "missing", "there")
        pending.extend((f"{path}/{name}", original / name, copy / name) for _, name in reversed(names))


def _attributes(pair: _Pair) -> Iterator[Difference]:
    was, now = pair.status, pair.copy_status
    facts: list[tuple[str, object, object]] = [
        ("type", stat.filemode(was.st_mode)[0], stat.filemode(now.st_mode)[0]),
        ("mode", oct(stat.S_IMODE(was.st_mode)), oct(stat.S_IMODE(now.st_mode))),
        ("uid", was.st_uid, now.st_uid),
        ("gid", was.st_gid, now.st_gid),
        ("mtime", was.st_mtime_ns, now.st_mtime_ns),
        ("xattrs", _xattrs(pair.original), _xattrs(pair.copy)),
    ]
    if stat.S_IFMT(was.st_mode) == stat.S_IFMT(now.st_mode):
        if stat.S_ISREG(was.st_mode):
            facts.append(("size", was.st_size, now.st_size))
        elif stat.S_ISLNK(was.st_mode):
            facts.append(("target", os.readlink(pair.original), os.readlink(pair.copy)))
        elif stat.S_ISBLK(was.st_mode) or stat.S_ISCHR(was.st_mode):
            facts.append(("rdev", _device(was.st_rdev), _device(now.st_rdev)))
    for what, original, copy in facts:
        if original != copy:
            yield Difference(pair.path, what, str(original), str(copy))


def _contents(pair: _Pair) -> list[Difference]:
    """At most one difference: where the content differs first."""
    offset = 0
    with pair.original.open("rb") as original, pair.copy.open("rb") as copy:
        while True:
            one, other = original.read(CHUNK), copy.read(CHUNK)
            if one != other:
                offset += next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), 0)
                return [Difference(pair.path, "content", "something else", f"different from byte {offset} on")]
            if not one:
                return []
            offset += len(one)


def _xattrs(path: Path) -> dict[str, bytes]:
    names = os.listxattr(path, follow_symlinks=False)
    return {
        name: os.getxattr(path, name, follow_symlinks=False)
        for name in sorted(names)
        if not name.startswith(VIRTUAL_XATTRS)
    }


def _device(number: int) -> str:
    return f"{os.major(number)}:{os.minor(number)}"


class _Links:
    """Hard links: names of one inode on one side must be names of one inode on the other."""

    def __init__(self) -> None:
        self._originals: dict[tuple[int, int], str] = {}
        self._copies: dict[tuple[int, int], str] = {}

    def compare(self, pair: _Pair) -> Iterator[Difference]:
        if stat.S_ISDIR(pair.status.st_mode):
            return
        was = self._originals.setdefault((pair.status.st_dev, pair.status.st_ino), pair.path)
        now = self._copies.setdefault((pair.copy_status.st_dev, pair.copy_status.st_ino), pair.path)
        if was != now:
            yield Difference(pair.path, "hard link", _link(pair.path, was), _link(pair.path, now))


def _link(path: str, first: str) -> str:
    return "of its own" if path == first else f"to {first}"
