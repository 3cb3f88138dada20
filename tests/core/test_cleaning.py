"""A model of a disk that is filled to its last admitted byte: what frees always has rows, and what was freed comes back
(design R9). Contents are chosen to be as bad as they can be; all that is asked is what the product asks."""

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coopfs.core import space
from coopfs.core.cleaning import heads_to_retire, is_worth_emptying, stripes_to_empty
from coopfs.core.meta import records_capacity
from coopfs.core.space import (
    Usage,
    budget,
    content_rows,
    lacks_rows,
    log_slack,
    reserve_rows,
    rows_to_clean_with,
    stripe_payload,
)
from coopfs.types import Layout

LAYOUTS = [Layout(1, 1, 1, 92 * 1024), Layout(2, 1, 1, 128 * 1024), Layout(1, 6, 2, 256 * 1024)]
IMAGE, TOMBSTONE = 120, 30  # bytes; a long name's are 275 and 268, and so in the same proportion to a log half as long


class OutOfRows(AssertionError):
    """The disk is stuck for ever."""


@dataclass
class Disk:
    """Stripes by what lives in them. data: bytes; chain: bytes of images, the head first; told: of the open group."""

    layout: Layout
    total: int
    data: list[int] = field(default_factory=list)
    chain: list[int] = field(default_factory=lambda: [IMAGE])
    told: int = 0
    dead: int = 0  # bytes of the open group that are never told again
    filling: int = 0
    rounds: int = 0

    def __post_init__(self) -> None:
        self.payload = stripe_payload(self.layout)
        self.capacity = records_capacity(self.payload)

    def usage(self) -> Usage:
        open_rows = max(1, -(-(self.told + self.dead) // self.capacity))
        data_rows = len(self.data) + -(-self.filling // self.payload)
        images, content = sum(self.chain) + self.told, sum(self.data) + self.filling
        return Usage(self.layout, self.total, data_rows, len(self.chain) + open_rows, images, content)

    def close(self) -> None:
        """The open group ends, and is held before the next one does."""
        while self.filling > 0:
            self.data.append(min(self.filling, self.payload))
            self.filling -= self.data[-1]
        rows = max(1, -(-(self.told + self.dead) // self.capacity))
        live = self.told
        for _ in range(rows):
            self.chain.append(min(live, self.capacity))
            live -= self.chain[-1]
        self.told = self.dead = 0
        if len(self.data) + len(self.chain) > self.total:
            raise OutOfRows(f"{self.total} rows, {len(self.data)} of data and {len(self.chain)} of the log")

    def fill(self, random: Random, share: float) -> None:
        """Write until nothing is admitted. share: of files that are empty."""
        while budget(self.usage()) > 0:
            files = random.randrange(1, 40)
            self.told += IMAGE * files
            if random.random() > share:
                self.filling += min(self.payload, budget(self.usage()))
            if random.random() < 0.3 or self.told > self.capacity:
                self.close()
                self.clean(most=1)
        self.close()

    def delete_from_chain(self, index: int, size: int) -> None:
        size = min(size, self.chain[index])
        self.chain[index] -= size
        self.dead += size * TOMBSTONE // IMAGE

    def clean(self, most: int = 10_000) -> None:
        """As the retirer and the compactor do, until neither finds anything worth doing."""
        for _ in range(most):
            retired, emptied = self._retire(), self._empty()
            if not retired and not emptied:
                return
            self.rounds += 1
            self._close_over(retired, emptied)
        if most > 1:
            raise AssertionError("it would clean for ever")

    def _retire(self) -> int:
        heads, done = heads_to_retire(self.usage(), len(self.chain)), 0
        while done < heads and rows_to_clean_with(self.usage()) > 1:
            self.told += self.chain[done]
            self.chain[done], done = 0, done + 1  # it lives in the open group now, and the row is still taken
        return done

    def _empty(self) -> int:
        count, most = stripes_to_empty(self.usage(), len(self.data))
        self.data.sort()
        found = [live for live in self.data if live <= most][:count]
        if not is_worth_emptying(self.layout, found):
            return 0
        self.filling += sum(found)
        for index, live in enumerate(found):
            self.told += IMAGE * (1 + live // 100_000)
            self.data[index] = 0
        return len(found)

    def _close_over(self, retired: int, emptied: int) -> None:
        self.close()  # all rows are taken here
        self.chain = self.chain[retired:]
        self.data.sort()
        self.data = self.data[emptied:]


def worst_front(disk: Disk) -> None:
    """All that lives in the log stands at its front, and behind that is nothing but what died."""
    live, chain = sum(disk.chain), []
    for _ in disk.chain:
        chain.append(min(live, disk.capacity))
        live -= chain[-1]
    disk.chain = chain


DELETIONS: dict[str, Callable[[Disk, int, Random], None]] = {
    "newest first": lambda disk, size, random: disk.delete_from_chain(
        max((i for i, live in enumerate(disk.chain) if live), default=0), size
    ),
    "oldest first": lambda disk, size, random: disk.delete_from_chain(
        min((i for i, live in enumerate(disk.chain) if live), default=0), size
    ),
    "anywhere": lambda disk, size, random: disk.delete_from_chain(random.randrange(len(disk.chain)), size),
    "nothing but names": lambda disk, size, random: setattr(disk, "dead", disk.dead + min(size, sum(disk.chain) // 4)),
}


@settings(max_examples=60)
@given(
    st.sampled_from(LAYOUTS),
    st.integers(48, 400),
    st.sampled_from(sorted(DELETIONS)),
    st.sampled_from([0.0, 0.5, 1.0]),
    st.integers(0, 10**6),
)
def test_deleting_always_has_rows(layout: Layout, total: int, how: str, empty_files: float, seed: int) -> None:
    random = Random(seed)
    disk = Disk(layout, total)
    disk.fill(random, empty_files)
    worst_front(disk)
    for _ in range(200):
        DELETIONS[how](disk, random.choice([IMAGE, disk.capacity // 3, disk.capacity]), random)
        disk.close()
        disk.clean(most=1)
    disk.clean()
    assert sum(disk.chain) == 0 or how != "newest first" or total < 100 or disk.usage().log_rows < total // 2


@settings(max_examples=100)
@given(st.sampled_from(LAYOUTS), st.integers(48, 1200), st.floats(0, 1), st.integers(0, 10**6))
def test_what_was_freed_comes_back(layout: Layout, total: int, even: float, seed: int) -> None:
    """However thinly it was spread over the stripes."""
    random = Random(seed)
    disk = Disk(layout, total)
    disk.fill(random, 0.0)
    for _ in range(4):
        share = random.random()
        disk.data = [int(live * (1 - share if random.random() < even else random.random())) for live in disk.data]
        disk.close()
        disk.clean()
        usage = disk.usage()
        assert not lacks_rows(usage), usage
        disk.fill(random, 0.0)


def wins_rows(total: int, free: int) -> bool:
    """Whether rows can be won with exactly so many free ones, where what is dead is spread evenly over all stripes, and
    is the least that is promised to come back."""
    layout = LAYOUTS[1]
    stripes = total - free - log_slack(total)
    content = (content_rows(total) - 1) * stripe_payload(layout)
    count, _ = stripes_to_empty(Usage(layout, total, stripes, log_slack(total), 0, content), stripes)
    return is_worth_emptying(layout, [content // stripes] * count)


@given(st.integers(60, 20_000))
def test_the_reserve_always_wins_rows_and_three_quarters_of_it_would_not(total: int) -> None:
    """R is exact but for what rounds: with all of it free rows come back, whatever the contents; with fewer there are
    contents of which none do. The quarter between is what a group's last stripes and CLEANING_GAIN take."""
    reserve = reserve_rows(total)
    assert wins_rows(total, reserve)
    least = next(rows for rows in range(reserve) if wins_rows(total, rows))
    assert not any(wins_rows(total, rows) for rows in range(least))
    assert least >= 0.7 * reserve


def test_without_rows_for_what_is_told_again_a_full_log_gets_stuck(monkeypatch: pytest.MonkeyPatch) -> None:
    """LOG_SPARE."""

    def delete_all() -> None:
        disk = Disk(LAYOUTS[0], 400)
        disk.fill(Random(3), 1.0)
        worst_front(disk)
        for _ in range(400):
            disk.delete_from_chain(max((i for i, live in enumerate(disk.chain) if live), default=0), disk.capacity // 3)
            disk.close()
            disk.clean(most=1)

    delete_all()
    for name in ("LOG_SPARE", "LOG_FACTOR"):
        monkeypatch.setattr(space, name, 0)
    with pytest.raises(OutOfRows):
        delete_all()
