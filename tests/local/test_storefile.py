"""Store files: what they keep, and what is left of them after crashes, rot and accidents."""

import errno
import os
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coopfs import limits
from coopfs.core import digest
from coopfs.core.storeformat import PAGE, Entry, StoreHeader, checksum, decode_entry
from coopfs.errors import BlockRefused, HomeError, Refused
from coopfs.local.hosted.storefile import StoreFile, Write
from coopfs.types import DiskId, Slot, StoredBlock, StoreId
from tests.local.stores import HEADER, entry_offset, make, overwrite, slot_offset

SECTOR = 512  # bytes that a disk writes or does not write, as one
SEED = 20030609


def put_all(path: Path, writes: Sequence[Write]) -> None:
    with StoreFile(path) as store:
        assert store.put(writes) == [None] * len(writes)


def slots_of(path: Path) -> dict[int, int]:
    """Row to version, as a fresh start sees it."""
    with StoreFile(path) as store:
        return {slot.row: slot.version for slot in store.inventory(0, 100)}


# --- a store and a dictionary do the same -------------------------------------------------------------------------

PUT = st.tuples(st.integers(0, 7), st.integers(1, 6), st.sampled_from([b"a", b"b", b"c" * 16384]))


@settings(max_examples=60)
@given(st.lists(st.one_of(st.lists(PUT, min_size=1, max_size=6), st.just("reopen"))))
def test_a_store_agrees_with_a_dictionary(steps: list[list[tuple[int, int, bytes]] | str]) -> None:
    model: dict[int, StoredBlock] = {}
    changes = 0
    with TemporaryDirectory() as directory:
        path = make(Path(directory))
        store = StoreFile(path)
        for step in steps:
            if isinstance(step, str):
                store.close()
                store = StoreFile(path)
                continue
            outcomes = store.put([Write(*put) for put in step])
            for (row, version, data), outcome in zip(step, outcomes, strict=True):
                stored = model.get(row)
                if stored is None or version > stored.version:
                    assert outcome is None
                    model[row] = StoredBlock(version, data)
                    changes += 1
                elif stored == StoredBlock(version, data):
                    assert outcome is None
                else:
                    assert isinstance(outcome, BlockRefused)
                    assert outcome.stored_version == stored.version
        total = 0
        for row, block in model.items():
            total = digest.replace(total, row, 0, block.version)
        assert [store.get(row) for row in range(HEADER.rows)] == [model.get(row) for row in range(HEADER.rows)]
        assert store.inventory(0, 100) == [Slot(row, model[row].version, len(model[row].data)) for row in sorted(model)]
        assert store.index.state() == (changes, digest.to_bytes(total))
        assert store.index.used == len(model)
        store.close()


def test_a_batch_with_an_impossible_put_is_refused_whole(tmp_path: Path) -> None:
    path = make(tmp_path)
    with StoreFile(path) as store:
        with pytest.raises(Refused):
            store.put([Write(0, 1, b"fine"), Write(8, 1, b"no such row")])
        assert store.inventory(0, 100) == []


# --- crashes ------------------------------------------------------------------------------------------------------


def torn(before: bytes, after: bytes, dice: random.Random) -> bytes:
    """What a crash may leave: of the sectors that were written, any have reached the disk."""
    share = dice.choice((0.03, 0.5, 0.97))
    image = bytearray(before)
    for start in range(0, len(before), SECTOR):
        if before[start : start + SECTOR] != after[start : start + SECTOR] and dice.random() < share:
            image[start : start + SECTOR] = after[start : start + SECTOR]
    return bytes(image)


