"""When the log is looked at for cleaning."""

from coopfs.core.cleaning import counts_again, sums_again
from coopfs.limits import RECOUNT_SHARE, TURNOVER_SHARE


def counts(lengths: range) -> list[int]:
    """The lengths of the chain at which live images were counted."""
    counted = [0]
    for metas in lengths:
        if counts_again(metas, counted[-1]):
            counted.append(metas)
    return counted[1:]


def test_a_log_that_grows_or_shrinks_is_counted_in_steps_of_its_own_size() -> None:
    for lengths in (range(10_000), range(10_000, 0, -1)):
        assert len(counts(lengths)) < 200


def test_a_count_is_never_older_than_a_part_of_the_log() -> None:
    assert counts(range(RECOUNT_SHARE)) == list(range(RECOUNT_SHARE))
    for earlier, later in zip(found := counts(range(10_000)), found[1:], strict=False):
        assert later - earlier <= earlier / RECOUNT_SHARE + 1


def test_live_bytes_are_summed_up_again_when_a_part_of_them_has_changed() -> None:
    assert sums_again(0, 0)
    assert not sums_again(1_000_000, TURNOVER_SHARE * 1_000_001)
    assert sums_again(1_000_000, TURNOVER_SHARE * 1_000_000)
