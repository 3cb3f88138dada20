"""Content from partners for readers of the mount: fetched once, kept a while, read ahead."""

import errno
import os
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest
import trio

from coopfs.errors import ContentUnavailable
from coopfs.limits import READ_AHEAD_STRIPES
from coopfs.tasks.reading.content import RemoteContent
from coopfs.types import Kind
from tests.sim.owner import Owner
from tests.sim.world import Geometry
from tests.tasks.homes import SETTLED, play, write


def content_of(owner: Owner, nursery: trio.Nursery) -> RemoteContent:
    """As a mount reads that has nothing on its own disk."""
    stage = owner.own.local.stage
    return RemoteContent(owner.own.log, owner.own._fetcher, stage, nursery)


async def many_stripes(owner: Owner) -> list[tuple[int, int]]:
    """(id, length) of data stripes, among meta stripes, all on the partners."""
    for number in range(4):
        await write(owner, b"%d" % number, 250_000)
        await owner.own.committer.close_group()
        await trio.sleep(SETTLED)
    query = f"SELECT id, length FROM stripes WHERE kind = {Kind.DATA:d} ORDER BY id"
    return owner.own.local.database.read(query).fetchall()


def test_sequential_reading_over_meta_stripes_gives_every_byte(tmp_path: Path) -> None:
    async def main(owner: Owner) -> None:
        stripes = await many_stripes(owner)
        assert len(stripes) > READ_AHEAD_STRIPES
        async with trio.open_nursery() as nursery:
            content = content_of(owner, nursery)
            for id_, length in stripes:
                expected = owner.own.local.stage.content(id_, length)
                assert await content.read(id_, 0, length) == expected
                assert await content.read(id_, 7, 100) == (expected or b"")[7:107]

    play(tmp_path, Geometry(2, 1), main)


@pytest.mark.parametrize("seed", range(5))
def test_many_readers_at_once_fetch_every_stripe_once(tmp_path: Path, seed: int) -> None:
    async def main(owner: Owner) -> None:
        stripes = (await many_stripes(owner))[:8]
        random = Random(seed)
        async with trio.open_nursery() as nursery:
            content = content_of(owner, nursery)

            async def read(id_: int, length: int) -> None:
                await trio.sleep(random.choice([0.0, 0.0, 0.05]))
                assert await content.read(id_, 0, length) == owner.own.local.stage.content(id_, length)

            for _ in range(4):
                for id_, length in stripes:
                    nursery.start_soon(read, id_, length)

    play(tmp_path, Geometry(1, 0), main)


def test_a_stripe_that_nobody_knows_is_not_available(tmp_path: Path) -> None:
    async def main(owner: Owner) -> None:
        async with trio.open_nursery() as nursery:
            with pytest.raises(ContentUnavailable, match="not known"):
                await content_of(owner, nursery).read(999, 0, 1)

    play(tmp_path, Geometry(1, 0), main)


def test_what_is_fetched_is_read_though_nothing_can_be_written_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A local file system that met an error turns read-only."""

    async def main(owner: Owner) -> None:
        stage = owner.own.local.stage
        stripes = await many_stripes(owner)
        expected = {id_: stage.content(id_, length) for id_, length in stripes}
        while (gone := stage.cache.evict()) is not None:
            stage._remove_file(gone)
        unlink, rename = Path.unlink, Path.rename

        def refuse(path: Path, really: Callable[[], object]) -> None:
            if path.parent == stage._directory:
                raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))
            really()

        monkeypatch.setattr(Path, "unlink", lambda path, **options: refuse(path, lambda: unlink(path, **options)))
        monkeypatch.setattr(Path, "rename", lambda path, other: refuse(path, lambda: rename(path, other)))
        async with trio.open_nursery() as nursery:
            content = content_of(owner, nursery)
            for id_, length in stripes:
                assert await content.read(id_, 0, length) == expected[id_]
        await trio.sleep(SETTLED)
        assert not any(-id_ in stage.cache for id_, _ in stripes)

    play(tmp_path, Geometry(2, 1), main)
