"""Files that do not shrink are tried ever less often, and never given up."""

from coopfs.core.shrinking import Shrinking
from coopfs.limits import MIB, STUBBORN_FILES, UNTRIED_MAX

REQUEST = 128 * 1024  # bytes


def tries(shrinking: Shrinking, ino: int, requests: int) -> int:
    """How many of so many requests are tried, all in vain."""
    tried = 0
    for _ in range(requests):
        if shrinking.is_worth_trying(ino, REQUEST):
            tried += 1
            shrinking.did_not_shrink(ino, REQUEST)
    return tried


def test_a_gigabyte_that_does_not_shrink_is_hardly_ever_tried() -> None:
    tried = tries(Shrinking(), 7, 1024 * MIB // REQUEST)
    assert 1024 * MIB // UNTRIED_MAX <= tried < 1024 * MIB // UNTRIED_MAX + 8


def test_one_success_ends_the_doubt_and_other_files_are_not_concerned() -> None:
    shrinking = Shrinking()
    assert tries(shrinking, 7, 100) < 10
    assert shrinking.is_worth_trying(8, REQUEST)
    shrinking.shrank(7)
    assert all(shrinking.is_worth_trying(7, REQUEST) for _ in range(10))


def test_a_small_request_says_little() -> None:
    shrinking = Shrinking()
    shrinking.did_not_shrink(7, 1000)
    assert not shrinking.is_worth_trying(7, 1000)
    assert shrinking.is_worth_trying(7, 1000)


def test_what_is_known_is_bounded() -> None:
    shrinking = Shrinking()
    for ino in range(STUBBORN_FILES + 1):
        shrinking.did_not_shrink(ino, REQUEST)
    assert shrinking.is_worth_trying(0, REQUEST)
    assert not shrinking.is_worth_trying(1, REQUEST)
