"""A node that finds nobody free steps between two daemons that back each other up, and their content stays."""

import sqlite3
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path

import pytest

from coopfs.cli import client
from tests.e2e.commands import coopfs, well
from tests.e2e.waiting import until
from tests.match.daemons import serving
from tests.match.test_formation import daemon

pytestmark = pytest.mark.slow


def partners(home: Path) -> set[str]:
    return {entry["name"] for entry in client.call(home, "partner_list")["partners"]}


def is_complete(home: Path) -> bool:
    """Whether its disk is at its present partners, all of it."""
    columns = client.call(home, "status")["disk"]["columns"]
    return {(column["partner"], column["state"]) for column in columns} == {(n, "caught up") for n in partners(home)}


def bonds(database: Path) -> int:
    """How many the server knows, of both sides."""
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        return int(connection.execute("SELECT count(*) FROM bonds").fetchone()[0])


def test_a_newcomer_steps_between_two_that_back_each_other_up(tmp_path: Path) -> None:
    with ExitStack() as stack:
        server = stack.enter_context(serving(str(tmp_path / "match.sqlite"), tmp_path, "--together"))
        homes = [stack.enter_context(daemon(tmp_path / f"node-{number}", server, 2)) for number in range(3)]
        until(lambda: [client.call(each, "status")["matching"]["lacking"] for each in homes] == [0, 0, 0])
        mounts = []
        for home in homes[:2]:
            well(coopfs("format", "--data", "1", "--redundancy", "1", "--block-size", "128K", home=home))
            mounts.append(home.with_suffix(".mnt"))
            mounts[-1].mkdir()
            well(coopfs("mount", str(mounts[-1]), home=home))
            (mounts[-1] / "file").write_bytes(home.name.encode() * 100_000)
            well(coopfs("sync", "--complete", home=home))
        # all come from one address, of which the server answers 60 questions at once, and then one a second: who asked
        # for pairs again and again before all have told of their bonds would keep them from telling
        until(lambda: bonds(tmp_path / "match.sqlite") == 2 * len(homes))
        newcomer = stack.enter_context(daemon(tmp_path / "newcomer", server, 2))
        asking = "nobody is free: asking to step between node-"
        until(lambda: asking in well(coopfs("partner", "find", home=newcomer)).out)
        until(lambda: len(partners(newcomer)) == 2, patience=120)
        between = [home for home in homes if home.name in partners(newcomer)]
        stays = next(home.name for home in homes if home not in between)
        # each of the two leaves the other at a moment of its own, and lists it until that one knows
        until(lambda: all(partners(home) == {stays, "newcomer"} for home in between), patience=180)
        for home, mount in zip(homes, mounts, strict=False):
            until(partial(is_complete, home))
            well(coopfs("check", "--deep", home=home))
            assert (mount / "file").read_bytes() == home.name.encode() * 100_000
            well(coopfs("umount", home=home))
