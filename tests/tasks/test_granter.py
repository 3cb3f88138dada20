"""Readers of a disk: every partner learns of them, however late, and of their end."""

from pathlib import Path

import pytest
import trio

from coopfs.app.disk import kits
from coopfs.app.requests import FOREVER
from coopfs.core.identity import Identity
from coopfs.core.kit import Kit, from_text, to_text
from coopfs.errors import PeerError, UsageError
from coopfs.limits import MAX_READERS
from coopfs.types import NodeKey, Opening
from tests.sim.owner import Owner
from tests.sim.world import Geometry
from tests.tasks.homes import SETTLED, group_of, play, running


async def admitted(owner: Owner, key: NodeKey) -> list[bool]:
    """By column: whether its partner lets this reader open the store, and read in it."""
    answers = []
    for site, column in zip(owner.world.sites, owner.own.columns.columns, strict=True):
        try:
            store = await site.host.partner(key).open(Opening(owner.own.disk_id, column.place.store))
            assert await store.inventory(0, 1000)
            answers.append(True)
        except PeerError:
            answers.append(False)
    return answers


async def read_only(owner: Owner, until: int = FOREVER) -> tuple[Kit, int]:
    return await kits.read_only(owner.own, "alice", {}, until)


def reader(kit: Kit) -> NodeKey:
    return Identity.from_seed(kit.identity).key


def test_a_read_only_kit_has_no_signing_key_and_a_reader_whom_partners_let_in(tmp_path: Path) -> None:
    async def main(owner: Owner) -> None:
        await group_of(owner, b"a")
        await trio.sleep(SETTLED)
        kit, told = await read_only(owner)
        assert told == 3
        assert from_text(to_text(kit, "today")) == kit
        assert kit.read_only
        assert "but not change it" in to_text(kit, "today")
        assert kit.disks[0].keys.signing_seed is None
        assert kit.disks[0].keys.disk == owner.own.disk_id
        assert await admitted(owner, reader(kit)) == [True] * 3
        assert await admitted(owner, NodeKey(b"x" * 32)) == [False] * 3

        whole = await kits.whole(owner.own, "alice", b"i" * 32, {})
        assert not whole.read_only
        assert len(kits.describe_readers(owner.own)) == 1

    play(tmp_path, Geometry(2, 1), main)


def test_a_partner_that_was_away_is_told_when_it_returns_also_after_a_restart(tmp_path: Path) -> None:
    async def main(owner: Owner) -> None:
        await group_of(owner, b"a")
        await trio.sleep(SETTLED)
        owner.world.sites[2].go(False)
        kit, told = await read_only(owner)
        assert told == 2
        assert await admitted(owner, reader(kit)) == [True, True, False]
        await owner.die(power=False)
        async with running(owner):
            owner.world.sites[2].go(True)
            await trio.sleep(SETTLED)
            assert await admitted(owner, reader(kit)) == [True] * 3
            assert [entry["told"] for entry in kits.describe_readers(owner.own)] == [3]

    play(tmp_path, Geometry(2, 1), main)


def test_one_who_was_taken_back_is_forgotten_when_all_know(tmp_path: Path) -> None:
    async def main(owner: Owner) -> None:
        await group_of(owner, b"a")
        await trio.sleep(SETTLED)
        kit, _ = await read_only(owner)
        other, _ = await read_only(owner)
        owner.world.sites[0].go(False)
        answer = await kits.revoke(owner.own, reader(kit).hex()[:12])
        assert (answer["reader"], answer["told"], answer["partners"]) == (reader(kit).hex(), 2, 3)
        assert await admitted(owner, reader(kit)) == [True, False, False]
        assert {entry["revoked"] for entry in kits.describe_readers(owner.own)} == {True, False}
        owner.world.sites[0].go(True)
        await trio.sleep(SETTLED)
        assert await admitted(owner, reader(kit)) == [False] * 3
        assert [entry["reader"] for entry in kits.describe_readers(owner.own)] == [reader(other).hex()]
        assert await admitted(owner, reader(other)) == [True] * 3
        for prefix in ("", "zz", reader(kit).hex()):
            with pytest.raises(UsageError, match=r"readers begin with|no readers"):
                await kits.revoke(owner.own, prefix + "!")

    play(tmp_path, Geometry(2, 1), main)


def test_readers_are_bounded_and_those_whose_time_is_over_make_room(tmp_path: Path) -> None:
    async def main(owner: Owner) -> None:
        await trio.sleep(SETTLED)
        for number in range(MAX_READERS):
            owner.own.readers.add(NodeKey(bytes([number]) * 32), 1000 + number, now=10, read_key=1)
        with pytest.raises(UsageError, match="take one back"):
            owner.own.readers.add(NodeKey(b"x" * 32), 2000, now=10, read_key=1)
        owner.own.readers.add(NodeKey(b"x" * 32), 2000, now=1000, read_key=1)
        assert len(owner.own.readers.all()) == MAX_READERS

    play(tmp_path, Geometry(1, 1), main)
