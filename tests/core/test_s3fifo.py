"""The order in which clean content goes: bytes add up, and a scan does not throw out what is used."""

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from coopfs.core.s3fifo import S3Fifo
from coopfs.limits import GHOST_STRIPES, READ_APART

ROOM = 100  # entries of one byte each


class Small:
    """A cache of ROOM entries that fetches what is read and not there."""

    def __init__(self) -> None:
        self.policy = S3Fifo()
        self.fetched = 0

    def read(self, id_: int) -> None:
        if id_ not in self.policy:
            self.fetched += 1
            if self.policy.bytes >= ROOM:
                assert self.policy.evict() is not None
            self.policy.add(id_, 1)
        for _ in range(12):  # in requests of a twelfth
            self.policy.touch(id_)


def test_a_scan_does_not_throw_out_a_hot_set() -> None:
    cache, hot = Small(), range(50)
    for _ in range(5):
        for id_ in hot:
            cache.read(id_)
        for other in range(READ_APART):
            cache.read(1000 + other)
    scan, missed = iter(range(10_000, 100_000)), 0
    for _ in range(20):
        for _ in range(ROOM):
            cache.read(next(scan))
        before = cache.fetched
        for id_ in hot:
            cache.read(id_)
        missed += cache.fetched - before
    assert missed < 20, "of 1,000 reads between scans as long as the cache; with LRU it is every one"


def test_a_scan_in_many_requests_leaves_through_the_small_queue() -> None:
    cache = Small()
    for id_ in range(10 * ROOM):
        cache.read(id_)
    assert [cache.policy.evict() for _ in range(ROOM)] == list(range(9 * ROOM, 10 * ROOM))


def test_what_comes_back_soon_after_it_left_stays_longer_than_what_is_new() -> None:
    cache = Small()
    for id_ in range(ROOM + 1):
        cache.read(id_)
    assert 0 not in cache.policy
    cache.read(0)
    for id_ in range(1000, 1000 + 2 * ROOM):
        cache.read(id_)
    assert 0 in cache.policy


def test_ghosts_are_bounded() -> None:
    policy = S3Fifo()
    for id_ in range(GHOST_STRIPES + 10):
        policy.add(id_, 1)
    for _ in range(GHOST_STRIPES + 5):
        policy.evict()
    assert len(policy._ghosts) <= min(GHOST_STRIPES, max(len(policy), 1))


@given(st.integers(0, 2**32), st.integers(1, 300))
def test_bytes_add_up_and_every_entry_goes_once(seed: int, steps: int) -> None:
    random, policy = Random(seed), S3Fifo()
    there: dict[int, int] = {}
    for id_ in range(steps):
        size = random.randrange(1, 1000)
        policy.add(id_, size)
        there[id_] = size
        for _ in range(random.randrange(4)):
            policy.touch(random.randrange(id_ + 3))
        if random.random() < 0.3:
            gone = random.choice(list(there))
            policy.discard(gone)
            del there[gone]
        if random.random() < 0.4 and there:
            victim = policy.evict()
            assert victim is not None
            del there[victim]
        assert (policy.bytes, len(policy)) == (sum(there.values()), len(there))
        assert all(id_ in policy for id_ in there)
    while (victim := policy.evict()) is not None:
        del there[victim]
    assert not there
    assert policy.bytes == 0
