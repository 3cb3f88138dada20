"""The tables against a log that goes on meanwhile: groups are sealed, heads retired, partners leave."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import trio

from coopfs.core.records import Type, key_of
from coopfs.limits import ROOT_INO
from coopfs.local.retirement import Retirement
from coopfs.tasks.checking.logcheck import LogCheck
from coopfs.tasks.checking.report import Report
from tests.sim.owner import Owner
from tests.sim.world import Geometry
from tests.tasks.homes import SETTLED, group_of, play
from tests.tasks.test_check import damage, look, some_tree, told

Key = tuple[Any, ...]


def meanwhile(happens: Callable[[], Awaitable[None]]) -> Any:
    """Let this happen between what a check reads of the log and what it says to be missing."""
    judge = LogCheck._judge_missing

    async def wait(self: LogCheck, newest: int, report: Report, *, repair: bool) -> None:
        await happens()
        await judge(self, newest, report, repair=repair)

    return patch.object(LogCheck, "_judge_missing", wait)


async def turn_over(owner: Owner) -> None:
    """All that the log consists of is retired, and told again if it still stands."""
    log, retirement = owner.own.log, Retirement(owner.own.local.metadata, owner.own.log)
    newest = log.newest_sealed()
    await group_of(owner, b"later")
    await trio.sleep(SETTLED)
    while (head := log.chain.head()) is not None and head[1] <= newest:
        retirement.step(100)
    await owner.own.committer.commit()


@pytest.mark.parametrize("turns_over", [False, True])
def test_what_was_deleted_is_not_written_again_when_the_log_turned_over(tmp_path: Path, turns_over: bool) -> None:
    """The tombstone was never read then: its meta stripe came after those that were, and went before the others."""

    async def main(owner: Owner) -> None:
        await some_tree(owner)
        ino = owner.own.local.metadata.names.find(ROOT_INO, b"b")
        await owner.apply(("unlink", ((b"b",),)))

        async def happens() -> None:
            await group_of(owner, b"tombstone")
            await trio.sleep(SETTLED)
            if turns_over:
                await turn_over(owner)

        with meanwhile(happens):
            answer = await look(owner, repair=True)
        assert owner.own.local.metadata.names.find(ROOT_INO, b"b") is None
        assert ino is not None
        assert owner.own.local.metadata.nodes.find(ino) is None
        assert answer["findings"] == []
        assert any("check again" in note for note in answer["notes"]) is turns_over
        assert (await look(owner))["notes"] == []

    play(tmp_path, Geometry(2, 1), main)


def test_a_log_that_cannot_be_read_to_its_end_is_a_note(tmp_path: Path) -> None:
    async def main(owner: Owner) -> None:
        await some_tree(owner)
        await owner.apply(("unlink", ((b"b",),)))

        async def happens() -> None:
            await group_of(owner, b"tombstone")
            await trio.sleep(SETTLED)
            for site in owner.world.sites:
                site.go(up=False)

        with meanwhile(happens):
            answer = await look(owner, repair=True)
        assert answer["findings"] == []
        assert "nothing was looked for that the database lacks: meta stripe" in answer["notes"][0]

    play(tmp_path, Geometry(2, 1), main)


@pytest.mark.parametrize(
    ("sql", "key"),
    [
        ("DELETE FROM inodes WHERE ino = {ino}", lambda ino, d, stripe: (Type.INODE, ino)),
        ("DELETE FROM names WHERE name = CAST('second' AS BLOB)", lambda ino, d, stripe: (Type.NAME, d, b"second")),
        ("DELETE FROM extents WHERE offset = 100000", lambda ino, d, stripe: (Type.EXTENT, ino, 100000)),
        ("DELETE FROM xattrs", lambda ino, d, stripe: (Type.XATTR, ino, b"user.x")),
        ("UPDATE stripes SET tag = zeroblob(16) WHERE id = {stripe}", lambda ino, d, stripe: (Type.STRIPE, stripe)),
    ],
    ids=["inode", "name", "extent", "xattr", "stripe"],
)
def test_what_was_written_from_the_log_is_told_again(tmp_path: Path, sql: str, key: Callable[..., Key]) -> None:
    """It was not there when the retirer came past it, and its image may go with the head just now."""

    async def main(owner: Owner) -> None:
        await some_tree(owner)
        names, read = owner.own.local.metadata.names, owner.own.local.database.read
        ino, d = names.find(ROOT_INO, b"a"), names.find(ROOT_INO, b"d")
        (stripe,) = read("SELECT min(id) FROM stripes WHERE kind = 1").fetchone()
        await damage(owner, sql.format(ino=ino, stripe=stripe))
        answer = await look(owner, repair=True)
        assert answer["repaired"] >= 1, told(answer)
        before = owner.own.log.newest_sealed()
        group = await owner.own.committer.close_group()
        assert group == before + 1, "nothing was told"
        await trio.sleep(SETTLED)
        own = owner.own
        log = LogCheck(own.keys, own.log, own.local.metadata, own._fetch, own.disk.tell)
        records = [
            record
            for id_ in log._survey.metas(group - 1)
            for record in await log._records(own.log.get(id_))  # type: ignore[arg-type]
        ]
        assert key(ino, d, stripe) in {key_of(record) for record in records}

    play(tmp_path, Geometry(2, 1), main)
