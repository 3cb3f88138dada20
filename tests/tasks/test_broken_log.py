"""A meta stripe that nobody can read any more breaks the chain of the log: the log goes on without it."""

from pathlib import Path

import pytest
import trio

from coopfs.app.disk.checking import check
from coopfs.limits import MAX_GROUPS_UNHELD
from coopfs.local.database import Database
from coopfs.local.disk import DATABASE
from coopfs.types import Kind
from tests.sim.owner import Owner
from tests.sim.takeover import Found, take_over
from tests.sim.world import Geometry
from tests.tasks.homes import SETTLED, group_of, play


def _metas(owner: Owner) -> list[int]:
    query = f"SELECT id FROM stripes WHERE kind != {Kind.DATA:d} AND died IS NULL ORDER BY version"
    return [id_ for (id_,) in owner.own.local.database.read(query)]


async def _break(owner: Owner, id_: int, columns: int) -> None:
    """So many partners lose their blocks of a stripe, and say so when they are asked next."""
    stripe = owner.own.log.get(id_)
    assert stripe is not None
    for number in range(columns):
        del owner.world.sites[number].host.only_store.blocks[stripe.place.row]
        owner.world.trace.lose(number, stripe.place.row)


async def _ask(owner: Owner, *, repair: bool) -> list[str]:
    answer = await check(owner.own, lambda step, done, total: None, deep=False, repair=repair)
    return [finding["text"] for finding in answer["findings"] if "needed" in finding["text"]]


async def _comes_back(owner: Owner, directory: Path) -> None:
    """The whole tree, to a machine that has the kit alone."""
    tree = (
        "SELECT parent, name, ino FROM names ORDER BY 1, 2",
        "SELECT ino, size FROM inodes",
        "SELECT ino, offset, length FROM extents",
    )
    before = [owner.own.local.database.read(query).fetchall() for query in tree]
    owner.world.kit = owner.own.places.nodes
    await owner.burn()
    found = await take_over(owner.world, directory)
    assert isinstance(found, Found)
    assert found.doubt is None
    database = Database(found.taken.directory / DATABASE)
    assert [database.read(query).fetchall() for query in tree] == before
    database.close()


@pytest.mark.parametrize("which", [0, 3, -1])
@pytest.mark.parametrize("geometry", [Geometry(2, 1), Geometry(1, 2)], ids=str)
def test_the_log_goes_on_after_it(tmp_path: Path, which: int, geometry: Geometry) -> None:
    """Reading the log for the check is enough: damage that is met is repaired whoever meets it."""

    async def main(owner: Owner) -> None:
        for number in range(6):
            await group_of(owner, b"%d" % number, 2000)
            await trio.sleep(SETTLED)
        metas = _metas(owner)
        broken = metas[which]
        await _break(owner, broken, geometry.m + 1)
        (text,) = await _ask(owner, repair=which == 3)
        assert f"stripe {broken} has {geometry.k - 1} of the {geometry.k} blocks needed" in text
        await trio.sleep(10 * SETTLED)
        assert not set(_metas(owner)) & set(metas[: metas.index(broken) + 1])
        assert (await _ask(owner, repair=False)) == []
        progress = owner.own.ledger.progress
        assert (progress.away, progress.pending, progress.complete()) == (0, 0, progress.sealed)
        await _comes_back(owner, tmp_path / "takeover")

    play(tmp_path, geometry, main)


def test_what_a_partner_was_found_to_lack_is_enough(tmp_path: Path) -> None:
    """Nobody asks for a check: two of three come back without it."""

    async def main(owner: Owner) -> None:
        for number in range(4):
            await group_of(owner, b"%d" % number, 2000)
            await trio.sleep(SETTLED)
        metas = _metas(owner)
        await _break(owner, metas[1], 2)
        for number in (0, 1):
            owner.world.sites[number].cut()
        await trio.sleep(10 * SETTLED)
        assert not set(_metas(owner)) & set(metas[:2])
        await _comes_back(owner, tmp_path / "takeover")

    play(tmp_path, Geometry(2, 1), main)


def test_the_log_goes_on_where_a_group_was_sealed_before_it_was_noticed(tmp_path: Path) -> None:
    """That group names the stripe that is lost, and never becomes held; those after it do."""

    async def main(owner: Owner) -> None:
        for number in range(6):
            await group_of(owner, b"%d" % number, 2000)
            await trio.sleep(SETTLED)
        broken = _metas(owner)[-1]
        await _break(owner, broken, 2)
        for number in (0, 1):
            owner.world.sites[number].cut()
        await group_of(owner, b"busy", 2000)
        await trio.sleep(10 * SETTLED)
        progress = owner.own.ledger.progress
        assert broken not in _metas(owner)
        assert (progress.away, progress.pending, progress.barrier) == (0, 0, progress.sealed)
        await _comes_back(owner, tmp_path / "takeover")

    play(tmp_path, Geometry(2, 1), main)


@pytest.mark.parametrize("between", [0, 1, MAX_GROUPS_UNHELD + 2])
def test_content_that_is_lost_does_not_hold_up_the_rest_once_it_is_deleted(tmp_path: Path, between: int) -> None:
    """between: groups that are sealed before that."""

    async def main(owner: Owner) -> None:
        await group_of(owner, b"lost", 2000)
        await group_of(owner, b"kept", 2000)
        await trio.sleep(SETTLED)
        (first, *_) = (id_ for id_, *_ in owner.own.log.places(0, 100) if owner.own.log.is_data(id_))
        await _break(owner, first, 2)
        owner.own.local.stage.remove([first])
        for number in (0, 1):
            owner.world.sites[number].cut()
        await trio.sleep(SETTLED)
        (text,) = await _ask(owner, repair=False)
        assert "needed, and is not here" in text
        for number in range(between):
            await group_of(owner, b"%d" % number, 100)
        await trio.sleep(SETTLED)
        await owner.apply(("unlink", ((b"lost",),)))
        group = await owner.own.committer.close_group()
        assert group is not None
        await trio.sleep(SETTLED)
        progress = owner.own.ledger.progress
        assert progress.barrier >= group
        assert (progress.away, progress.pending, await _ask(owner, repair=False)) == (0, 0, [])

    play(tmp_path, Geometry(2, 1), main)
