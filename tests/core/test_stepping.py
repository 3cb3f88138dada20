"""Stepping between, as the table has it: three parties, whose words are lost, late or answered to nobody, and each of
which dies at any moment and goes on with what it had saved. Nobody ever holds less than before."""

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

import pytest

from coopfs.core import stepping
from coopfs.core.stepping import (
    TELLING,
    TRANSITIONS,
    WELCOMING,
    Bid,
    Event,
    Facts,
    Step,
    after,
    answered,
    bid,
    noticed,
    told,
)
from coopfs.limits import STEP_PATIENCE, STEP_UNDO

S, E = Step, Event


@pytest.mark.parametrize(
    ("events", "step"),
    [
        ([E.FELLOW_ASKED, E.AGREED, E.FELLOW_JOINED, E.EMPTY, E.FELLOW_MOVED, E.FELLOW_GONE], S.NONE),
        ([E.AGREED], S.ASKED),
        ([E.FELLOW_ASKED, E.LATE], S.NONE),
        ([E.FELLOW_ASKED, E.AGREED, E.LATE, E.EMPTY, E.FELLOW_MOVED], S.JOINED),
        ([E.FELLOW_ASKED, E.AGREED, E.FELLOW_BEHIND], S.UNDONE),
        ([E.FELLOW_ASKED, E.AGREED, E.FELLOW_JOINED, E.FELLOW_BEHIND, E.FELLOW_MOVED], S.MOVING),
        ([E.FELLOW_ASKED, E.AGREED, E.FELLOW_JOINED, E.EMPTY, E.NEWCOMER_GONE], S.MOVED),
    ],
)
def test_what_follows(events: list[Event], step: Step) -> None:
    now = S.ASKED
    for event in events:
        now = after(now, event)
    assert now is step


def test_nobody_parts_but_when_both_have_moved_and_nobody_undoes_what_the_other_counts_on() -> None:
    assert [key for key, then in TRANSITIONS.items() if then is S.OVER] == [(S.MOVED, E.FELLOW_MOVED)]
    assert [key for key, then in TRANSITIONS.items() if then is S.UNDONE] == [(S.JOINED, E.FELLOW_BEHIND)]
    assert {step for step, event in TRANSITIONS if event in (E.FELLOW_ASKED, E.FELLOW_JOINED)} | {
        S.PLEDGED,
        S.MOVING,
        S.MOVED,
    } == TELLING


def test_what_was_true_once_does_not_stop_anything() -> None:
    for step in S:
        for theirs in (S.NONE, S.UNDONE):
            assert told(step, theirs) is None
    assert answered(S.MOVING, S.NONE, 0) is E.FELLOW_QUIT
    assert answered(S.JOINED, S.PLEDGED, STEP_UNDO) is None
    assert answered(S.JOINED, S.PLEDGED, STEP_UNDO + 1) is E.FELLOW_BEHIND
    assert answered(S.JOINED, S.PLEDGED, -1) is E.FELLOW_BEHIND, "the clock was put back"
    assert noticed(S.ASKED, Facts(True, False, False, STEP_PATIENCE)) is None
    assert noticed(S.ASKED, Facts(True, False, False, STEP_PATIENCE + 1)) is E.LATE


NEW, A, B = "new", "a", "b"
FELLOW = {A: B, B: A}


@dataclass
class Member:
    """What a member has saved, and who holds its column; None: it has no disk. starts: of its process."""

    name: str
    holder: str | None
    step: Step = S.NONE
    since: float = 0.0
    agreements: dict[str, int] = field(default_factory=dict)  # with whom -> which one
    starts: int = 0


