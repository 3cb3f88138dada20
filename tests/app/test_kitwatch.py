"""The owner is told in time that another recovery kit is wanted (design R14), and only when it would help."""

from pathlib import Path

import pytest
import trio

from coopfs.app.disk import changing
from coopfs.app.disk.kitwatch import KitWatch, standing, wanted
from coopfs.app.disk.status import describe_disk
from coopfs.limits import KIT_AGAIN, KIT_CHECK
from coopfs.local.kitrecord import MadeKit
from coopfs.local.partners import PartnerEntry
from tests.sim.owner import Owner
from tests.sim.world import Geometry
from tests.tasks.homes import SETTLED, group_of, play


def export(owner: Owner) -> None:
    owner.own.hand_out(MadeKit(0, owner.own.places.nodes))


async def replace(owner: Owner, number: int) -> None:
    """Give a column to a new partner, which no kit names yet."""
    old, new = owner.world.sites[number], owner.world.join(number)
    entries = (PartnerEntry(f"p{site.life}", site.host.key, (), 0, 1 << 40) for site in (old, new))
    await changing.give(owner.own, *entries)
    await trio.sleep(4 * SETTLED)


def test_a_kit_is_wanted_when_there_is_none_and_before_the_last_may_not_be_lost(tmp_path: Path) -> None:
    async def main(owner: Owner) -> None:
        await group_of(owner, b"a")
        await trio.sleep(SETTLED)
        assert standing(owner.own) is None
        assert wanted(owner.own) == "without a recovery kit nothing can be restored, and none was exported"
        export(owner)
        assert wanted(owner.own) is None
        await replace(owner, 0)
        why = wanted(owner.own)
        assert why is not None
        assert why.startswith("the newest kit does not name p3, who came later, and no more of those")
        assert describe_disk(owner.own)["kit_wanted"] == why
        await replace(owner, 1)
        assert wanted(owner.own) == "a new kit must be exported that names p4, for what was begun to go on"
        export(owner)
        assert wanted(owner.own) is None

    play(tmp_path, Geometry(1, 2), main)


def test_no_kit_is_wanted_while_the_newest_master_block_is_on_its_way(tmp_path: Path) -> None:
    """A new one would name the same partners, and be no better."""

    async def main(owner: Owner) -> None:
        await group_of(owner, b"a")
        await trio.sleep(SETTLED)
        export(owner)
        for site in owner.world.sites:
            site.go(up=False)
        await owner.own.keeper.move_floor()
        made = standing(owner.own)
        assert made is not None
        assert (made.holders, made.needed, made.lacks) == (0, 2, ())
        assert wanted(owner.own) is None

    play(tmp_path, Geometry(1, 2), main)


def test_the_owner_is_told_at_once_of_what_is_new_and_once_a_day_of_the_rest(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    told: list[tuple[str, str]] = []

    async def tell(title: str, text: str) -> None:
        told.append((title, text))

    async def main(owner: Owner) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(KitWatch(lambda: owner.own, tell).run)
            nursery.start_soon(KitWatch(lambda: None, tell).run)  # a node without a disk needs no kit
            await trio.sleep(KIT_CHECK / 2)
            assert not told, "who has just made a disk is about to export its kit"
            await trio.sleep(KIT_CHECK)
            assert told == [
                (
                    "coopfs: a new recovery kit is wanted",
                    "Without a recovery kit nothing can be restored, and none was exported. Export one with coopfs kit "
                    "export FILE, and keep it somewhere else.",
                )
            ]
            await trio.sleep(KIT_AGAIN - KIT_CHECK)
            assert len(told) == 1
            await trio.sleep(KIT_CHECK)
            assert len(told) == 2
            export(owner)
            await trio.sleep(2 * KIT_AGAIN)
            assert len(told) == 2
            nursery.cancel_scope.cancel()
        assert caplog.text.count("Export one") == 2

    play(tmp_path, Geometry(1, 2), main)
