"""Stripes below target, in little memory: what is found by id and by acks is what was put there."""

from random import Random

import pytest

from coopfs.core.ids import Ids
from coopfs.core.pending import Pending, PendingStripes

IDS = [*range(1, 30), *range(1020, 1030), 5000, 1 << 40]  # around the end of a chunk, and far away


@pytest.mark.parametrize("seed", range(10))
def test_it_keeps_what_was_put(seed: int) -> None:
    random = Random(seed)
    stripes, model = PendingStripes(), dict[int, Pending]()
    for _ in range(400):
        id_ = random.choice(IDS)
        if id_ in model and random.random() < 0.4:
            stripes.remove(id_)
            del model[id_]
        else:
            model[id_] = Pending(id_, random.randint(1, 9), random.choice([None, 10]), random.randrange(4) << 60)
            stripes.put(model[id_])
        assert len(stripes) == len(model)
    for id_ in IDS:
        assert stripes.get(id_) == model.get(id_)
        assert (id_ in stripes) == (id_ in model)
    assert stripes.masks() == {
        acks: count for acks in range(1 << 62)[:: 1 << 60] if (count := sum(p.acks == acks for p in model.values()))
    }


def test_they_come_least_worth_first_then_oldest_first() -> None:
    stripes = PendingStripes()
    for id_, acks in ((2000, 0b01), (1, 0b10), (3, 0b11), (4, 0b00), (1500, 0b10), (7, 0b01)):
        stripes.put(Pending(id_, 1, None, acks))
    assert [p.id for p in stripes.by_worth(stripes.masks(), int.bit_count)] == [4, 1, 7, 1500, 2000, 3]
    assert [p.id for p in stripes.with_acks(0b10)] == [1, 1500]
    some = Ids()
    for id_ in (7, 1, 1500, 8):
        some.add(id_)
    assert [p.id for p in stripes.by_worth(stripes.masks(), int.bit_count, some)] == [4, 2000, 3]
    assert list(stripes.with_acks(0b111)) == []
