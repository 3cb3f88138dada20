"""Files that came back from partners: a power loss may have torn them, and threads read while the loop changes them."""

from collections.abc import Callable
from pathlib import Path

import pytest
from blake3 import blake3

from coopfs.local import contents as contents_of
from coopfs.local.contents import FETCHED, HASH, Contents, Local
from coopfs.local.descriptors import open_patiently

STRIPE = 7
CONTENT = bytes(range(256)) * 20
TORN = CONTENT[:1000] + bytes(len(CONTENT) - 1000)


def wait_into(contents: Contents) -> bytes | None:
    view = bytearray(len(CONTENT))
    return bytes(view) if contents.wait_into(STRIPE, 0, memoryview(view)) is Local.READ else None


def whole(contents: Contents) -> bytes | None:
    return contents.whole(STRIPE, len(CONTENT))


def read_whole(contents: Contents) -> bytes | None:
    view = bytearray(len(CONTENT))
    return bytes(view) if contents.read_whole(STRIPE, [memoryview(view)]) else None


READERS = [wait_into, whole, read_whole]
Reader = Callable[[Contents], bytes | None]


def started_with(directory: Path, content: bytes) -> Contents:
    """There is a file of an earlier process."""
    (directory / f"{STRIPE}{FETCHED}").write_bytes(content + blake3(CONTENT).digest(HASH))
    contents = Contents(directory)
    contents.scan()
    return contents


@pytest.mark.parametrize("read", READERS)
def test_a_torn_file_is_not_here(tmp_path: Path, read: Reader) -> None:
    assert read(started_with(tmp_path, TORN)) is None


@pytest.mark.parametrize("read", READERS)
def test_a_whole_one_is(tmp_path: Path, read: Reader) -> None:
    assert read(started_with(tmp_path, CONTENT)) == CONTENT


@pytest.mark.parametrize("read", READERS)
def test_a_bad_sector_is_content_that_is_not_here(tmp_path: Path, read: Reader) -> None:
    """Nothing is mapped where this process's memory begins: reading there is an input/output error."""
    (tmp_path / str(STRIPE)).symlink_to("/proc/self/mem")
    assert read(Contents(tmp_path)) is None


def now(contents: Contents) -> bytes | None:
    """As the loop reads; what it would wait for is read in a thread."""
    view = bytearray(len(CONTENT))
    found = contents.read_into(STRIPE, 0, lambda: memoryview(view))
    if found is Local.SLOW:
        found = contents.wait_into(STRIPE, 0, memoryview(view))
    return bytes(view) if found is Local.READ else None


@pytest.mark.parametrize("read", [*READERS, now])
def test_what_was_fetched_takes_the_place_of_a_file_with_a_bad_sector(tmp_path: Path, read: Reader) -> None:
    path = tmp_path / str(STRIPE)
    path.symlink_to("/proc/self/mem")
    contents = Contents(tmp_path)
    assert not contents.wants(STRIPE), "as far as is known"
    assert read(contents) is None
    assert contents.wants(STRIPE)
    contents.write_part(STRIPE, [memoryview(CONTENT)])
    contents.adopt_part(STRIPE)
    assert not path.is_symlink()
    assert not contents.wants(STRIPE)
    assert read(contents) == CONTENT
    again = Contents(tmp_path)
    again.scan()
    assert read(again) == CONTENT
    contents.close()
    again.close()


@pytest.mark.parametrize("change", ["adopted", "removed"])
@pytest.mark.parametrize("read", READERS)
def test_what_becomes_of_a_torn_file_while_it_is_read_proves_nothing_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, read: Reader, change: str
) -> None:
    """As when another thread has it, and the loop puts what was fetched meanwhile in its place."""
    contents = started_with(tmp_path, TORN)
    contents.write_part(STRIPE, [memoryview(CONTENT)])

    def open_and_change(path: Path, flags: int) -> int:
        descriptor = open_patiently(path, flags)
        if change == "adopted":
            contents.adopt_part(STRIPE)
        else:
            contents.remove(STRIPE)
        return descriptor

    with monkeypatch.context() as patch:
        patch.setattr(contents_of, "open_patiently", open_and_change)
        assert read(contents) is None
    assert read(contents) == (CONTENT if change == "adopted" else None)