class Story:
    """One run: any order of words, moves and crashes that the seed draws. may_stop: the newcomer may vanish for good;
    unwilling: who refuses it; used: with whom the newcomer's disk may be."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.now = 0.0
        self.members = {A: Member(A, B, agreements={B: 0}), B: Member(B, A, agreements={A: 0})}
        if self.random.random() < 0.2:
            self.members[A].holder = None
        self.newcomer: dict[str, int] = {}  # its agreements
        self.made = 0
        self.bids = {A: Bid.ASKING, B: Bid.ASKING}
        self.starts = 0
        self.vanished = False
        self.unwilling = self.random.choice([None, None, None, A, B])
        self.words: list[Callable[[], None]] = []
        self.used: set[str] = set()
        self.may_stop = False
        self.mishaps = self.random.choice([0.02, 0.1, 0.3])  # share of what happens

    # --- a member -------------------------------------------------------------------------------------------------

    def become(self, member: Member, event: Event | None) -> None:
        then = after(member.step, event)
        if then is member.step:
            return
        if then is S.JOINED:
            member.since = self.now
        member.step = then

    def look(self, member: Member) -> None:
        fellow = FELLOW[member.name]
        facts = Facts(
            fellow=fellow in member.agreements,
            newcomer=NEW in member.agreements and not (self.vanished and self.random.random() < 0.1),
            empty=member.holder != fellow,
            waited=self.now - member.since,
        )
        self.become(member, noticed(member.step, facts))
        may_move = member.step is S.MOVING and member.holder == fellow and not self.vanished
        if may_move and member.name in self.newcomer and NEW in member.agreements and self.random.random() < 0.5:
            member.holder = NEW
        if member.step is S.OVER:
            self.part(member, fellow)
        if member.step is S.UNDONE:
            self.part(member, NEW)

    def part(self, member: Member, other: str) -> None:
        over = member.agreements.pop(other, None)
        theirs = self.newcomer if other == NEW else self.members[other].agreements

        def hear() -> None:
            if theirs.get(member.name) == over:  # a goodbye names the agreement that is over
                theirs.pop(member.name, None)

        self.words.append(hear)
        if self.random.random() < 0.3:
            self.words.append(hear)

    def tell(self, member: Member) -> None:
        """Say how far one is. What was said may come, or not, or twice; so may the answer."""
        said, starts, other = member.step, member.starts, self.members[FELLOW[member.name]]

        def arrive() -> None:
            if member.name not in other.agreements:
                return  # it is refused, and the agreement's end is told by and by
            self.become(other, told(other.step, said))
            answer = other.step

            def come_back() -> None:
                if member.starts == starts and member.step is said:
                    self.become(member, answered(member.step, answer, self.now - member.since))

            self.words.append(come_back)

        if said in TELLING:
            self.words.append(arrive)

    # --- the newcomer ---------------------------------------------------------------------------------------------

    def ask(self, name: str) -> None:
        member, starts = self.members[name], self.starts

        def arrive() -> None:
            if member.step is S.NONE and NEW not in member.agreements:
                if self.unwilling == name or FELLOW[name] not in member.agreements:
                    self.words.append(lambda: come_back(None))
                    return
                member.step, member.since = S.ASKED, self.now
            answer = member.step
            self.words.append(lambda: come_back(answer))

        def come_back(theirs: Step | None) -> None:
            if starts == self.starts:
                self.bids[name] = bid(self.bids[name], name in self.newcomer, theirs)
                if self.bids[name] is Bid.SETTLED:
                    self.used.add(name)

        if self.bids[name] not in (Bid.SETTLED, Bid.REFUSED):
            self.words.append(arrive)

    def agree(self, name: str) -> None:
        member, starts = self.members[name], self.starts

        def arrive() -> None:
            if member.step not in WELCOMING:
                return
            self.made += 1
            made = member.agreements.setdefault(NEW, self.made)

            def come_back() -> None:
                if starts == self.starts and member.agreements.get(NEW) == made:
                    self.newcomer[name] = made

            self.words.append(come_back)

        if all(each in (Bid.WELCOME, Bid.AGREED, Bid.SETTLED) for each in self.bids.values()):
            self.words.append(arrive)

    def vanish(self) -> None:
        self.vanished = True

    # --- the run --------------------------------------------------------------------------------------------------

    def act(self, calm: bool = False) -> None:
        draw = self.random
        member, name = self.members[draw.choice([A, B])], draw.choice([A, B])
        acts: list[Callable[[], None]] = [self.deliver] * 6 + [lambda: self.look(member)] * 2
        acts.append(lambda: self.tell(member))
        if not self.vanished:
            acts += [lambda: self.ask(name), lambda: self.agree(name)]
        if not calm and draw.random() < self.mishaps:
            acts = [self.lose, self.crasher(member), self.crash_newcomer, self.wait]
            acts += [self.vanish] * self.may_stop
        draw.choice(acts)()
        self.check()

    def deliver(self) -> None:
        if self.words:
            self.words.pop(self.random.randrange(len(self.words)))()

    def lose(self) -> None:
        if self.words and "hear" not in (word := self.random.choice(self.words)).__qualname__:  # goodbyes are repeated
            self.words.remove(word)

    def crasher(self, member: Member) -> Callable[[], None]:
        def crash() -> None:
            member.starts += 1

        return crash

    def crash_newcomer(self) -> None:
        self.starts += 1
        self.bids = {A: Bid.ASKING, B: Bid.ASKING}

    def wait(self) -> None:
        self.now += self.random.choice([1.0, 60.0, STEP_PATIENCE / 10, STEP_PATIENCE / 2, 2 * STEP_UNDO])

    def is_at_rest(self) -> bool:
        asking = any(each not in (Bid.SETTLED, Bid.REFUSED) for each in self.bids.values()) and not self.vanished
        return not self.words and not asking and not any(member.step for member in self.members.values())

    def check(self) -> None:
        """Whoever holds a column has an agreement with its owner, by the word of both."""
        for member in self.members.values():
            if member.holder is None or (member.holder == NEW and self.vanished):
                continue
            assert member.holder in member.agreements
            if member.holder == NEW:
                assert member.name in self.newcomer
            else:
                assert member.name in self.members[member.holder].agreements
        if not self.vanished:
            for name in self.used:
                assert NEW in self.members[name].agreements, "what the newcomer may use stays"


@pytest.mark.parametrize("seed", range(0, 400, 100))
def test_nobody_has_less_than_before_whatever_is_lost_and_whoever_dies(seed: int) -> None:
    for number in range(seed, seed + 100):
        story = Story(number)
        story.may_stop = number % 5 == 0
        run_wildly(story)


def run_wildly(story: Story) -> None:
    for _ in range(story.random.randrange(300)):
        story.act()
    run_calmly(story, 200)


def run_calmly(story: Story, rounds: int = 3000) -> None:
    """Until all is at rest, or for so many acts."""
    for _ in range(rounds):
        story.act(calm=True)
        if story.is_at_rest():
            break
    while story.words:
        story.deliver()


@pytest.mark.parametrize("seed", range(0, 80, 20))
def test_in_the_end_the_newcomer_is_between_them(seed: int) -> None:
    """Crashes and lost words on the way delay it, but nothing else, if it does not take hours."""
    for number in range(seed, seed + 20):
        story = Story(number)
        story.unwilling = None
        for _ in range(story.random.randrange(200)):
            story.act(calm=True)
            if story.random.random() < 0.2:
                mishaps = story.lose, story.crash_newcomer, *map(story.crasher, story.members.values())
                story.random.choice(mishaps)()
        run_calmly(story)
        assert [member.step for member in story.members.values()] == [S.NONE, S.NONE], number
        assert [set(member.agreements) for member in story.members.values()] == [{NEW}, {NEW}]
        assert set(story.newcomer) == {A, B}
        assert story.used == {A, B}


@pytest.mark.parametrize("seed", range(20))
def test_unless_both_want_it_nothing_happens(seed: int) -> None:
    story = Story(seed)
    story.unwilling = A if seed % 2 else B
    run_calmly(story, 500)
    story.now += STEP_PATIENCE + 1
    run_calmly(story, 500)
    assert [set(member.agreements) for member in story.members.values()] == [{B}, {A}]
    assert story.newcomer == {}


@pytest.mark.parametrize("seed", range(40))
def test_if_the_newcomer_vanishes_on_the_way_the_two_keep_each_other_unless_both_had_moved(seed: int) -> None:
    story = Story(seed)
    story.unwilling = None
    for _ in range(story.random.randrange(120)):
        story.act(calm=True)
    story.vanished = True
    run_calmly(story)
    story.now += STEP_UNDO + 1
    run_calmly(story)
    kept = [FELLOW[member.name] in member.agreements for member in story.members.values()]
    assert kept[0] == kept[1]
    if not kept[0]:
        assert all(member.holder in (NEW, None) for member in story.members.values())


def some_go_wrong() -> bool:
    """Whether anybody has less than before in any of many stories."""
    try:
        for number in range(400):
            run_wildly(Story(number))
    except AssertionError:
        return True
    return False


@pytest.mark.parametrize(
    ("key", "then"),
    [
        ((S.MOVING, E.FELLOW_MOVED), S.OVER),  # it parts with its own column still there
        ((S.JOINED, E.FELLOW_MOVED), S.OVER),
        ((S.MOVED, E.EMPTY), S.OVER),  # it does not ask whether the other one has moved
        ((S.MOVING, E.LATE), S.UNDONE),  # it takes back what the newcomer counts on
        ((S.MOVED, E.LATE), S.UNDONE),
    ],
)
def test_with_another_table_somebody_would_have_less(
    key: tuple[Step, Event], then: Step, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(TRANSITIONS, key, then)
    assert some_go_wrong()


def test_a_newcomer_that_used_what_may_be_taken_back_would_have_less(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stepping, "COMMITTED", stepping.COMMITTED | {S.JOINED})
    assert some_go_wrong()
