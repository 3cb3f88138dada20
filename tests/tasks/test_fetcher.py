"""A stripe comes back from any k columns, as fast as the fastest allow, and never from blocks that do not belong
together."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from itertools import combinations
from random import Random

import pytest
import trio

from coopfs.core import coding
from coopfs.errors import ContentGone, ContentUnavailable
from coopfs.limits import READ_TIMEOUT, SPARE_DELAY
from coopfs.types import Place
from tests.core.samples import KEYS
from tests.sim import schedule
from tests.tasks.sources import (
    END,
    LAYOUT,
    OTHER_KEYS,
    PLACE,
    Source,
    columns,
    damage,
    fetcher_of,
    store_at,
    stripe,
)

Main = Callable[[list[Source]], Awaitable[None]]


def play(main: Main) -> None:
    async def begin() -> None:
        await main(await columns())

    schedule.run(Random(1), begin)


def test_any_k_columns_give_the_stripe() -> None:
    async def main(sources: list[Source]) -> None:
        made = stripe(1)
        await store_at(made, sources)
        for left in combinations(sources, LAYOUT.k):
            fetched = await fetcher_of(left).fetch(LAYOUT.id, PLACE, made.coded.tag)
            assert (fetched.data, fetched.header) == (made.data, made.header)

    play(main)


def test_only_k_columns_are_asked_while_they_answer() -> None:
    async def main(sources: list[Source]) -> None:
        await store_at(stripe(1), sources)
        await fetcher_of(sources).fetch(LAYOUT.id, PLACE, None)
        assert [source.store.asked for source in sources] == [1, 1, 0, 0]

    play(main)


def test_nobody_is_asked_while_fewer_than_k_are_reached() -> None:
    """Two stores of one column are one."""

    async def main(sources: list[Source]) -> None:
        await store_at(stripe(1), sources)
        twin = Source(LAYOUT, 1, sources[1].place, sources[1].host, sources[1].session, sources[1].store)
        for source in (sources[0], *sources[2:]):
            source.session = None
        with pytest.raises(ContentUnavailable, match="missing p0, p2, p3"):
            await fetcher_of([*sources, twin]).fetch(LAYOUT.id, PLACE, None)
        assert [source.store.asked for source in sources] == [0, 0, 0, 0]

    play(main)


def test_a_spare_is_asked_when_nothing_came_for_a_while() -> None:
    async def main(sources: list[Source]) -> None:
        made = stripe(1)
        await store_at(made, sources)
        sources[0].store.delay = 1000
        start = trio.current_time()
        fetched = await fetcher_of(sources).fetch(LAYOUT.id, PLACE, made.coded.tag)
        assert fetched.data == made.data
        assert SPARE_DELAY <= trio.current_time() - start < SPARE_DELAY + 1
        assert [source.store.asked for source in sources] == [1, 1, 1, 0]

    play(main)


def test_one_that_fails_is_replaced_at_once() -> None:
    async def main(sources: list[Source]) -> None:
        made = stripe(1)
        await store_at(made, sources[1:])
        sources[1].store.away = True
        start = trio.current_time()
        assert (await fetcher_of(sources).fetch(LAYOUT.id, PLACE, made.coded.tag)).data == made.data
        assert trio.current_time() - start < SPARE_DELAY

    play(main)


def test_a_flipped_bit_makes_a_block_missing_and_is_counted() -> None:
    async def main(sources: list[Source]) -> None:
        made = stripe(1)
        await store_at(made, sources)
        damage(sources[0])
        fetcher = fetcher_of(sources)
        assert (await fetcher.fetch(LAYOUT.id, PLACE, made.coded.tag)).data == made.data
        assert fetcher.damage() == {"p0": 1}

    play(main)


def test_a_run_asks_each_column_once_and_others_only_for_what_is_missing() -> None:
    async def main(sources: list[Source]) -> None:
        made = [stripe(seed) for seed in range(3)]
        places = [Place(PLACE.version + number, PLACE.row + number) for number in range(3)]
        for number, (one, place) in enumerate(zip(made, places, strict=True)):
            for source in sources[:1] if number == 2 else sources:
                if (number, source.column) != (1, 0):
                    await source.store.put(place.row, place.version, one.box(source, place))
        wanted = [(LAYOUT.id, place, one.coded.tag) for place, one in zip(places, made, strict=True)]
        outcomes = await fetcher_of(sources).fetch_run(wanted)
        assert [o.data for o in outcomes if not isinstance(o, ContentUnavailable)] == [made[0].data, made[1].data]
        assert "1 of the 2 blocks" in str(outcomes[2])
        assert [source.store.runs for source in sources] == [[3], [3], [1, 1], [1]]

    play(main)


def test_blocks_of_different_tags_are_never_combined() -> None:
    """Two stripes sealed for one place: not even authentic blocks of both make one."""

    async def main(sources: list[Source]) -> None:
        one, other = stripe(1), stripe(2)
        await store_at(one, sources[:1])
        await store_at(other, sources[1:2])
        with pytest.raises(ContentUnavailable, match="1 of the 2 blocks"):
            await fetcher_of(sources).fetch(LAYOUT.id, PLACE, None)
        await store_at(other, sources[3:])
        fetched = await fetcher_of(sources).fetch(LAYOUT.id, PLACE, None)
        assert fetched.data == other.data
        with pytest.raises(ContentUnavailable):
            await fetcher_of(sources).fetch(LAYOUT.id, PLACE, one.coded.tag)

    play(main)


def test_shards_that_do_not_make_their_tag_are_refused() -> None:
    """Who has the read key can seal what he likes, and still not pass one stripe for another."""

    async def main(sources: list[Source]) -> None:
        one, other = stripe(1), stripe(2)
        await store_at(one, sources[:1])
        box = coding.box(KEYS, sources[1].place, 1, PLACE, one.header, bytearray(other.coded.blocks[1]))
        await sources[1].store.put(PLACE.row, PLACE.version, box)
        with pytest.raises(ContentUnavailable, match="tag"):
            await fetcher_of(sources).fetch(LAYOUT.id, PLACE, None)

    play(main)


def test_blocks_of_another_row_column_or_key_are_missing_blocks() -> None:
    async def main(sources: list[Source]) -> None:
        made = stripe(1)
        await store_at(made, sources[2:])
        elsewhere = made.box(sources[0], END)
        block = bytearray(made.coded.blocks[1])
        foreign = coding.box(OTHER_KEYS, sources[1].place, 1, PLACE, made.header, block)
        await sources[0].store.put(PLACE.row, PLACE.version, elsewhere)
        await sources[1].store.put(PLACE.row, PLACE.version, foreign)
        fetcher = fetcher_of(sources)
        assert (await fetcher.fetch(LAYOUT.id, PLACE, made.coded.tag)).data == made.data
        assert fetcher.damage() == {"p0": 1, "p1": 1}

    play(main)


def test_who_waits_gets_it_when_a_partner_comes_back() -> None:
    async def main(sources: list[Source]) -> None:
        made = stripe(1)
        await store_at(made, sources)
        for source in sources[1:]:
            source.close()
        async with trio.open_nursery() as nursery:

            async def come_back() -> None:
                await trio.sleep(100)
                sources[3].reopen()

            nursery.start_soon(come_back)
            assert (await fetcher_of(sources).wait_for(LAYOUT.id, PLACE, made.coded.tag)).data == made.data
        assert trio.current_time() < READ_TIMEOUT

    play(main)


def test_a_partner_that_came_back_during_the_fetch_is_asked_too() -> None:
    """While a slow one keeps the fetch waiting, another leaves and returns; when the slow one fails, it is there."""

    async def main(sources: list[Source]) -> None:
        made = stripe(1)
        await store_at(made, sources[:3])
        sources[1].store.away = True
        sources[2].close()
        sources[3].close()
        sources[0].store.delay = 20

        async with trio.open_nursery() as nursery:

            async def leave_and_return() -> None:
                await trio.sleep(10)
                sources[1].reopen()

            nursery.start_soon(leave_and_return)
            assert (await fetcher_of(sources).wait_for(LAYOUT.id, PLACE, made.coded.tag)).data == made.data
        assert trio.current_time() < 60

    play(main)


def test_who_waits_is_told_after_the_documented_time_who_is_missing() -> None:
    async def main(sources: list[Source]) -> None:
        for source in sources[1:]:
            source.close()
        with pytest.raises(ContentUnavailable, match="missing p1, p2, p3"):
            await fetcher_of(sources).wait_for(LAYOUT.id, PLACE, None)
        assert trio.current_time() == READ_TIMEOUT

    play(main)


def test_a_partner_with_two_stores_is_named_once_and_what_it_damaged_is_summed() -> None:
    async def main(sources: list[Source]) -> None:
        made = stripe(1)
        await store_at(made, sources)
        sources[1].place = replace(sources[1].place, name="p0")
        for source in sources[:2]:
            damage(source)
        fetcher = fetcher_of(sources)
        await fetcher.fetch(LAYOUT.id, PLACE, made.coded.tag)
        assert fetcher.damage() == {"p0": 2}
        for source in sources[:3]:
            source.close()
        with pytest.raises(ContentUnavailable, match=r"missing p0, p2$"):
            await fetcher.fetch(LAYOUT.id, PLACE, made.coded.tag)

    play(main)


def test_a_row_that_a_living_writer_used_again_is_gone_at_once() -> None:
    async def main(sources: list[Source]) -> None:
        await store_at(stripe(1), sources)
        newer = Place(PLACE.version + 1, PLACE.row)
        overwriting = LAYOUT.m + 1
        for source in sources[:overwriting]:
            assert source.session is not None
            await source.session.put(newer.row, newer.version, b"newer")
        started = trio.current_time()
        with pytest.raises(ContentGone, match="used again"):
            await fetcher_of(sources).wait_for(LAYOUT.id, PLACE, None)
        assert trio.current_time() - started < READ_TIMEOUT, "waiting would not bring it back"

    play(main)
