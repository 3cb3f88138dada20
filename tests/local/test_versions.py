"""The versions that a home gives, and those that it leaps over (R5, R12)."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from coopfs.limits import LEAPS_REMEMBERED
from coopfs.local.database import Database
from coopfs.local.disk import DATABASE, create_disk
from coopfs.local.versions import Versions
from coopfs.types import make_version


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    create_disk(tmp_path, lambda: 1, 0, 0, {"epoch": 3})
    database = Database(tmp_path / DATABASE)
    yield database
    database.close()


def run(database: Database, distance: int) -> Versions:
    """A further run of the daemon."""
    versions = Versions(database)
    versions.begin_run(lambda: distance)
    return versions


def give(versions: Versions) -> int:
    """One, for a stripe that is sealed at once."""
    version = versions.next()
    versions.sealed(version)
    return version


def foreign_below(versions: Versions, limit: int) -> list[int]:
    is_foreign = versions.foreign()
    return [sequence for sequence in range(1, limit) if is_foreign(make_version(3, sequence))]


def test_a_run_leaps_once_and_what_it_leaps_over_is_foreign(database: Database) -> None:
    versions = run(database, 100)
    assert [give(versions), give(versions)] == [make_version(3, 101), make_version(3, 102)]
    versions = run(database, 10)
    assert versions.newest == make_version(3, 102), "one that gives none leaps over none"
    assert give(versions) == make_version(3, 113)
    is_foreign = versions.foreign()
    known = [sequence for sequence in range(1, 120) if not is_foreign(make_version(3, sequence))]
    assert known == [101, 102, 113]
    assert not is_foreign(make_version(2, 5)), "of an earlier epoch nothing is known"


def test_what_is_skipped_for_a_key_is_followed_by_a_leap(database: Database) -> None:
    versions = run(database, 10)
    assert versions.next() == make_version(3, 11)
    versions.skip_to(make_version(3, 1000))
    assert versions.next() == make_version(3, 1010)
    versions.skip_to(make_version(3, 500))
    assert versions.next() == make_version(3, 1011)


def test_what_is_skipped_for_a_key_is_foreign(database: Database) -> None:
    """A copy that has not heard of the key gives some of it."""
    versions = run(database, 1)
    give(versions)
    versions.skip_to(make_version(3, 10))
    assert foreign_below(versions, 12) == [1, 3, 4, 5, 6, 7, 8, 9, 10, 11]
    assert give(versions) == make_version(3, 11)
    assert foreign_below(versions, 12) == [1, 3, 4, 5, 6, 7, 8, 9, 10]


def test_a_version_with_which_nothing_was_sealed_is_foreign(database: Database) -> None:
    """Also to a copy of the database as it was between the two, and for ever."""
    versions = run(database, 1)
    first, *given = [versions.next() for _ in range(5)]
    assert foreign_below(versions, 7) == [1, 2, 3, 4, 5, 6]
    for version in (first, given[1]):
        versions.sealed(version)
    database.commit()
    following = run(database, 2)
    for each in (versions, Versions(database), following):
        assert foreign_below(each, 8) == [1, 3, 5, 6, 7]
    assert give(following) == make_version(3, 9)
    for each in (following, Versions(database), run(database, 2)):
        assert foreign_below(each, 11) == [1, 3, 5, 6, 7, 8, 10]


def test_the_newest_leaps_are_remembered(database: Database) -> None:
    for _ in range(LEAPS_REMEMBERED + 1):
        give(run(database, 10))
    is_foreign = Versions(database).foreign()
    assert not is_foreign(make_version(3, 5))
    assert is_foreign(make_version(3, 16))
    assert is_foreign(make_version(3, 11 * LEAPS_REMEMBERED + 5))
