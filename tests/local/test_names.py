"""Names: what is kept in memory is what the table says, and listings read no more than is taken from them."""

import itertools
import random
from pathlib import Path

import pytest

from coopfs.local import names
from coopfs.local.metadata import Metadata
from tests.fs.parts import commit, new_disk

PARENTS = (1, 2)
SPELLINGS = tuple(b"n%d" % number for number in range(8))


@pytest.fixture
def metadata(tmp_path: Path) -> Metadata:
    return new_disk(tmp_path).metadata


def in_table(metadata: Metadata, parent: int, name: bytes) -> int | None:
    """What the table says, and not what is kept in memory."""
    return next((ino for _, found, ino in metadata.names.page(parent, 0, 100) if found == name), None)


def change(metadata: Metadata, chance: random.Random, ino: int) -> None:
    """Any change that the filesystem makes to the table."""
    parent, name = chance.choice(PARENTS), chance.choice(SPELLINGS)
    other, spelling = chance.choice(PARENTS), chance.choice(SPELLINGS)
    if in_table(metadata, parent, name) is None:
        metadata.names.add(parent, name, ino)
    elif chance.random() < 0.3:
        metadata.names.remove(parent, name)
    elif in_table(metadata, other, spelling) is None:
        metadata.names.move(parent, name, other, spelling)
    else:
        metadata.names.point(parent, name, ino)


@pytest.mark.parametrize("kept", [4, 1000])
@pytest.mark.parametrize("seed", range(3))
def test_lookups_tell_what_the_table_says(
    metadata: Metadata, seed: int, kept: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(names, "CACHED_NAMES", kept)
    chance = random.Random(seed)
    everything = list(itertools.product(PARENTS, SPELLINGS))
    for ino in range(10, 210):
        change(metadata, chance, ino)
        for parent, name in chance.sample(everything, 5):
            assert metadata.names.find(parent, name) == in_table(metadata, parent, name)


@pytest.mark.parametrize("kept", [1, 3, 16, 128])
@pytest.mark.parametrize("seed", range(3))
def test_listings_tell_what_the_table_says(
    metadata: Metadata, seed: int, kept: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Asked for a few at a time, from anywhere, by several in turn, while names come, go and move."""
    monkeypatch.setattr(names, "KEPT_PAGE", kept)
    monkeypatch.setattr(names, "KEPT_PAGES", 1 + seed)
    chance = random.Random(seed)
    for ino in range(10, 310):
        change(metadata, chance, ino)
        for parent in PARENTS:
            after = chance.choice([0, 0, *(cookie for cookie, _, _ in metadata.names.page(parent, 0, 100))])
            count = chance.randrange(10)
            told = list(itertools.islice(metadata.names.listing(parent, after), count))
            assert told == metadata.names.page(parent, after, count)


def test_a_listing_is_not_read_again_until_a_name_changes(metadata: Metadata) -> None:
    for ino in range(10, 40):
        metadata.names.add(1, b"f%d" % ino, ino)
    told = list(metadata.names.listing(1, 0))
    metadata.database.close()
    assert list(metadata.names.listing(1, 0)) == told
    assert list(metadata.names.listing(1, told[7][0])) == told[8:]


def test_a_name_that_was_asked_for_is_not_read_again(metadata: Metadata) -> None:
    metadata.names.add(1, b"there", 7)
    asked = [metadata.names.find(1, b"there"), metadata.names.find(1, b"absent")]
    metadata.database.close()
    assert [metadata.names.find(1, b"there"), metadata.names.find(1, b"absent")] == asked == [7, None]


def test_a_listing_that_ends_early_holds_nothing(tmp_path: Path) -> None:
    disk = new_disk(tmp_path)
    for ino in range(10, 40):
        disk.metadata.names.add(1, b"f%d" % ino, ino)
    disk.metadata.put(disk.metadata.nodes.get(1))
    commit(disk)
    listing = disk.metadata.names.listing(1, 0)
    first = list(itertools.islice(listing, 5))
    rest = disk.metadata.names.listing(1, first[-1][0])
    assert [name for _, name, _ in [*first, *rest]] == [b"f%d" % ino for ino in range(10, 40)]
    before = disk.database.wal_bytes()
    disk.database.checkpoint()
    disk.metadata.put(disk.metadata.nodes.get(1))
    commit(disk)
    assert 0 < disk.database.wal_bytes() < before, "a reader stands in the way"
    disk.close()
