"""What is done to a directory, whichever filesystem it lies on. Each function returns a rate: MB (10^6 bytes) or files
per second."""

import os
import subprocess
import tarfile
import time
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

MB = 1_000_000
REQUEST = 1 << 20  # bytes of one write or read
SMALL = os.urandom(4096)  # the content of a small file
PER_DIRECTORY = 100  # small files in one directory
_CONTENT = os.urandom(REQUEST + 4096)  # what is written, from a different start each time: nothing of it repeats


def write(path: Path, size: int, finish: Callable[[int], None]) -> float:
    """MB/s of a new file of `size` bytes. finish: called with the descriptor before the clock stops."""
    view = memoryview(_CONTENT)
    began = time.perf_counter()
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    try:
        for number in range(size // REQUEST):
            start = number % 4096
            os.write(descriptor, view[start : start + REQUEST])
        finish(descriptor)
    finally:
        os.close(descriptor)
    return size / MB / (time.perf_counter() - began)


def content(size: int, start: int) -> memoryview:
    """At most `size` bytes of what is written, another part for each start."""
    return memoryview(_CONTENT)[start % 4096 :][:size]


def leave(descriptor: int) -> None:
    """A `finish` for write: nothing is waited for."""


def read(path: Path) -> float:
    """MB/s of a file, from its start to its end."""
    buffer = bytearray(REQUEST)
    total = 0
    began = time.perf_counter()
    with open(path, "rb", buffering=0) as file:
        while count := file.readinto(buffer):
            total += count
    return total / MB / (time.perf_counter() - began)


def paths(directory: Path, files: int) -> list[Path]:
    """Where the small files of a tree lie."""
    return [directory / f"d{number // PER_DIRECTORY}" / f"f{number}" for number in range(files)]


def create(directory: Path, files: int) -> float:
    """Files per second: create, write 4 KiB, close, one after the other."""
    names = paths(directory, files)
    for parent in dict.fromkeys(path.parent for path in names):
        parent.mkdir(parents=True)
    began = time.perf_counter()
    for path in names:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        os.write(descriptor, SMALL)
        os.close(descriptor)
    return files / (time.perf_counter() - began)


def stat(directory: Path, files: int) -> float:
    """Files per second: stat of each."""
    names = [str(path) for path in paths(directory, files)]
    began = time.perf_counter()
    for name in names:
        os.stat(name)
    return files / (time.perf_counter() - began)


def list_all(directory: Path) -> float:
    """Entries per second: readdir of all directories of a tree, twice, since one round is short."""
    entries = 0
    began = time.perf_counter()
    for _ in range(2):
        for _, directories, files in os.walk(directory):
            entries += len(directories) + len(files)
    return entries / (time.perf_counter() - began)


def read_small(directory: Path, files: int) -> float:
    """Files per second: open, read all, close."""
    names = paths(directory, files)
    began = time.perf_counter()
    for path in names:
        assert len(path.read_bytes()) == len(SMALL)
    return files / (time.perf_counter() - began)


def make_tar(archive: Path, files: int) -> None:
    """An archive of small files, for `extract`."""
    with tarfile.open(archive, "w") as tar:
        for path in paths(Path("tree"), files):
            entry = tarfile.TarInfo(str(path))
            entry.size, entry.mtime, entry.mode = len(SMALL), 1_700_000_000, 0o644
            tar.addfile(entry, BytesIO(SMALL))


def extract(archive: Path, directory: Path, files: int) -> float:
    """Files per second: tar writes the archive's tree into a directory, which it makes."""
    directory.mkdir()
    began = time.perf_counter()
    subprocess.run(["tar", "-xf", str(archive), "-C", str(directory)], check=True, stdin=subprocess.DEVNULL)
    return files / (time.perf_counter() - began)
