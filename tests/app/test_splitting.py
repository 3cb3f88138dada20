"""Formatting without k and m: what is chosen for the partners there are."""

from pathlib import Path

import pytest

from coopfs.app.disk import formatting
from coopfs.app.disk_calls import DiskCalls
from coopfs.app.requests import check_arguments
from coopfs.errors import UsageError
from coopfs.limits import DEFAULT_BLOCK_SIZE
from coopfs.local import partners
from coopfs.local.partners import PartnerEntry
from coopfs.types import Layout, NodeKey
from tests.app.test_control import node

SPACE = 64 << 20  # bytes


def entries(count: int) -> list[PartnerEntry]:
    return [PartnerEntry(f"p{i}", NodeKey(bytes([i]) * 32), ("a:1",), SPACE, SPACE) for i in range(count)]


async def chosen(directory: Path, count: int, **said: object) -> tuple[Layout, list[str], bool]:
    """What a node with so many partners makes of a format; whether it chose by itself. UsageError."""
    why: UsageError | None = None
    async with node(directory) as (one, _):
        with one.database.transaction() as connection:
            for entry in entries(count):
                partners.insert(connection, entry)
        try:
            layout, with_whom, choice = DiskCalls(one).layout_of(
                check_arguments("format", {"no_redundancy": False} | said)
            )
        except UsageError as refused:  # not through the node's nursery, which would make a group of it
            why = refused
    if why is not None:
        raise why
    return layout, [entry.name for entry in with_whom], choice is not None


@pytest.mark.parametrize(("count", "k", "m"), [(2, 1, 1), (4, 2, 2), (8, 4, 4), (12, 7, 5)])
async def test_all_partners_are_split(tmp_path: Path, count: int, k: int, m: int) -> None:
    names = [entry.name for entry in entries(count)]
    layout, with_whom, by_itself = await chosen(tmp_path, count)
    assert (layout, sorted(with_whom), by_itself) == (Layout(1, k, m, DEFAULT_BLOCK_SIZE), sorted(names), True)


async def test_those_named_are_split(tmp_path: Path) -> None:
    layout, with_whom, _ = await chosen(tmp_path, 8, partners=["p1", "p3", "p5", "p7"], target=99.0)
    assert (layout.k, layout.m, with_whom) == (2, 2, ["p1", "p3", "p5", "p7"])


async def test_what_is_said_is_taken(tmp_path: Path) -> None:
    layout, with_whom, by_itself = await chosen(tmp_path, 4, data=3, redundancy=1, block_size=1 << 16)
    assert (layout, len(with_whom), by_itself) == (Layout(1, 3, 1, 1 << 16), 4, False)


@pytest.mark.parametrize(
    ("count", "said", "why"),
    [
        (1, {}, "2 partners are needed at least"),
        (63, {}, "62 are possible: name them"),
        (2, {"partners": ["who"]}, "no partner is called 'who'"),
        (2, {"data": 1}, "go together"),
        (2, {"redundancy": 1}, "go together"),
        (2, {"data": 1, "redundancy": 1, "target": 99.0}, "--target chooses k and m"),
        (2, {"data": 2, "redundancy": 0}, "say --no-redundancy"),
        (2, {"target": 100}, "must be a number between 0 and 100"),
    ],
)
async def test_what_cannot_be_is_refused(tmp_path: Path, count: int, said: dict[str, object], why: str) -> None:
    with pytest.raises(UsageError, match=why):
        await chosen(tmp_path, count, **said)


async def test_a_format_that_was_cut_short_goes_on_as_it_began(tmp_path: Path) -> None:
    async with node(tmp_path) as (one, _):
        with one.database.transaction() as connection:
            known = [partners.insert(connection, entry) for entry in entries(4)]
        begun = formatting.plan(Layout(1, 1, 2, 1 << 17), known[:3])
        formatting.draft(one.home, one.identity.key, begun)
        layout, with_whom, choice = DiskCalls(one).layout_of(check_arguments("format", {"no_redundancy": False}))
        assert (layout, with_whom) == (begun.layout, known[:3])
        assert choice is not None
        assert (choice.k, choice.m) == (1, 2)
        with one.database.transaction() as connection:
            connection.execute("DELETE FROM partners WHERE name = 'p1'")
        with pytest.raises(UsageError, match="p1, with whom a format was begun, is no partner any more"):
            DiskCalls(one).layout_of(check_arguments("format", {"no_redundancy": False}))
