"""The books of the cache: they add up, and what is not safe is never found by whoever looks for a victim."""

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from coopfs.core.cache import Cache, charge_of
from coopfs.core.quorum import Quorum


@given(st.integers(0, 2**32))
def test_only_what_may_go_goes_and_the_books_add_up(seed: int) -> None:
    """`told`: not every change is judged, as if somebody had forgotten to say that a margin moved."""
    random = Random(seed)
    cache, safe, there, strays = Cache(), set[int](), dict[int, int](), dict[int, int]()
    cache.may_go = safe.__contains__
    cache.limit(1 << 20, 3 << 18)
    for step in range(200):
        stripe = random.randrange(20)
        match random.choice(["charge", "forget", "safe", "unsafe", "evict", "all", "touch", "stray", "no stray"]):
            case "charge":
                there[stripe] = random.randrange(100_000)
                cache.charge(stripe, there[stripe])
            case "forget":
                there.pop(stripe, None)
                cache.forget(stripe)
            case "safe" | "unsafe" as which:
                (safe.add if which == "safe" else safe.discard)(stripe)
                if random.random() < 0.7:
                    cache.judge(stripe)
            case "evict":
                victim = cache.evict()
                if victim is not None:
                    assert victim in safe, step
                    del there[victim]
            case "stray" if stripe + 100 not in strays:
                strays[stripe + 100] = random.randrange(100_000)
                cache.charge_stray(stripe + 100, strays[stripe + 100])
            case "no stray":
                assert cache.evict_stray() == next(iter(strays), None)
                strays.pop(next(iter(strays), 0), None)
            case "all":
                cache.judge_all()
                assert cache.clean == sum(charge_of(there[s]) for s in there if s in safe)
            case "touch":
                cache.touch(stripe)
        assert cache.stray == sum(map(charge_of, strays.values()))
        assert cache.used == sum(map(charge_of, there.values())) + cache.stray
        assert cache.dirty + cache.clean + cache.stray == cache.used
        assert all(stripe in cache for stripe in (*there, *strays))
        assert cache.takes_dirty(1000) == (cache.dirty + 1000 <= 3 << 18)
        assert cache.lacks(1000) == (cache.used + 1000 > 1 << 20)
    cache.judge_all()
    while (victim := cache.evict()) is not None:
        assert victim in safe
        del there[victim]
    assert not safe & there.keys()


def test_who_waits_for_room_is_told_whenever_dirty_bytes_become_fewer() -> None:
    told: list[int] = []
    safe: set[int] = set()
    cache = Cache()
    cache.may_go = safe.__contains__
    cache.on_room = lambda: told.append(cache.dirty)
    for stripe in range(3):
        cache.charge(stripe, 4096)
    assert told == []
    safe.add(0)
    cache.judge(0)
    cache.forget(1)
    cache.charge(2, 1)
    assert told == [8192, 4096, 0]


def test_content_may_go_when_it_is_safe_and_one_more_loss_is_survived() -> None:
    """acks outside A against k+m: R8, and R7 for what is safe."""
    for k, m, away, acks, may in [
        (6, 2, 0b0, 0b0111_1111, True),
        (6, 2, 0b0, 0b0011_1111, False),
        (6, 2, 0b1, 0b1111_1111, True),
        (6, 2, 0b1, 0b0111_1111, False),
        (6, 2, 0b11, 0b1111_1111, False),
        (1, 1, 0b0, 0b11, True),
        (1, 1, 0b0, 0b01, False),
        (1, 1, 0b1, 0b11, False),
        (2, 0, 0b0, 0b11, False),
        (6, 6, 0b0, 0b0011_1111_1111, False),
        (6, 6, 0b0, 0b0111_1111_1111, True),
    ]:
        assert Quorum(k, m).may_go(acks, away) is may, (k, m, away, acks)