def test_after_a_crash_a_slot_is_the_old_block_or_the_new_one_or_empty(tmp_path: Path) -> None:
    print("seed", SEED)
    dice = random.Random(SEED)
    path = make(tmp_path)
    old = [Write(row, 1 + row, dice.randbytes(dice.choice((1, 600, 16384)))) for row in range(0, 8, 2)]
    new = [Write(row, 100 + row, dice.randbytes(dice.choice((1, 600, 16384)))) for row in range(8)]
    put_all(path, old)
    before = path.read_bytes()
    put_all(path, new)
    after = path.read_bytes()
    allowed: dict[int, set[StoredBlock | None]] = {row: {None} for row in range(8)}
    for write in old + new:
        allowed[write.row].add(StoredBlock(write.version, write.data))
    seen = set()
    for _ in range(200):
        path.write_bytes(torn(before, after, dice))
        with StoreFile(path) as store:
            claimed = {slot.row: slot.version for slot in store.inventory(0, 100)}
            for row in range(8):
                block = store.get(row)
                assert block in allowed[row]
                seen.add(block)
                if claimed.get(row, 0) >= 100:
                    assert block is not None, "a new entry without its content was believed"
            assert store.put(new) == [None] * 8, "the owner puts again what was not acknowledged"
            assert [store.get(row) for row in range(8)] == [StoredBlock(write.version, write.data) for write in new]
    assert seen == set().union(*allowed.values()), "the crashes were too tame"


def test_a_torn_new_slot_is_found_when_the_store_is_opened(tmp_path: Path) -> None:
    path = make(tmp_path)
    put_all(path, [Write(2, 7, b"whole"), Write(3, 8, b"torn" * 2000)])
    overwrite(path, slot_offset(3) + 4096, bytes(4096))
    assert slots_of(path) == {2: 7, 3: 0}


def test_a_torn_overwritten_slot_takes_any_version_again(tmp_path: Path) -> None:
    path = make(tmp_path)
    put_all(path, [Write(3, 8, b"old" * 2000)])
    overwrite(path, slot_offset(3), b"new")
    with StoreFile(path) as store:
        assert store.put([Write(3, 5, b"older")]) == [None]
        assert store.get(3) == StoredBlock(5, b"older")


def test_many_batches_later_a_crash_is_still_only_about_the_last(tmp_path: Path) -> None:
    path = make(tmp_path)
    for version in range(1, 3 * limits.PUT_BATCH):
        put_all(path, [Write(version % 8, version, b"%d" % version)])
    last = 3 * limits.PUT_BATCH
    put_all(path, [Write(0, last, b"torn")])
    overwrite(path, slot_offset(0), b"TORN")
    assert [row for row, version in slots_of(path).items() if not version] == [0]


# --- rot ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("byte", range(64))
def test_any_wrong_byte_in_an_entry_empties_its_slot_only(tmp_path: Path, byte: int) -> None:
    path = make(tmp_path)
    put_all(path, [Write(2, 7, b"two"), Write(3, 8, b"three"), Write(4, 9, b"four")])
    with path.open("rb") as file:
        file.seek(entry_offset(3) + byte)
        wrong = bytes([file.read(1)[0] ^ 0x20])
    overwrite(path, entry_offset(3) + byte, wrong)
    assert slots_of(path) == {2: 7, 3: 0, 4: 9}
    with StoreFile(path) as store:
        assert store.get(3) is None


@pytest.mark.parametrize("byte", [0, 1, 7000, 16383])
def test_rot_is_found_by_reading_and_stays_found(tmp_path: Path, byte: int) -> None:
    path = make(tmp_path)
    block = bytes(16384)
    # So many younger puts that the block is not among those that are checked at every start.
    put_all(path, [Write(3, 8, block)])
    for version in range(1, limits.PUT_BATCH + 1):
        put_all(path, [Write(0, version, b"x")])
    overwrite(path, slot_offset(3) + byte, b"\x01")
    with StoreFile(path) as store:
        assert [slot.row for slot in store.inventory(0, 100)] == [0, 3]
        assert store.get(3) is None
        assert store.inventory(0, 100)[1] == Slot(3, 0, 0), "it can deny nothing about this row (R7)"
        _, left = store.index.state()
    assert left == digest.to_bytes(digest.slot_term(0, limits.PUT_BATCH))
    assert slots_of(path) == {0: limits.PUT_BATCH, 3: 0}


def test_an_entry_of_another_row_or_store_is_torn(tmp_path: Path) -> None:
    path = make(tmp_path)
    entry = Entry(9, 1, 5, 4, checksum(b"data"))
    overwrite(path, slot_offset(3), b"data")
    overwrite(path, entry_offset(3), entry.encode(HEADER.store))
    overwrite(path, slot_offset(5), b"data")
    overwrite(path, entry_offset(5), entry.encode(StoreId(b"another-store-id")))
    assert slots_of(path) == {3: 0, 5: 0}
    overwrite(path, entry_offset(5), entry.encode(HEADER.store))
    assert slots_of(path) == {3: 0, 5: 9}


