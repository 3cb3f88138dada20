"""What a check finds beside tables and blocks: rows, digests, master blocks, and what is gone before it is held."""

from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import pytest
import trio

from coopfs.errors import NotAsked
from coopfs.local.slotsums import SlotSums
from coopfs.types import Kind
from tests.memory import MemoryHost
from tests.sim.invariants import check_ledger, have_masters
from tests.sim.owner import Owner
from tests.sim.world import Geometry
from tests.tasks.homes import SETTLED, group_of, play, write
from tests.tasks.test_check import damage, look, some_tree, told


def test_a_row_that_no_stripe_has_is_found_and_given_back(tmp_path: Path) -> None:
    async def main(owner: Owner) -> None:
        await some_tree(owner)
        row = owner.own.ledger.rows.take()
        assert told(await look(owner)) == [f"row {row} counts as taken, and no stripe has it"]
        answer = await look(owner, repair=True)
        assert (answer["found"], answer["repaired"]) == (1, 1)
        check_ledger(owner)
        assert told(await look(owner)) == []

    play(tmp_path, Geometry(2, 1), main)


def test_a_row_of_a_stripe_that_is_being_coded_is_not_leaked(tmp_path: Path) -> None:
    async def main(owner: Owner) -> None:
        await some_tree(owner)
        place = owner.own.ledger.place(owner.own.ledger.layout.id)
        assert told(await look(owner)) == []
        owner.own.ledger.placed.clear()
        owner.own.ledger.rows.give_back(place.row)

    play(tmp_path, Geometry(2, 1), main)


def test_a_stripe_of_which_nothing_lives_is_buried(tmp_path: Path) -> None:
    async def main(owner: Owner) -> None:
        await some_tree(owner)
        owner.be_unseen()
        await group_of(owner, b"alone")
        await trio.sleep(SETTLED)
        await owner.apply(("unlink", ((b"alone",),)))
        await owner.own.committer.commit()
        read = owner.own.local.database.read
        (stripe, row), *_ = read(f"SELECT id, row FROM stripes WHERE kind = {Kind.DATA:d} AND died NOT NULL").fetchall()
        await damage(owner, f"UPDATE stripes SET died = NULL WHERE id = {stripe}")
        assert f"nothing lives of stripe {stripe}, and it keeps row {row}" in told(await look(owner))
        answer = await look(owner, repair=True)
        assert answer["found"] == answer["repaired"] > 0
        assert told(await look(owner)) == []
        await group_of(owner, b"c")
        await trio.sleep(SETTLED)
        assert read("SELECT 1 FROM stripes WHERE id = ?", (stripe,)).fetchone() is None
        check_ledger(owner)

    play(tmp_path, Geometry(2, 1), main)


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE digests SET digest = zeroblob(16) WHERE number = 1",
        "DELETE FROM digests WHERE number = 1",
        "INSERT INTO remains VALUES (40, 77, 2)",
    ],
    ids=["another", "none", "remains of nothing"],
)
def test_a_digest_that_is_not_that_of_what_was_acked_is_put_right(tmp_path: Path, sql: str) -> None:
    async def main(owner: Owner) -> None:
        await some_tree(owner)
        await damage(owner, sql)
        assert told(await look(owner)) == ["the digest that is expected of p1 is not that of what it acked"]
        answer = await look(owner, repair=True)
        assert (answer["found"], answer["repaired"]) == (1, 1)
        assert told(await look(owner)) == []
        owner.world.sites[1].cut()  # it is compared when it is back
        await group_of(owner, b"c")
        await trio.sleep(SETTLED)
        check_ledger(owner)

    play(tmp_path, Geometry(2, 1), main)


def test_a_digest_that_changes_while_it_is_looked_at_is_put_right(tmp_path: Path) -> None:
    async def main(owner: Owner) -> None:
        await some_tree(owner)
        await damage(owner, "UPDATE digests SET digest = zeroblob(16) WHERE number = 1")
        sums = SlotSums(owner.own.local.database.path)
        wrong = sums.wrong()
        sums.close()
        assert list(wrong) == [1]
        await group_of(owner, b"c")
        await trio.sleep(SETTLED)
        owner.own.ledger.slots.adjust(1, wrong[1])
        await owner.own.committer.commit()
        check_ledger(owner)

    play(tmp_path, Geometry(2, 1), main)


def test_no_digest_is_expected_of_a_store_that_is_being_compared(tmp_path: Path) -> None:
    async def main(owner: Owner) -> None:
        await some_tree(owner)
        owner.own.ledger.slots.expect(1, None)
        await owner.own.committer.commit()
        assert told(await look(owner, repair=True)) == []

        def broken(self: SlotSums) -> dict[int, int]:
            raise NotAsked("disk I/O error")

        with patch.object(SlotSums, "wrong", broken):
            assert (await look(owner))["notes"] == ["the digests of partners could not be looked at: disk I/O error"]

    play(tmp_path, Geometry(2, 1), main)


def masters_of(owner: Owner, number: int) -> list[object]:
    host: MemoryHost = owner.world.sites[number].host
    disk = host.known_disk(owner.world.node, owner.world.keys.disk)
    assert disk is not None
    return disk.masters  # type: ignore[return-value]


