"""No statement of a running disk reads a whole table that grows with it: what SQLite says of each that was executed."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import trio

from coopfs.local.database import Database
from coopfs.tasks.cleaning import retirer
from tests.sim.owner import Owner
from tests.sim.world import Geometry
from tests.tasks.homes import SETTLED, play, write

BOUNDED = {"facts", "columns", "digests"}  # tables with a row for each fact, or each column
SHORT = {"unsealed", "dead", "chain", "orphans"}  # indexes of what is under way, or of the log
SUMS = {"sparse"}  # is summed up when a part of the content has changed (core/cleaning)


class Listener:
    """Everything that is executed on a database from now on."""

    def __init__(self, database: Database) -> None:
        self.heard: set[str] = set()
        self.explain = database.read
        for name in ("read", "write", "write_many"):
            setattr(database, name, self._through(getattr(database, name)))

    def _through(self, method: Callable[..., Any]) -> Callable[..., Any]:
        def call(sql: str, values: Sequence[Any] = ()) -> Any:
            if ":" not in sql:  # those of the simulation, which looks at everything, have named parameters
                self.heard.add(sql)
            return method(sql, values)

        return call

    def scans(self) -> list[tuple[str, str]]:
        """(statement, what of its plan reads a whole table or index)."""
        found = []
        for sql in sorted(self.heard):
            plan = self.explain(f"EXPLAIN QUERY PLAN {sql}", [None] * sql.count("?"))
            for *_, step in plan.fetchall():
                words = step.split()
                if words[0] == "SCAN" and words[1] not in BOUNDED and words[-1] not in SHORT | SUMS:
                    found.append((sql, step))
        return found


async def live(owner: Owner) -> None:
    """A bit of everything, with retirement and compaction."""
    for number in range(240):
        await write(owner, b"%d" % number, 9_000)
        await owner.apply(("setxattr", ((b"%d" % number,), b"user.a", b"value", 0)))
        if number % 40 == 0:
            await owner.own.committer.close_group()
            await trio.sleep(SETTLED)
    await owner.apply(("mkdir", ((b"d",), 0o755)))
    await owner.apply(("rename", ((b"1",), (b"d", b"1"), 0)))
    await owner.apply(("link", ((b"2",), (b"d", b"2"))))
    await owner.apply(("truncate", ((b"3",), 100)))
    for number in range(4, 240):
        if number % 4:
            await owner.apply(("unlink", ((b"%d" % number,),)))
    for _ in range(6):
        await write(owner, b"tick", 10)
        await owner.own.committer.close_group()
        await trio.sleep(SETTLED)


def test_whatever_a_disk_does_it_looks_up_what_it_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retirer, "heads_to_retire", lambda usage, metas: metas // 2 if metas > 3 else 0)

    async def main(owner: Owner) -> None:
        listener = Listener(owner.own.local.database)
        await live(owner)
        assert any("DELETE FROM meta_keys" in sql for sql in listener.heard)  # a head was retired
        assert any("ORDER BY live" in sql for sql in listener.heard)  # stripes were chosen to be emptied
        assert listener.scans() == []

    play(tmp_path, Geometry(2, 1), main)