def test_an_entry_with_a_length_beyond_its_slot_is_empty(tmp_path: Path) -> None:
    path = make(tmp_path)
    overwrite(path, entry_offset(3), Entry(9, 1, 3, 16385, checksum(bytes(16385))).encode(HEADER.store))
    assert slots_of(path) == {}


def test_zeros_over_the_index_empty_the_store(tmp_path: Path) -> None:
    path = make(tmp_path)
    put_all(path, [Write(3, 8, b"block")])
    overwrite(path, PAGE, bytes(PAGE))
    assert slots_of(path) == {}


# --- files that are no stores -------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, 71, PAGE, PAGE + 64, slot_offset(0), slot_offset(7), HEADER.size - 1])
def test_a_store_cut_short_is_refused_with_one_line(tmp_path: Path, size: int) -> None:
    path = make(tmp_path)
    os.truncate(path, size)
    with pytest.raises(HomeError, match=r"^[^\n]*store (is not|has)[^\n]*$"):
        StoreFile(path)


@pytest.mark.parametrize("byte", [0, 12, 13, 20, 40, 50, 54, 60])
def test_a_damaged_header_is_refused_with_one_line(tmp_path: Path, byte: int) -> None:
    path = make(tmp_path)
    overwrite(path, byte, b"\xff")
    with pytest.raises(HomeError, match=r"^[^\n]*store (is|has)[^\n]*: move it away, [^\n]*$"):
        StoreFile(path)


def test_a_store_of_another_version_is_called_that(tmp_path: Path) -> None:
    path = make(tmp_path)
    overwrite(path, 13, b"1")
    with pytest.raises(HomeError, match="of a version that this program cannot read"):
        StoreFile(path)


def test_a_missing_store_is_a_home_error(tmp_path: Path) -> None:
    with pytest.raises(HomeError, match="No such file"):
        StoreFile(tmp_path / "store")


def test_no_row_is_confused_with_the_next_at_the_largest_index_page(tmp_path: Path) -> None:
    header = StoreHeader(DiskId(bytes(16)), StoreId(bytes(16)), rows=65, block_size=16384)
    path = make(tmp_path, header)
    with StoreFile(path) as store:
        assert store.put([Write(63, 1, b"a" * 16384), Write(64, 2, b"b" * 16384)]) == [None, None]
    with StoreFile(path) as store:
        assert [store.get(row) for row in (63, 64)] == [StoredBlock(1, b"a" * 16384), StoredBlock(2, b"b" * 16384)]


# --- the disk fails -----------------------------------------------------------------------------------------------


def test_after_a_failed_fdatasync_nothing_of_the_batch_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make(tmp_path)
    put_all(path, [Write(2, 1, b"safe"), Write(3, 1, b"old")])

    def failing(descriptor: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with StoreFile(path) as store:
        with monkeypatch.context() as patched:
            patched.setattr(os, "fdatasync", failing)
            with pytest.raises(HomeError, match="Input/output error"):
                store.put([Write(3, 2, b"new"), Write(4, 3, b"first")])
        assert store.inventory(0, 100) == [Slot(2, 1, 4), Slot(3, 0, 0), Slot(4, 0, 0)]
        assert store.put([Write(3, 2, b"new")]) == [None]
        assert store.get(3) == StoredBlock(2, b"new")
    assert slots_of(path) == {2: 1, 3: 2, 4: 0}


@pytest.mark.parametrize(("bad", "left"), [({1}, {0: 1, 63: 1, 128: 1, 199: 1}), ({0, 3}, {64: 1, 127: 1, 128: 1})])
def test_a_bad_sector_of_the_index_makes_the_rows_of_its_page_rotten_and_no_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bad: set[int], left: dict[int, int]
) -> None:
    """Were they as if never written, a restore would take that for a denial of what was held there."""
    path = make(tmp_path, replace(HEADER, rows=200))
    put_all(path, [Write(row, 1, b"%d" % row) for row in (0, 63, 64, 127, 128, 199)])
    rotten = {row: 0 for page in bad for row in range(64 * page, min(64 * page + 64, 200))}
    with monkeypatch.context() as patched:
        patched.setattr(os, "pread", reading_not(bad))
        assert slots_of(path) == left | rotten
    assert slots_of(path) == left | rotten, "from then on"
    put_all(path, [Write(64 * page, 2, b"again") for page in bad])
    assert slots_of(path) == left | rotten | {64 * page: 2 for page in bad}


