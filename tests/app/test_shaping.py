"""What an owner may ask for when the disk is to have another layout: each thing that cannot be is one clear line."""

from pathlib import Path

import pytest

from coopfs.app.disk import changing
from coopfs.app.disk.shaping import reshape
from coopfs.app.disk.status import describe_disk
from coopfs.cli import words
from coopfs.core.storeformat import store_size
from coopfs.errors import UsageError
from coopfs.local.partners import PartnerEntry
from tests.sim.network import Site
from tests.sim.owner import Owner
from tests.sim.world import ROWS, Geometry
from tests.tasks.homes import group_of, play

GIVEN = 64 << 20  # bytes


def entry(site: Site, taken: int = GIVEN) -> PartnerEntry:
    return PartnerEntry(f"p{site.number}", site.host.key, (), 0, taken)


@pytest.mark.parametrize(
    ("k", "m", "add", "leave_out", "why"),
    [
        (2, 1, [], [], "is 2.1 on these partners already"),
        (3, 1, [], [], "4 partners are needed, these are 3"),
        (3, 1, ["nobody"], [], "no partner is called 'nobody'"),
        (3, 1, ["p1"], [], "p1 holds a column of this disk already"),
        (2, 1, [], ["p3"], "'p3' holds no column of this disk"),
        (3, 0, [], [], "cannot move to a layout without redundancy: --redundancy 1"),
        (60, 3, [], [], "more than the 62"),
    ],
)
def test_what_cannot_be_is_said_and_changes_nothing(
    tmp_path: Path, k: int, m: int, add: list[str], leave_out: list[str], why: str
) -> None:
    async def main(owner: Owner) -> None:
        entries = [entry(site) for site in (*owner.world.sites, owner.world.join(3))]
        with pytest.raises(UsageError, match=why):
            await reshape(owner.own, entries, k, m, add, leave_out)
        assert not owner.own.reshaping.is_under_way

    play(tmp_path, Geometry(2, 1), main)


def test_the_number_of_rows_and_the_layout_do_not_change_at_once(tmp_path: Path) -> None:
    async def main(owner: Owner) -> None:
        entries = [entry(site) for site in (*owner.world.sites, owner.world.join(3))]
        for rows in (2 * ROWS, ROWS // 2):
            owner.own.growing.want(rows)
            with pytest.raises(UsageError, match="more rows, or less: wait"):
                await reshape(owner.own, entries, 3, 1, ["p3"], [])
        owner.own.growing.want(ROWS)
        await reshape(owner.own, entries, 3, 1, ["p3"], [])
        with pytest.raises(UsageError, match="getting another layout: wait"):
            changing.short_of(owner.own, entries, GIVEN)
        with pytest.raises(UsageError, match="getting another layout: wait"):
            await changing.resize(owner.own, entries, None)

    play(tmp_path, Geometry(2, 1), main)


def test_both_must_find_room_at_each_partner_until_all_has_moved(tmp_path: Path) -> None:
    async def main(owner: Owner) -> None:
        await group_of(owner, b"a", 100_000)
        size = store_size(ROWS, owner.own.ledger.layout.block_size)
        sites = [*owner.world.sites, owner.world.join(3)]
        with pytest.raises(UsageError, match=r"p0 has .* left beside what the disk takes there"):
            await reshape(owner.own, [entry(site, size) for site in sites], 3, 1, ["p3"], [])
        rows = await reshape(owner.own, [entry(site, 2 * size) for site in sites], 3, 1, ["p3"], [])
        assert ROWS * 9 // 10 <= rows <= ROWS, "less what growing may cost"
        told = describe_disk(owner.own)["reshaping"]
        assert (told["k"], told["m"], told["used"]) == (3, 1, False)
        assert words.reshaping(told).startswith("getting ready to be 3+1")
        assert words.reshaping(told | {"used": True, "rows_left": 7, "seconds_left": 9000, "waits_for": None}) == (
            "moving to 3+1: 7 rows of the layout before are to be emptied, about 2 hours left"
        )

    play(tmp_path, Geometry(2, 1), main)


def test_a_partner_that_is_none_any_more_must_be_left_out(tmp_path: Path) -> None:
    async def main(owner: Owner) -> None:
        others = owner.world.sites[1:]
        entries = [entry(site) for site in (*others, owner.world.join(3))]
        with pytest.raises(UsageError, match="p0 is no partner any more: leave it out with --without p0"):
            await reshape(owner.own, entries, 2, 1, [], [])
        await reshape(owner.own, entries, 2, 1, ["p3"], ["p0"])
        nodes = [store.node for store in owner.own.keeper.block.layouts[-1].primaries]
        assert nodes == [other.key for other in entries]

    play(tmp_path, Geometry(2, 1), main)
