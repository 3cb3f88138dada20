"""The figures behind `coopfs status`: damage by partner, the kit's countdown, space and its reserve."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import trio

from coopfs.app.disk.outlook import describe_outlook
from coopfs.app.disk.status import describe_disk
from coopfs.core.columnstate import ColumnState
from coopfs.core.reliability import restore_failure
from coopfs.core.space import reserve_rows, stripe_payload
from coopfs.local.kitrecord import MadeKit
from coopfs.local.mastercopy import MasterHolders
from tests.sim.owner import Owner
from tests.sim.world import ROWS, Geometry
from tests.tasks.homes import SETTLED, group_of, play


def columns(owner: Owner, key: str) -> list[Any]:
    return [column[key] for column in describe_disk(owner.own)["columns"]]


def test_lost_and_damaged_blocks_are_shown_with_their_partner(tmp_path: Path) -> None:
    async def main(owner: Owner) -> None:
        await group_of(owner, b"a", 100_000)
        await trio.sleep(SETTLED)
        assert columns(owner, "lost") == columns(owner, "damaged") == [0, 0, 0, 0]
        site = owner.world.sites[1]
        (store,) = site.host.stores.values()
        gone = len(store.blocks)
        store.blocks.clear()
        site.cut()
        await trio.sleep(SETTLED)
        assert columns(owner, "lost") == [0, gone, 0, 0]
        assert columns(owner, "missing") == [0, 0, 0, 0], "they were sent again, and yet it is told"

        (data,) = owner.world.sites[0].host.stores.values()
        for row in list(data.blocks):
            data.spoil(row)
        stripe = owner.own.log.get(owner.own.log.places()[0][0])
        assert stripe is not None
        await owner.own._fetch(stripe)
        assert columns(owner, "damaged") == [1, 0, 0, 0]

    play(tmp_path, Geometry(2, 2), main)


def test_nothing_comes_back_from_partners_that_are_none_any_more(tmp_path: Path) -> None:
    """They delete what they stored: after `coopfs leave`."""

    async def main(owner: Owner) -> None:
        await group_of(owner, b"a", 100_000)
        await trio.sleep(SETTLED)
        nodes = [column.place.node for column in owner.own.columns.columns]
        told = describe_disk(owner.own, frozenset(nodes[1:]))
        assert (told["held_at"] is None, told["margin"]) == (False, 2)
        told = describe_disk(owner.own, frozenset(nodes))
        assert (told["held_at"], told["margin"], told["offline"]) == (None, None, False)

    play(tmp_path, Geometry(2, 2), main)


def test_the_kit_counts_down_to_when_it_is_good_no_more(tmp_path: Path) -> None:
    async def main(owner: Owner) -> None:
        await trio.sleep(SETTLED)
        assert describe_disk(owner.own)["kit"] is None
        nodes = [column.place.node for column in owner.own.columns.columns]
        owner.own.hand_out(MadeKit(1_700_000_000, tuple(nodes[:3])))
        expected = {"exported_at": "2023-11-14 22:13:20 UTC", "holders": 3, "needed": 2, "lacks": ["p3"]}
        assert describe_disk(owner.own)["kit"] == expected
        owner.own.columns.columns[2].state = ColumnState.AWAY
        assert describe_disk(owner.own)["kit"] == expected | {"holders": 2}
        owner.own.columns.columns[2].state = ColumnState.COUNTED
        for site in owner.world.sites[1:]:
            site.go(False)
        owner.own.keeper.block = replace(owner.own.keeper.block, counter=owner.own.keeper.block.counter + 1)
        owner.own.columns.columns[0].changed.notify()
        await trio.sleep(SETTLED)
        assert describe_disk(owner.own)["kit"] == expected | {"holders": 1}, "the others have an older master block"
        await owner.own.committer.commit()
        assert MasterHolders(owner.own.local.database).of(owner.own.keeper.block.counter) == {nodes[0]}

    play(tmp_path, Geometry(2, 2), main)


def test_space_and_rows_add_up(tmp_path: Path) -> None:
    async def main(owner: Owner) -> None:
        await group_of(owner, b"a", 100_000)
        await trio.sleep(SETTLED)
        told = describe_disk(owner.own)
        layout = owner.own.ledger.layout
        assert told["rows"] == ROWS
        assert told["row_bytes"] == stripe_payload(layout)
        assert told["reserve_bytes"] == reserve_rows(ROWS) * stripe_payload(layout)
        assert told["cleaning"]["live_bytes"] == 100_000
        assert told["cleaning"]["data_rows"] + told["cleaning"]["log_rows"] == told["rows_used"]

    play(tmp_path, Geometry(2, 1), main)


def test_the_present_figure_follows_the_weakest_stripes(tmp_path: Path) -> None:
    async def main(owner: Owner) -> None:
        def seen() -> Any:
            return describe_outlook(owner.own, lambda node: 0.9, now=2_000_000_000)

        assert seen() is None, "nothing is held"
        await group_of(owner, b"a", 100_000)
        await trio.sleep(SETTLED)
        told = seen()
        assert told["now"] == pytest.approx(restore_failure(2, 4, 0.9))
        assert told["within"] < told["now"]
        assert (told["weakest"], told["waiting_seconds"], told["within_days"]) == (None, None, 14.0)
        assert 0 <= told["lag_seconds"] < SETTLED

        owner.world.sites[3].go(False)
        await group_of(owner, b"b", 100_000)
        await trio.sleep(SETTLED)
        told = seen()
        assert told["weakest"]["blocks"] == 3
        assert told["now"] == pytest.approx(restore_failure(2, 3, 0.9))
        assert told["help"]["partner"] is None, "the blocks that are missing"
        owner.own.columns.columns[3].state = ColumnState.AWAY
        assert seen()["now"] == pytest.approx(restore_failure(2, 3, 0.9))
        owner.own.columns.columns[2].state = ColumnState.LOST
        assert seen()["now"] == pytest.approx(1 - 0.81)
        for site in owner.world.sites:
            site.go(False)
        await group_of(owner, b"c", 100_000)
        await trio.sleep(SETTLED)
        assert seen()["waiting_seconds"] > 0, "nobody takes it"

    play(tmp_path, Geometry(2, 2), main)
