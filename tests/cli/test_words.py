"""A status in words: what a person needs to know first, and what they can do."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from coopfs.cli.words import (
    advice,
    cache,
    clock,
    compression,
    disk_sentences,
    kit,
    outlook,
    replacement,
    safety,
    scrub,
    waiting,
)

NOW = datetime(2026, 11, 21, 15, 0, tzinfo=timezone(timedelta(hours=1)))
HELD = "2026-11-21 12:34:56 UTC"
COLUMN: dict[str, Any] = {
    **{"column": 1, "partner": "bob", "state": "caught up"},
    **{"missing": 0, "lost": 0, "damaged": 0, "disputed": 0, "foreign": 0},
}
DISK: dict[str, Any] = {
    **{"id": "ab" * 16, "k": 2, "m": 2, "mounted": None, "epoch": 1, "trouble": None},
    **{"rows": 100, "rows_used": 30, "row_bytes": 1 << 20, "bytes": 90 << 20, "bytes_free": 60 << 20},
    **{"reserve_bytes": 16 << 20, "cleaning": {"data_rows": 20, "live_bytes": 15 << 20, "log_rows": 10}},
    **{
        "held_at": HELD,
        "margin": 1,
        "not_held_bytes": 0,
        "below_target": 0,
        "repair_seconds_left": None,
        "replacement": None,
        "growth": None,
        "reshaping": None,
        "keys": None,
        "trustees": [],
        "unsent": None,
        "lost_content": 0,
        "fsyncs_waiting": 0,
    },
    "cache": {
        **{"size": 10 << 30, "used": 2 << 30, "dirty": 3 << 20, "dirty_size": 7 << 30},
        **{"writers_waiting": 0, "refill": None},
    },
    "compression": {"level": 1, "content_bytes": 8 << 30, "stored_bytes": 2 << 30},
    "scrub": {"days": 90.0, "done": 30, "of": 120, "finished_at": None, "wrong": 0, "silent": 0},
    "kit": {"exported_at": "2026-11-20 23:30:00 UTC", "holders": 4, "needed": 2, "lacks": []},
    "kit_wanted": None,
    "held_group": 7,
    **{"offline": False, "found": None, "outlook": None},
    "columns": [{**COLUMN, "partner": name} for name in ("anna", "bob", "carl", "dora")],
}


def with_columns(**states: dict[str, Any]) -> dict[str, Any]:
    return {**DISK, "columns": [{**column, **states.get(column["partner"], {})} for column in DISK["columns"]]}


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({}, "you would get back everything up to 13:34:56; it would survive the loss of any 1 more partner["),
        ({"margin": 2}, "survive the loss of any 2 more partners["),
        ({"margin": 0}, "everything up to 13:34:56, but not if any further partner were lost"),
        ({"margin": -1}, "some of what was held at 13:34:56 could not be read until 1 more partner comes back"),
        ({"held_at": None, "margin": None, "held_group": 0}, "nothing would come back: nothing is held yet"),
        ({"held_at": None, "margin": None, "held_group": 7}, "nothing would come back: its partners are none any more"),
        (
            {"held_at": None, "margin": None, "found": {"date": HELD, "counted": 2, "needed": 3, "unavailable": 0}},
            "has taken the disk over as it was at 13:34:56, and makes all of it safe again",
        ),
    ],
)
def test_what_would_come_back(changed: dict[str, Any], said: str) -> None:
    assert said in safety(DISK | changed, NOW)


def test_what_lies_here() -> None:
    figures = DISK["cache"]
    assert cache(figures) == "on this machine: 2.0 GiB of at most 10.0 GiB, 3.0 MiB of it not safe with partners yet"
    bare = figures | {"size": None, "dirty_size": None}
    assert cache(bare) == "on this machine: 2.0 GiB; it stays, as the disk has no redundancy"
    assert cache(figures | {"refill": (25, 100)}).endswith("yet; 25 % of what fits has been fetched since the takeover")
    assert "writers wait until less of it is" in cache(figures | {"writers_waiting": 2})


def test_what_the_scrub_did() -> None:
    first = DISK["scrub"]
    assert scrub(first, NOW) == (
        "scrub: this pass over the partners' blocks has done 25 %, none has ended yet; nothing wrong found"
    )
    later = scrub(first | {"finished_at": HELD, "wrong": 1, "silent": 2}, NOW)
    assert "has done 25 %, the last one ended 13:34:56; [yellow]1 block found wrong and sealed again[/]" in later
    assert later.endswith("; [yellow]2 blocks not shown when asked for[/]")
    assert "0 %" in scrub(first | {"done": 0, "of": 0}, NOW)
    assert "scrub: off" in scrub(None, NOW)


def test_what_compression_saves() -> None:
    def said(level: int | None, length: int) -> list[str]:
        return compression({"compression": {"level": level, "content_bytes": length, "stored_bytes": 2 << 30}})

    assert said(None, 2 << 30) == []
    assert said(1, 2 << 30) == ["compression: zstd, level 1; it has saved nothing yet"]
    assert said(1, 8 << 30) == ["compression: zstd, level 1; 8.0 GiB of content take 2.0 GiB"]
    assert said(None, 8 << 30) == ["compression: off; 8.0 GiB of content take 2.0 GiB"]


def test_what_waits() -> None:
    assert waiting(DISK) == "nothing written since waits; 4 of 4 partners are reached"
    busy = with_columns(bob={"state": "away"}) | {"not_held_bytes": 3 << 20, "below_target": 5}
    assert (
        waiting(busy)
        == "3.0 MiB written since is not held yet; 3 of 4 partners are reached; 5 stripes not yet on every partner"
    )

    repaired = waiting(busy | {"repair_seconds_left": 3 * 3600})
    assert repaired.endswith("5 stripes not yet on every partner, those that are reached have all in about 3 hours")
    assert waiting(DISK | {"fsyncs_waiting": 1}).endswith("; [yellow]1 call of fsync waits[/]")
    assert waiting(DISK | {"fsyncs_waiting": 2}).endswith("; [yellow]2 calls of fsync wait[/]")


def test_who_is_in_two_layouts_is_one_partner() -> None:
    """While the disk moves."""
    moving = {"k": 1, "m": 2, "used": True, "waits_for": None, "rows_left": 5, "seconds_left": None}
    away = {**COLUMN, "partner": "bob", "state": "away"}
    disk = with_columns(bob={"state": "away"}) | {"reshaping": moving, "bytes_free": 0}
    disk |= {"columns": [*disk["columns"], away, {**COLUMN, "partner": "emil"}]}
    assert "4 of 5 partners are reached" in waiting(disk)
    sentences = disk_sentences(disk, NOW)
    assert "on 5 partners" in sentences[0]
    assert sum("bob has been away for long" in line for line in sentences) == 1
    assert "[yellow]-> the disk is nearly full until more of it has moved[/]" in sentences
    assert not any("still in use" in line for line in sentences)


@pytest.mark.parametrize(
    ("holders", "said"),
    [
        (4, "2026-11-21 00:30:00, good while no more than 2 of the partners that it names are lost"),
        (3, "good while no more than 1 of the partners"),
        (2, "good while no further partner that it names is lost"),
        (1, "not good now: of the partners it names 1 can give the newest master block"),
        (0, "not good now: of the partners it names none can give"),
    ],
)
def test_a_kit_counts_down(holders: int, said: str) -> None:
    made = {**DISK["kit"], "holders": holders}
    assert said.removeprefix("2026-11-21 ") in kit(made, NOW)
    assert "none was exported" in kit(None, NOW)


def test_a_kit_that_does_not_name_everybody_says_so() -> None:
    assert kit({**DISK["kit"], "lacks": ["zoe", "yan"]}, NOW).endswith("; it does not name zoe, yan, who came later")


@pytest.mark.parametrize(
    ("disk", "lines"),
    [
        (DISK, []),
        (
            with_columns(**{n: {"state": "unreachable"} for n in ("anna", "bob", "carl", "dora")}) | {"offline": True},
            ["no partner is reached, so it seems to be this machine that is offline"],
        ),
        (
            with_columns(**{n: {"state": "away"} for n in ("anna", "bob", "carl")}) | {"offline": True},
            ["3 of 4 partners are not reached, so it seems to be this machine that is offline"],
        ),
        (
            with_columns(bob={"state": "rebuilt"}, carl={"state": "unreachable"}),
            ["bob has its column, and counts when enough others know: bring back carl, or"],
        ),
        (with_columns(bob={"state": "rebuilt"}), []),
        (with_columns(bob={"state": "emptied"}), ["bob answers and has lost all that it stored"]),
        (with_columns(bob={"state": "takes nothing"}), ["bob is reached, but has stored nothing of late"]),
        (with_columns(bob={"state": "gives nothing"}), ["bob is reached, but gives back nothing of what it stores"]),
        (with_columns(bob={"state": "away"}, carl={"state": "unreachable"}), ["bob has been away"]),
        (
            with_columns(bob={"lost": 1}, dora={"damaged": 2}),
            ["bob lost 1 block that", "dora returned 2 blocks damaged"],
        ),
        (with_columns(bob={"disputed": 3}), ["bob keeps 3 blocks damaged, and takes no others"]),
        (
            with_columns(bob={"foreign": 1}),
            ["bob has 1 block in the way that another machine with this disk put there"],
        ),
        (
            with_columns(bob={"disputed": 3}) | {"cache": {**DISK["cache"], "writers_waiting": 1}},
            ["bob keeps 3 blocks damaged", "no room for that while the cache is full of what is not safe"],
        ),
        (DISK | {"bytes_free": 1 << 20}, ["nearly full"]),
        (
            DISK | {"found": {"date": HELD, "counted": 2, "needed": 3, "unavailable": 0}},
            ["3 partners must have what was found, and only 2 can: bring others back"],
        ),
        (DISK | {"found": {"date": HELD, "counted": 3, "needed": 3, "unavailable": 0}}, []),
        (
            DISK | {"found": {"date": HELD, "counted": 3, "needed": 3, "unavailable": 1}},
            ["1 stripe of what was found cannot be had from the partners that answer"],
        ),
        (DISK | {"kit_wanted": "none [as] yet"}, [r"none \[as] yet: export one with coopfs kit export FILE"]),
        (DISK | {"trouble": "the [disk] failed"}, [r"the \[disk] failed"]),
    ],
)
def test_what_would_help(disk: dict[str, Any], lines: list[str]) -> None:
    given = list(advice(disk))
    assert len(given) == len(lines)
    assert all(line in said for line, said in zip(lines, given, strict=True))


REPLACEMENT = {"column": 1, "from": "bob", "to": "zoe", "blocks": 50, "blocks_of": 200, "trouble": None}


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"seconds_left": None, "waits_for": None}, "bob is being replaced by zoe: 25 % of the blocks are there"),
        ({"seconds_left": 9000, "waits_for": None}, "there, about 2 hours left"),
        ({"seconds_left": 5, "waits_for": None}, "about a minute left"),
        (
            {"blocks": 200, "seconds_left": 0, "waits_for": "carl is away"},
            "100 % of the blocks are there; [yellow]carl",
        ),
        (
            {"to": "bob", "seconds_left": None, "waits_for": None},
            "bob had lost all that it stored and gets it again: 25",
        ),
        ({"trouble": "no room", "seconds_left": None, "waits_for": "zoe"}, "are there; [yellow]no room"),
    ],
)
def test_a_column_on_its_way_to_another_partner(more: dict[str, Any], said: str) -> None:
    assert said in replacement(REPLACEMENT | more)
    assert replacement(REPLACEMENT | more) in disk_sentences(DISK | {"replacement": REPLACEMENT | more}, NOW)


def test_a_lost_partner_is_to_be_replaced_unless_it_is() -> None:
    lost = with_columns(bob={"state": "lost"})
    assert "coopfs partner replace bob CODE" in next(advice(lost))
    begun = lost | {"replacement": REPLACEMENT | {"waits_for": "a new kit must be exported", "seconds_left": 0}}
    assert not list(advice(begun))


def test_moments_are_told_in_the_zone_of_the_reader() -> None:
    assert clock(HELD, NOW) == "13:34:56"
    assert clock(HELD, NOW + timedelta(days=1)) == "2026-11-21 13:34:56"
    assert clock("2026-11-20 23:30:00 UTC", NOW) == "00:30:00"
    assert clock(HELD, NOW.astimezone(UTC)) == "12:34:56"


def test_the_sentences_say_what_is_full_and_how_much_is_of_use() -> None:
    told = "\n".join(disk_sentences(DISK, NOW))
    assert "30.0 MiB of 90.0 MiB used, 60.0 MiB free; 16.0 MiB more are kept back" in told
    assert "30 of 100 taken, 20 by content, 75 % of it still in use, 10 by the log" in told


@pytest.mark.parametrize(
    ("trouble", "said"), [(None, "are being put into lost+found"), ("the disk is full", "the disk is full")]
)
def test_what_a_lost_disk_had_not_sent(trouble: str | None, said: str) -> None:
    told = disk_sentences(DISK | {"unsent": {"bytes": 3 << 20, "trouble": trouble}}, NOW)
    (sentence,) = [each for each in told if "never sent" in each]
    assert sentence.startswith("3.0 MiB that were never sent")
    assert said in sentence


@pytest.mark.parametrize(("lost", "said"), [(1, "-> 1 stripe of content"), (3, "-> 3 stripes of content")])
def test_what_is_lost_for_good(lost: int, said: str) -> None:
    assert said not in "\n".join(disk_sentences(DISK, NOW))
    assert said in "\n".join(disk_sentences(DISK | {"lost_content": lost}, NOW))


OUTLOOK: dict[str, Any] = {
    **{"now": 0.0004, "within": 1e-7, "within_days": 14.0, "weakest": None},
    **{"lag_seconds": 600, "waiting_seconds": None, "help": {"partner": "bob", "now": 1e-5}},
}


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({}, ["what was held last took 10 minutes to get there"]),
        ({"now": 0.01}, ["what was held last took 10 minutes to get there", "most would help that bob were always up"]),
        ({"lag_seconds": None}, []),
        ({"lag_seconds": None, "weakest": {"stripes": 1, "blocks": 3}}, ["the weakest 1 stripe is on 3 partners"]),
        (
            {"lag_seconds": None, "now": 0.5, "help": {"partner": None, "now": 1e-5}},
            ["most would help that all stripes were on every partner: then 99.9990 %"],
        ),
        ({"lag_seconds": None, "now": 0.5, "help": None}, []),
    ],
)
def test_the_outlook(changed: dict[str, Any], said: list[str]) -> None:
    first, *others = outlook(OUTLOOK | changed)
    assert first.startswith("a restore works at a random moment with ")
    assert len(others) == len(said)
    assert all(line.startswith(words) for line, words in zip(others, said, strict=True))
    assert list(outlook(None)) == []