def test_what_cannot_be_read_now_stays_for_later_and_may_be_put_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make(tmp_path)
    put_all(path, [Write(row, 1, b"%d" % row) for row in (2, 3)])
    really = os.pread

    def pread(descriptor: int, size: int, at: int) -> bytes:
        if at in (slot_offset(2), slot_offset(3)):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return really(descriptor, size, at)

    with StoreFile(path) as store:
        with monkeypatch.context() as patched:
            patched.setattr(os, "pread", pread)
            assert (store.get(2), store.get(3)) == (None, None)
            assert store.put([Write(3, 1, b"anew")]) == [None]
        assert (store.get(2), store.get(3)) == (StoredBlock(1, b"2"), StoredBlock(1, b"anew"))
        assert [slot.row for slot in store.inventory(0, 100)] == [2, 3]
    assert slots_of(path) == {2: 1, 3: 1}
    with monkeypatch.context() as patched:
        patched.setattr(os, "pread", pread)
        assert slots_of(path) == {2: 0, 3: 0}, "they were put last, and may be torn"


def test_a_disk_that_fails_costs_no_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may be a cable: what cannot be read now is not written over."""
    path = make(tmp_path, replace(HEADER, rows=64 * (limits.BAD_INDEX_PAGES + 1)))
    put_all(path, [Write(0, 1, b"first")])
    before = path.read_bytes()
    with monkeypatch.context() as patched:
        patched.setattr(os, "pread", reading_not(set(range(limits.BAD_INDEX_PAGES + 1))))
        with pytest.raises(HomeError, match="Input/output error"):
            StoreFile(path)
    assert path.read_bytes() == before


def reading_not(bad: set[int]) -> Callable[[int, int, int], bytes]:
    """pread(2) of a store with bad sectors in these pages of its index."""
    really = os.pread

    def pread(descriptor: int, size: int, at: int) -> bytes:
        if any(at <= entry_offset(64 * page) < at + size for page in bad):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return really(descriptor, size, at)

    return pread


def test_blocks_are_written_in_whole_pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system reads a page that is written in part, and fails where it has a bad sector."""
    path = make(tmp_path)
    spans: list[tuple[int, int]] = []
    really = os.pwrite

    def pwrite(descriptor: int, data: memoryview, at: int) -> int:
        spans.append((at, len(data)))
        return really(descriptor, data, at)

    with StoreFile(path) as store, monkeypatch.context() as patched:
        patched.setattr(os, "pwrite", pwrite)
        store.put([Write(3, 1, b"x" * 5000), Write(4, 1, b"y" * 16384)])
    assert [span for span in spans if span[0] >= slot_offset(0)] == [(slot_offset(3), 8192), (slot_offset(4), 16384)]


def test_the_index_shows_nothing_before_fdatasync(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make(tmp_path)
    real = os.fdatasync
    during: list[Sequence[Slot]] = []
    with StoreFile(path) as store:

        def watching(descriptor: int) -> None:
            entry = decode_entry(os.pread(descriptor, 64, entry_offset(3)), HEADER.store, 3)
            assert entry is not None, "content and entry are written before the one fdatasync"
            during.append(store.inventory(0, 100))
            real(descriptor)

        monkeypatch.setattr(os, "fdatasync", watching)
        store.put([Write(3, 1, b"block"), Write(4, 2, b"block")])
        assert during == [[]]
        assert len(store.inventory(0, 100)) == 2


def test_space_is_really_allocated(tmp_path: Path) -> None:
    path = make(tmp_path)
    assert path.stat().st_blocks * 512 >= HEADER.size
