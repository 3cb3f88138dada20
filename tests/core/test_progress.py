"""How far the log has got: the bookkeeping against counting everything out each time (design R7)."""

from dataclasses import dataclass
from random import Random

import pytest

from coopfs.core.progress import Progress
from coopfs.core.quorum import Quorum, Reach

ONE_TWO = Quorum(1, 2)  # f = 1, f_min = 1: safe with two blocks outside A


def with_acks(quorum: Quorum, *stripes: tuple[int, int, int | None, int]) -> Progress:
    """(id, born, died, acks) of sealed stripes; all their groups are sealed."""
    progress = Progress(quorum, 0, 0)
    for stripe in stripes:
        progress.add(*stripe)
    for group in range(1, max(born for _, born, _, _ in stripes) + 1):
        progress.seal_group(group)
    return progress


def test_a_group_is_held_when_all_that_its_end_names_is_safe() -> None:
    progress = with_acks(ONE_TWO, (1, 1, None, 0b001), (2, 1, None, 0b011), (3, 2, None, 0b011))
    assert progress.advance() == 0
    progress.ack(1, 2)
    assert progress.advance() == 2


def test_a_stripe_that_the_next_group_killed_still_counts_for_the_one_before() -> None:
    progress = with_acks(ONE_TWO, (1, 1, 2, 0b001), (2, 2, None, 0b011))
    assert progress.advance() == 0
    progress.ack(1, 1)
    assert progress.advance() == 2


def test_a_stripe_that_an_older_group_killed_does_not_count() -> None:
    progress = Progress(ONE_TWO, 1, 2)
    progress.add(1, 1, 2, 0b001)
    progress.add(2, 2, None, 0b011)
    assert progress.advance() == 2


def test_the_barrier_never_moves_back() -> None:
    progress = with_acks(ONE_TWO, (1, 1, None, 0b011))
    assert progress.advance() == 1
    progress.retract(1, 0)
    assert progress.advance() == 1
    assert progress.margin() == 0


def test_no_group_is_held_before_its_end_is_sealed() -> None:
    progress = Progress(ONE_TWO, 0, 0)
    progress.add(1, 1, None, 0b111)
    assert (progress.advance(), progress.complete()) == (0, 0)


@pytest.mark.parametrize(("away", "held"), [(0b100, 1), (0b110, 0), (0b111, 0)])
def test_with_most_columns_away_not_even_what_lies_everywhere_becomes_held(away: int, held: int) -> None:
    """Lose those in A and f_min others, and nothing is left of it."""
    progress = with_acks(ONE_TWO, (1, 1, None, 0b111))
    progress.set_away(away)
    assert progress.advance() == held


def test_a_column_has_not_caught_up_while_it_lacks_what_the_held_state_names() -> None:
    progress = with_acks(ONE_TWO, (1, 1, None, 0b011), (2, 2, None, 0b001))
    assert progress.advance() == 1
    assert [progress.has_caught_up(column) for column in range(3)] == [True, True, False]
    progress.die(1, 2)  # killed by a group that is not held: the held state still names it
    assert not progress.has_caught_up(2)
    progress.ack(2, 1)
    assert progress.advance() == 2
    assert not progress.has_caught_up(2)
    progress.ack(2, 2)
    assert progress.has_caught_up(2)


def test_complete_counts_groups_of_which_every_column_has_everything() -> None:
    progress = with_acks(ONE_TWO, (1, 1, None, 0b111), (2, 2, None, 0b011), (3, 3, None, 0b111))
    progress.ack(1, 0)
    assert progress.complete() == 0  # added with all acks, never forgotten: still to be reported as complete
    progress.release(1)
    assert progress.complete() == 1
    progress.ack(2, 2)
    progress.release(3)
    assert progress.complete() == 3


@dataclass(slots=True)
class Plain:
    """A stripe of the model."""

    born: int
    died: int | None
    acks: int


