"""Store files for tests: small ones, made as a host makes them."""

from pathlib import Path

from coopfs.core.storeformat import ENTRY, PAGE, StoreHeader, slots_offset
from coopfs.local.hosted.reservation import carve
from coopfs.local.hosted.storefile import write_header
from coopfs.types import DiskId, StoreId

HEADER = StoreHeader(DiskId(b"disk-id-16-bytes"), StoreId(b"store-id-16bytes"), rows=8, block_size=16384)


def make(directory: Path, header: StoreHeader = HEADER, name: str = "store") -> Path:
    path = directory / name
    carve(directory / "no-reservation", 0, path, header.size)
    write_header(path, header)
    return path


def entry_offset(row: int) -> int:
    return PAGE + row * ENTRY


def slot_offset(row: int, header: StoreHeader = HEADER) -> int:
    return slots_offset(header.rows) + row * header.block_size


def overwrite(path: Path, offset: int, data: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(data)
