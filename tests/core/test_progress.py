"""How far the log has got: the bookkeeping against counting everything out each time (design R7)."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from random import Random

import pytest

from coopfs.core.progress import Progress
from coopfs.core.quorum import Quorum, Reach
from coopfs.core.seats import Seats, seat
from coopfs.types import Layout

ONE_TWO = Quorum(1, 2)  # f = 1, f_min = 1: safe with two blocks outside A


def seats_of(*quorums: Quorum) -> Seats:
    """Of layouts 1, 2 ..., one after the other."""
    return seat([Layout(number, q.k, q.m, 65536) for number, q in enumerate(quorums, 1)], {})


def with_acks(quorum: Quorum, *stripes: tuple[int, int, int | None, int]) -> Progress:
    """(id, born, died, acks) of sealed stripes; all their groups are sealed."""
    progress = Progress(seats_of(quorum), 0, 0)
    for id_, born, died, acks in stripes:
        progress.add(id_, 1, born, died, acks)
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
    progress = Progress(seats_of(ONE_TWO), 1, 2)
    progress.add(1, 1, 1, 2, 0b001)
    progress.add(2, 1, 2, None, 0b011)
    assert progress.advance() == 2


def test_the_barrier_never_moves_back() -> None:
    progress = with_acks(ONE_TWO, (1, 1, None, 0b011))
    assert progress.advance() == 1
    progress.retract(1, 0)
    assert progress.advance() == 1
    assert progress.margin() == 0


def test_no_group_is_held_before_its_end_is_sealed() -> None:
    progress = Progress(seats_of(ONE_TWO), 0, 0)
    progress.add(1, 1, 1, None, 0b111)
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


def test_a_group_of_two_layouts_is_held_when_each_stripe_is_safe_by_its_own() -> None:
    """1+2 is safe with two blocks, 3+1 only with four; the three blocks of either are as many bits."""
    progress = Progress(seats_of(ONE_TWO, Quorum(3, 1)), 0, 0)
    progress.add(1, 1, 1, None, 0b11)
    progress.add(2, 2, 1, None, 0b111 << 3)
    progress.seal_group(1)
    assert progress.advance() == 0
    progress.ack(2, 6)
    assert progress.advance() == 1
    assert progress.margin() == 1


def test_a_column_of_another_layout_neither_lacks_a_stripe_nor_has_it() -> None:
    progress = Progress(seats_of(ONE_TWO, Quorum(1, 1)), 0, 0)
    progress.add(1, 1, 1, None, 0b001)
    assert [progress.count_missing(seat) for seat in range(5)] == [0, 1, 1, 0, 0]
    assert progress.ack(1, 4) is None
    progress.set_away(0b11000)
    progress.seal_group(1)
    progress.ack(1, 1)
    assert progress.advance() == 0, "what is complete in the other one would not be safe"
    progress.set_away(0b01000)
    assert progress.advance() == 1, "of 1+1 one partner may be away"


@dataclass(slots=True)
class Plain:
    """A stripe of the model. layout: its number; acks: by column of it."""

    layout: int
    born: int
    died: int | None
    acks: int


class Model:
    """The same, by the words of R7, from scratch at every question. away: by layout, columns of it."""

    def __init__(self, quorums: Sequence[Quorum]) -> None:
        self.quorums = dict(enumerate(quorums, 1))
        self.bases = dict(zip(self.quorums, accumulate((q.n for q in quorums), initial=0), strict=False))
        self.stripes: dict[int, Plain] = {}
        self.barrier = self.sealed = 0
        self.away = dict.fromkeys(self.quorums, 0)

    def named(self, group: int) -> list[Plain]:
        return [s for s in self.stripes.values() if s.born <= group and (s.died is None or s.died > group)]

    def outside(self, stripe: Plain) -> int:
        return (stripe.acks & ~self.away[stripe.layout]).bit_count()

    def is_safe(self, stripe: Plain) -> bool:
        return self.outside(stripe) >= self.quorums[stripe.layout].to_be_safe(self.away[stripe.layout])

    def advance(self) -> int:
        if all(q.n - self.away[j].bit_count() >= q.to_be_safe(self.away[j]) for j, q in self.quorums.items()):
            while self.barrier < self.sealed and all(map(self.is_safe, self.named(self.barrier + 1))):
                self.barrier += 1
        return self.barrier

    def margin(self) -> int:
        least = [q.n - self.away[j].bit_count() - q.k for j, q in self.quorums.items()]
        return min([*least, *(self.outside(s) - self.quorums[s.layout].k for s in self.named(self.barrier))])

    def is_written(self, group: int) -> bool:
        mine = [s for s in self.stripes.values() if s.born == group]
        return all(self.quorums[s.layout].reach(s.acks, self.away[s.layout]) >= Reach.WRITTEN for s in mine)

    def is_complete(self, stripe: Plain) -> bool:
        return stripe.acks.bit_count() == self.quorums[stripe.layout].n

    def lacks(self, layout: int, column: int) -> list[Plain]:
        named = self.named(self.barrier)
        return [s for s in named if s.layout == layout and not s.acks >> column & 1]

    def mask_away(self) -> int:
        return sum(mask << self.bases[layout] for layout, mask in self.away.items())


SOME = [Quorum(1, 0), Quorum(1, 1), Quorum(1, 2), Quorum(2, 2), Quorum(3, 2)]


@pytest.mark.parametrize(
    "quorums", [*((q,) for q in SOME), *pairwise(SOME), (Quorum(3, 2), Quorum(1, 1), Quorum(1, 2))], ids=str
)
@pytest.mark.parametrize("seed", range(12))
def test_it_agrees_with_counting_everything_out(quorums: Sequence[Quorum], seed: int) -> None:
    random = Random(seed)
    progress, model = Progress(seats_of(*quorums), 0, 0), Model(quorums)
    for step in range(90):
        _one_event(random, progress, model)
        where = f"seed {seed} step {step}"
        assert progress.advance() == model.advance(), where
        assert progress.margin() == model.margin(), where
        for group in range(1, model.sealed + 2):
            assert progress.is_written(group) == model.is_written(group), where
        for layout, quorum in model.quorums.items():
            for column in range(quorum.n):
                caught_up = progress.has_caught_up(model.bases[layout] + column)
                assert caught_up == (not model.lacks(layout, column)), where
        assert progress.pending == sum(not model.is_complete(s) for s in model.stripes.values()), where


def _one_event(random: Random, progress: Progress, model: Model) -> None:
    """Something happens to both. Every group gets a stripe that never dies, as its END does not."""
    living = [id_ for id_, stripe in model.stripes.items() if stripe.died is None]
    match random.choice(["seal", "ack", "ack", "ack", "ack", "retract", "away", "die"]):
        case "seal":
            group = model.sealed + 1
            for id_ in range(group * 10, group * 10 + random.randint(1, 3)):
                layout = random.choice(list(model.quorums))
                model.stripes[id_] = Plain(layout, group, None, 0)
                progress.add(id_, layout, group, None, 0)
            model.sealed = group
            progress.seal_group(group)
        case "ack" if model.stripes:
            id_, column = _some_column(random, model)
            model.stripes[id_].acks |= 1 << column
            progress.ack(id_, model.bases[model.stripes[id_].layout] + column)
        case "retract" if model.stripes and random.random() < 0.3:
            id_, column = _some_column(random, model)
            stripe = model.stripes[id_]
            base = model.bases[stripe.layout]
            if progress.get(id_) is None:
                progress.add(id_, stripe.layout, stripe.born, stripe.died, stripe.acks << base)
            stripe.acks &= ~(1 << column)
            progress.retract(id_, base + column)
        case "away":
            for layout, quorum in model.quorums.items():
                model.away[layout] = random.choice([0, random.randrange(1 << quorum.n)])
            progress.set_away(model.mask_away())
        case "die" if living:
            id_, group = random.choice(living), model.sealed
            if model.stripes[id_].born < group and model.barrier < group and id_ % 10:
                model.stripes[id_].died = group
                progress.die(id_, group)


def _some_column(random: Random, model: Model) -> tuple[int, int]:
    """(stripe, column of its layout)."""
    id_ = random.choice(list(model.stripes))
    return id_, random.randrange(model.quorums[model.stripes[id_].layout].n)


@pytest.mark.parametrize("quorums", [(Quorum(2, 1),), (Quorum(3, 2),), (Quorum(1, 2), Quorum(2, 2))], ids=str)
@pytest.mark.parametrize("seed", range(10))
def test_whose_content_may_go_or_stay_after_columns_went_or_came(quorums: Sequence[Quorum], seed: int) -> None:
    random = Random(seed)
    progress, model = Progress(seats_of(*quorums), 0, 0), Model(quorums)
    for step in range(60):
        _one_event(random, progress, model)
        before = {id_: (progress.may_go(id_), progress.acks(id_)) for id_ in model.stripes}
        model.away = {layout: random.randrange(1 << quorum.n) for layout, quorum in model.quorums.items()}
        turned = progress.set_away(model.mask_away())
        for id_, (might, acks) in before.items():
            assert (progress.may_go(id_) != might) == (acks in turned), f"seed {seed} step {step}"


def test_no_column_waits_for_what_cannot_be_had() -> None:
    """Two of three lose a block of 2+1: they catch up without it, unless it turns up again."""
    progress = Progress(seats_of(Quorum(2, 1)), 0, 0)
    for id_ in (1, 2):
        progress.add(id_, 1, 1, None, 0b111)
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


def test_a_group_is_written_without_what_cannot_be_had() -> None:
    progress = Progress(seats_of(Quorum(2, 1)), 0, 0)
    progress.add(1, 1, 1, None, 0)
    progress.add(2, 1, 1, None, 0b111)
    assert not progress.is_written(1)
    progress.give_up(1)
    assert progress.is_written(1)
    progress.seal_group(1)
    assert progress.advance() == 0