class Model:
    """The same, by the words of R7, from scratch at every question."""

    def __init__(self, quorum: Quorum) -> None:
        self.quorum = quorum
        self.stripes: dict[int, Plain] = {}
        self.barrier = self.sealed = self.away = 0

    def named(self, group: int) -> list[Plain]:
        return [s for s in self.stripes.values() if s.born <= group and (s.died is None or s.died > group)]

    def outside(self, stripe: Plain) -> int:
        return (stripe.acks & ~self.away).bit_count()

    def advance(self) -> int:
        safe = self.quorum.to_be_safe(self.away)
        while self.barrier < self.sealed and all(self.outside(s) >= safe for s in self.named(self.barrier + 1)):
            self.barrier += 1
        return self.barrier

    def margin(self) -> int:
        least = self.quorum.n - self.away.bit_count() - self.quorum.k
        return min([least, *(self.outside(s) - self.quorum.k for s in self.named(self.barrier))])

    def is_written(self, group: int) -> bool:
        mine = [s for s in self.stripes.values() if s.born == group]
        return all(self.quorum.reach(s.acks, self.away) >= Reach.WRITTEN for s in mine)


@pytest.mark.parametrize("quorum", [Quorum(1, 0), Quorum(1, 1), Quorum(1, 2), Quorum(2, 2), Quorum(3, 2)], ids=str)
@pytest.mark.parametrize("seed", range(12))
def test_it_agrees_with_counting_everything_out(quorum: Quorum, seed: int) -> None:
    random = Random(seed)
    progress, model = Progress(quorum, 0, 0), Model(quorum)
    full = (1 << quorum.n) - 1
    for step in range(90):
        _one_event(random, progress, model)
        where = f"seed {seed} step {step}"
        assert progress.advance() == model.advance(), where
        assert progress.margin() == model.margin(), where
        for group in range(1, model.sealed + 2):
            assert progress.is_written(group) == model.is_written(group), where
        for column in range(quorum.n):
            lacks = [s for s in model.named(model.barrier) if not s.acks >> column & 1]
            assert progress.has_caught_up(column) == (not lacks), where
        assert progress.pending == sum(s.acks != full for s in model.stripes.values()), where


def _one_event(random: Random, progress: Progress, model: Model) -> None:
    """Something happens to both. Every group gets a stripe that never dies, as its END does not."""
    living = [id_ for id_, stripe in model.stripes.items() if stripe.died is None]
    match random.choice(["seal", "ack", "ack", "ack", "ack", "retract", "away", "die"]):
        case "seal":
            group = model.sealed + 1
            for id_ in range(group * 10, group * 10 + random.randint(1, 3)):
                model.stripes[id_] = Plain(group, None, 0)
                progress.add(id_, group, None, 0)
            model.sealed = group
            progress.seal_group(group)
        case "ack" if model.stripes:
            id_, column = random.choice(list(model.stripes)), random.randrange(model.quorum.n)
            model.stripes[id_].acks |= 1 << column
            progress.ack(id_, column)
        case "retract" if model.stripes and random.random() < 0.3:
            id_, column = random.choice(list(model.stripes)), random.randrange(model.quorum.n)
            stripe = model.stripes[id_]
            if progress.get(id_) is None:
                progress.add(id_, stripe.born, stripe.died, stripe.acks)
            stripe.acks &= ~(1 << column)
            progress.retract(id_, column)
        case "away":
            model.away = random.choice([0, random.randrange(1 << model.quorum.n)])
            progress.set_away(model.away)
        case "die" if living:
            id_, group = random.choice(living), model.sealed
            if model.stripes[id_].born < group and model.barrier < group and id_ % 10:
                model.stripes[id_].died = group
                progress.die(id_, group)


def test_no_column_waits_for_what_cannot_be_had() -> None:
    """Two of three lose a block of 2+1: they catch up without it, unless it turns up again."""
    progress = Progress(Quorum(2, 1), 0, 0)
    for id_ in (1, 2):
        progress.add(id_, 1, None, 0b111)
    progress.seal_group(1)
    assert progress.advance() == 1
    for column in (0, 1):
        progress.retract(1, column)
    assert not progress.has_caught_up(0)
    progress.give_up(1)
    assert progress.has_caught_up(0)
    assert progress.margin() < 0, "what is held is told as it is"
    progress.die(1, 2)
    assert progress.has_caught_up(0)
    progress.ack(1, 1)
    assert not progress.has_caught_up(0), "now it can be had"
