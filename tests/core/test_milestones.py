"""Since when which group is held: never too early, in bounded space."""

from coopfs.core.milestones import Milestones
from coopfs.limits import MILESTONES

DAY = 86400


def test_a_group_is_held_since_the_first_moment_at_or_after_it() -> None:
    milestones = Milestones()
    assert milestones.since(1) is None
    milestones.note(3, 100)
    milestones.note(4, 200)
    milestones.note(9, 300)
    assert [milestones.since(group) for group in (1, 3, 4, 5, 9, 10)] == [100, 100, 200, 300, 300, None]
    assert milestones.newest == 9


def test_years_take_bounded_space_and_the_last_day_stays_exact() -> None:
    """A group a minute for a year, seven at a time."""
    milestones = Milestones()
    for group in range(1, 365 * 24 * 60, 7):
        milestones.note(group, group * 60)
    assert len(milestones.encode()) <= MILESTONES * 16
    last = milestones.newest
    for group in range(1, last + 1, 1009):
        since = milestones.since(group)
        assert since is not None
        assert since >= group * 60
    assert milestones.since(last) == last * 60
    assert milestones.since(last - 700) == (last - 700) * 60
    week_old = last - 7 * 24 * 60
    since = milestones.since(week_old)
    assert since is not None
    assert since - week_old * 60 < 7 * DAY


def test_what_is_kept_comes_back() -> None:
    milestones = Milestones([(1, 5), (1 << 40, 1 << 40)])
    assert Milestones.decode(milestones.encode()).since(2) == 1 << 40
