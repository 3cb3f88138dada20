"""A newcomer steps between two neighbours: what they store stays, whoever is killed, refuses, vanishes or lies."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
import trio

from coopfs.app.partners.bidding import Bidding
from coopfs.app.partners.openings import Openings
from coopfs.core.announcement import sign
from coopfs.core.stepping import Step
from coopfs.errors import NoAgreement, NotAuthentic, PeerError, Refused
from coopfs.limits import BID_CHECK, STEP_AFTER, STEP_CHECK, STEP_PATIENCE
from coopfs.local.kitrecord import MadeKit
from coopfs.match.client import MatchClient
from coopfs.match.serve import open_engine
from coopfs.types import StepWord
from tests.app.hamlet import Hamlet, Neighbour, ending, wall
from tests.app.village import TERMS, Village
from tests.match.members import Clock, Server
from tests.sim import schedule

LONG = 900  # seconds in which a step of small disks is over, whoever dies on the way

Main = Callable[[Hamlet, trio.Nursery], Awaitable[None]]


class Wall(Clock):
    """It goes on."""

    def __call__(self) -> float:
        return wall()


def play(directory: Path, main: Main, seed: int = 1) -> None:
    async def begin() -> None:
        engine = open_engine(str(directory / "match.sqlite"))
        server = Server(engine, together=True, clock=Wall())
        client = MatchClient("http://match.test", server.transport("20.9.9.9"))
        async with ending() as nursery:
            village = Village(directory, nursery, [client])
            await main(Hamlet(village, directory, [client], replace(TERMS, storage=4, wanted=2)), nursery)
        engine.close()

    schedule.run(Random(seed), begin)


async def full(hamlet: Hamlet, nursery: trio.Nursery, *, disks: int = 2) -> list[Neighbour]:
    """Three that are partners of each other, some with disks."""
    for _ in range(3):
        await hamlet.settle(nursery)
    for each in hamlet.neighbours:
        await each.find()
    while any(len(each.entries()) < 2 for each in hamlet.neighbours):  # of two that ask each other one is refused
        await trio.sleep(1)
    for each in hamlet.neighbours:
        await each.membership.announce()  # with its bonds
    for each in hamlet.neighbours[:disks]:
        await each.make_disk()
        hamlet.complete[each.name] = each.live_stripes()
    return hamlet.neighbours


async def until(hamlet: Hamlet, condition: Callable[[], bool], seconds: int = LONG) -> None:
    """Look every other second, at what is stored too."""
    for _ in range(0, seconds, 2):
        if condition():
            return
        await trio.sleep(2)
        for each in hamlet.neighbours:
            await each.check(hamlet)
    raise AssertionError([(each.name, each.stepping.row, each.bidding.bids) for each in hamlet.neighbours])


def is_over(hamlet: Hamlet) -> bool:
    under_way = [each for each in hamlet.neighbours if each.stepping.row is not None or each.bidding.bids is not None]
    return not under_way and not any(each.farewells.owed for each in hamlet.neighbours)


def check_all_have_two(hamlet: Hamlet) -> None:
    held = {each.key: each.agreements() for each in hamlet.neighbours}
    for key, agreements in held.items():
        assert len(agreements) == 2
        for partner, text in agreements.items():
            assert held[partner][key] == text
    for each in hamlet.neighbours:
        if each.own is not None:
            assert each.holders <= set(each.openings.partners())
            assert each.own.ledger.progress.margin() == 1


def test_where_nobody_is_free_one_steps_between_two(tmp_path: Path) -> None:
    """By itself, after an hour of finding nobody. All have as many partners as before, and every block was in its
    column at every moment."""

    async def main(hamlet: Hamlet, nursery: trio.Nursery) -> None:
        await full(hamlet, nursery)
        began = trio.current_time()
        newcomer = await hamlet.settle(nursery)
        while newcomer.bidding.bids is None:
            await trio.sleep(1)
        assert trio.current_time() - began >= STEP_AFTER
        assert newcomer.barred == {asked.key for asked in newcomer.bidding.bids.both}
        await until(hamlet, lambda: is_over(hamlet))
        check_all_have_two(hamlet)
        assert len(newcomer.agreements()) == 2
        assert newcomer.barred == set()
        assert sorted(len(each.told) for each in hamlet.neighbours) == [0, 0, 1, 1]
        assert newcomer.membership.trouble == {}

    play(tmp_path, main)


@pytest.mark.parametrize("seed", range(2))
def test_who_is_killed_goes_on(tmp_path: Path, seed: int) -> None:
    async def main(hamlet: Hamlet, nursery: trio.Nursery) -> None:
        await full(hamlet, nursery)
        newcomer = await hamlet.settle(nursery)
        assert await newcomer.bidding.begin()
        draw = Random(seed)
        for _ in range(8):
            await trio.sleep(draw.uniform(0, 2 * STEP_CHECK))
            for each in hamlet.neighbours:
                await each.check(hamlet)
            await hamlet.restart(nursery, draw.choice(hamlet.neighbours))
        await until(hamlet, lambda: is_over(hamlet))
        check_all_have_two(hamlet)
        assert len(hamlet.neighbours[3].agreements()) == 2

    play(tmp_path, main, seed)


def test_who_lacks_one_only_asks_nobody_and_is_told_so(tmp_path: Path) -> None:
    """With two partners more it would give more than its owner has said. When it wants one more, it steps between."""

    async def main(hamlet: Hamlet, nursery: trio.Nursery) -> None:
        await full(hamlet, nursery, disks=0)
        newcomer = await hamlet.settle(nursery, wanted=1)
        await trio.sleep(STEP_AFTER - 60)
        assert not newcomer.bidding.is_odd
        await trio.sleep(120)
        assert newcomer.bidding.is_odd
        assert not await newcomer.bidding.begin()
        assert newcomer.bidding.bids is None
        newcomer.openings.wanted = 2
        newcomer.bidding.changed.notify()
        await trio.sleep(STEP_AFTER + BID_CHECK)
        await until(hamlet, lambda: is_over(hamlet))
        check_all_have_two(hamlet)
        assert not newcomer.bidding.is_odd

    play(tmp_path, main)


def test_who_lacks_nobody_looks_seldom_and_at_once_when_told(tmp_path: Path) -> None:
    async def main(hamlet: Hamlet, nursery: trio.Nursery) -> None:
        one = await hamlet.settle(nursery, wanted=0)
        looks = []

        class Watched(Openings):
            def lacking(self) -> int:
                looks.append(trio.current_time())
                return super().lacking()

        openings = Watched(one.key, 0, one.database, frozenset, wall)
        parts = one.key, one.database, one.membership, openings, lambda: one.terms, one.agreeing.step
        bidding = Bidding(*parts, one.agreeing.accept, one.made, wall, bytes)
        nursery.start_soon(bidding.run)
        await trio.sleep(10 * BID_CHECK - 1)
        assert len(looks) == 10
        openings.wanted = 2
        bidding.changed.notify()
        await trio.sleep(1)
        assert len(looks) == 11
        await trio.sleep(STEP_AFTER - 2)
        assert len(looks) <= 11 + STEP_AFTER / BID_CHECK

    play(tmp_path, main)


def test_if_one_does_not_want_it_nothing_happens(tmp_path: Path) -> None:
    """And the space that the other one had reserved is free again, for the next who asks."""

    async def main(hamlet: Hamlet, nursery: trio.Nursery) -> None:
        one, two, three = await full(hamlet, nursery, disks=0)
        before = one.agreements()
        asking = await hamlet.settle(nursery, wanted=1)  # so it does not ask by itself
        word = StepWord(b"i" * 16, asking.key, two.key, Step.NONE, asking.membership.signed())
        assert (await one.stepping.hear(asking.key, word)).state is Step.ASKED
        await trio.sleep(STEP_PATIENCE / 2)
        assert one.stepping.row is not None
        with pytest.raises(Refused, match="somebody else is just stepping"):
            await one.stepping.hear(asking.key, replace(word, id=b"j" * 16))
        await trio.sleep(STEP_PATIENCE / 2 + 2 * STEP_CHECK)
        assert (one.stepping.row, two.stepping.row) == (None, None)
        await one.hosting.expire()
        assert one.agreements() == before
        newcomer = await hamlet.settle(nursery)
        for each in (one, two, three):
            each.stepping._willing = False  # which the server does not know yet
        assert await newcomer.bidding.begin()
        await until(hamlet, lambda: newcomer.bidding.bids is None)
        assert set(newcomer.agreements()) <= {asking.key}, "who is free"
        assert one.agreements() == before

    play(tmp_path, main)


def test_who_lies_is_refused(tmp_path: Path) -> None:
    async def main(hamlet: Hamlet, nursery: trio.Nursery) -> None:
        one, two, three = await full(hamlet, nursery, disks=1)
        newcomer, other = await hamlet.settle(nursery), await hamlet.settle(nursery)
        good = StepWord(b"i" * 16, newcomer.key, two.key, Step.NONE, newcomer.membership.signed())
        hear = one.stepping.hear
        with pytest.raises(Refused, match="are no partners"):
            await hear(newcomer.key, replace(good, fellow=other.key))
        with pytest.raises(Refused, match="only its newcomer asks"):
            await hear(newcomer.key, replace(good, newcomer=other.key))
        with pytest.raises(Refused, match="only its newcomer asks"):
            await hear(three.key, good)
        with pytest.raises(NotAuthentic):
            await hear(newcomer.key, replace(good, announcement=other.membership.signed()))
        with pytest.raises(PeerError):
            await hear(newcomer.key, replace(good, announcement=b"nonsense"))
        near = replace(newcomer.membership.announcement(), addresses=("20.1.0.77:1",))
        with pytest.raises(Refused, match="one mishap"):
            await hear(newcomer.key, replace(good, announcement=sign((4).to_bytes(32, "big"), near)))
        with pytest.raises(NoAgreement):
            await hear(newcomer.key, StepWord(good.id, other.key, newcomer.key, Step.MOVED))
        assert one.stepping.row is None
        first = await hear(newcomer.key, good)
        assert await hear(newcomer.key, good) == first, "asked again it is the same"
        for word in (
            StepWord(b"j" * 16, newcomer.key, two.key, Step.MOVED),
            StepWord(good.id, other.key, two.key, Step.MOVED),
            StepWord(good.id, newcomer.key, three.key, Step.MOVED),
        ):
            assert (await hear(word.fellow, word)).state is Step.NONE, "of another step it knows nothing"
        assert one.stepping.row is not None
        assert one.stepping.row.step is Step.ASKED
        pledged = await hear(two.key, StepWord(good.id, newcomer.key, two.key, Step.ASKED))
        assert pledged.state is Step.PLEDGED
        await trio.sleep(3 * STEP_CHECK)
        assert one.stepping.row is not None
        assert one.stepping.row.step is Step.PLEDGED, "what is pledged moves nothing"

    play(tmp_path, main)


def test_a_newcomer_that_vanishes_leaves_the_two_to_each_other(tmp_path: Path) -> None:
    async def main(hamlet: Hamlet, nursery: trio.Nursery) -> None:
        await full(hamlet, nursery)
        newcomer = await hamlet.settle(nursery)
        assert await newcomer.bidding.begin()
        assert newcomer.bidding.bids is not None
        one, two = (hamlet.by_key(asked.key) for asked in newcomer.bidding.bids.both)
        await until(hamlet, lambda: one.stepping.row is not None and one.stepping.row.step is Step.MOVING)
        await newcomer.die()
        hamlet.neighbours.remove(newcomer)
        await trio.sleep(LONG)
        one.lost.add(newcomer.key)
        two.lost.add(newcomer.key)
        await trio.sleep(LONG)
        assert (one.stepping.row, two.stepping.row) == (None, None)
        assert two.key in one.agreements()
        assert one.key in two.agreements()
        for each in (one, two):
            await each.check(hamlet)
            assert each.own is None or newcomer.key not in each.own.places.nodes

    play(tmp_path, main)


def test_both_partners_are_kept_until_a_kit_names_the_newcomer(tmp_path: Path) -> None:
    async def main(hamlet: Hamlet, nursery: trio.Nursery) -> None:
        one, two, three = await full(hamlet, nursery)
        newcomer = await hamlet.settle(nursery)
        for each in (one, two):
            assert each.own is not None
            each.own.hand_out(MadeKit(0, each.own.places.nodes))
        assert await newcomer.bidding.begin()
        await trio.sleep(LONG)
        waiting = [each for each in (one, two, three) if each.stepping.row is not None]
        said = [str(each.stepping.describe()) for each in waiting]
        assert any(f"a new kit must be exported that names {newcomer.name}" in each for each in said)
        assert all(len(each.agreements()) == 3 for each in waiting)
        for each in waiting:
            await each.check(hamlet)
            if each.own is not None:
                each.own.hand_out(MadeKit(0, each.own.places.nodes))
        await until(hamlet, lambda: is_over(hamlet))
        check_all_have_two(hamlet)

    play(tmp_path, main)