@pytest.mark.parametrize("how", ["lost", "damaged"])
def test_a_partner_without_the_master_block_that_it_took_gets_a_newer_one(tmp_path: Path, how: str) -> None:
    async def main(owner: Owner) -> None:
        await some_tree(owner)
        while not have_masters(owner):
            await trio.sleep(1)
        assert (await look(owner))["checked"]["master blocks"] == 3
        masters = masters_of(owner, 1)
        if how == "lost":
            masters.clear()
        else:
            masters[:] = [replace(stored, data=stored.data[:-1] + b"x") for stored in masters]  # type: ignore[type-var,attr-defined]
        (text,) = told(await look(owner))
        assert text.startswith(
            "p1 lacks the newest master block, which it had taken"
            if how == "lost"
            else "p1 gives a master block that does not open: "
        )
        answer = await look(owner, repair=True)
        assert (answer["found"], answer["repaired"]) == (1, 1)
        await trio.sleep(SETTLED)
        assert told(await look(owner)) == []
        if how == "lost":
            assert have_masters(owner)

    play(tmp_path, Geometry(2, 1), main)


def test_a_partner_that_refuses_to_show_its_master_block_is_a_note(tmp_path: Path) -> None:
    async def main(owner: Owner) -> None:
        await some_tree(owner)
        while not have_masters(owner):
            await trio.sleep(1)
        owner.world.sites[1].host.given.clear()
        answer = await look(owner)
        assert told(answer) == []
        assert any(note.startswith("p1 did not show its master block: ") for note in answer["notes"]), answer["notes"]

    play(tmp_path, Geometry(2, 1), main)


@pytest.mark.parametrize("kind", [Kind.DATA, Kind.END])
def test_what_is_not_held_and_gone_from_here_is_fetched_back(tmp_path: Path, kind: Kind) -> None:
    async def main(owner: Owner) -> None:
        await some_tree(owner)
        owner.world.sites[2].go(up=False)
        await trio.sleep(1)
        group = await group_of(owner, b"c", 5000)
        await trio.sleep(SETTLED)
        local = owner.own.local
        assert owner.own.ledger.held < group
        (stripe,) = local.database.read(
            "SELECT id FROM stripes WHERE born = ? AND kind = ? AND row NOT NULL", (group, kind)
        ).fetchone()
        if kind == Kind.DATA:
            local.stage.contents.path(stripe).unlink()
            what = "content of stripe"
        else:
            await damage(owner, f"DELETE FROM meta_payloads WHERE stripe = {stripe}")
            what = "the payload of meta stripe"
        text = f"{what} {stripe}, which was sent and is not held yet, is missing from this machine"
        assert told(await look(owner)) == [text]
        answer = await look(owner, repair=True)
        assert (answer["found"], answer["repaired"]) == (1, 1)
        assert told(await look(owner)) == []
        owner.world.sites[2].go(up=True)
        await trio.sleep(SETTLED)
        check_ledger(owner)

    play(tmp_path, Geometry(2, 1), main)


def test_what_is_not_held_and_nowhere_is_named_by_path(tmp_path: Path) -> None:
    async def main(owner: Owner) -> None:
        await some_tree(owner)
        owner.world.sites[2].go(up=False)
        await trio.sleep(1)
        group = await group_of(owner, b"c", 5000)
        await trio.sleep(SETTLED)
        (stripe,) = owner.own.local.database.read(
            "SELECT id FROM stripes WHERE born = ? AND kind = ? AND row NOT NULL", (group, Kind.DATA)
        ).fetchone()
        owner.own.local.stage.contents.path(stripe).unlink()
        for site in owner.world.sites[:2]:
            site.host.only_store.blocks.clear()
        answer = await look(owner, repair=True)
        assert f"content of stripe {stripe}, which was sent and is not held yet, is missing from this machine" in told(
            answer
        )
        assert answer["repaired"] < answer["found"]
        assert answer["lost"] == ["/c"]

    play(tmp_path, Geometry(2, 1), main)


def test_what_is_at_enough_partners_need_not_be_here(tmp_path: Path) -> None:
    """After a crash: of a group that was held the last acks were not saved, and some of its content had gone."""

    async def main(owner: Owner) -> None:
        await some_tree(owner)
        own = owner.own
        await write(owner, b"c", 300_000)
        sent = "SELECT id FROM stripes WHERE born > ? AND kind = ? AND row NOT NULL ORDER BY id"
        while not (sealed := own.local.database.read(sent, (own.ledger.held, Kind.DATA)).fetchall()):
            await trio.sleep(0.001)
        ((stripe,), *_) = sealed
        while not own.ledger.progress.may_go(stripe):
            await trio.sleep(0.001)
        for site in owner.world.sites:
            site.go(up=False)
        await trio.sleep(SETTLED)
        assert stripe in own.log.born_after(own.ledger.held)
        own.local.stage.contents.path(stripe).unlink()
        assert told(await look(owner)) == []

    play(tmp_path, Geometry(1, 2), main)
