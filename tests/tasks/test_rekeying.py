"""A disk gets a new key: with crashes, with partners that are away, and what whoever has which kit can read then."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
import trio

from coopfs.app.disk import changing
from coopfs.app.disk.status import describe_disk
from coopfs.core import cleaning
from coopfs.core.claims import CLAIMER
from coopfs.core.columnstate import ColumnState
from coopfs.core.keys import DiskKeys, KeyAge
from coopfs.core.master import Floor, Wishes, seal_master
from coopfs.core.seal import key_id_of
from coopfs.errors import UsageError
from coopfs.limits import AWAY_AFTER, KEY_LEAP
from coopfs.local import keyfile
from coopfs.local.kitrecord import MadeKit
from coopfs.local.partners import PartnerEntry
from coopfs.tasks.recovery.recovery import OLD_KIT
from coopfs.tasks.recovery.takeover import Takeover
from tests.sim.network import Weather
from tests.sim.owner import Owner
from tests.sim.restore import Refused, Restored, restore
from tests.sim.takeover import Found, take_over
from tests.sim.world import Geometry
from tests.tasks.homes import SETTLED, group_of, heir_of, play, running, sleep_through

ENOUGH = 40  # pauses of SETTLED in which all is written again


async def begin(owner: Owner, everything: bool = False) -> int:
    id_ = owner.own.rekeying.begin(owner.world.random.randbytes(32), everything)
    await owner.own.committer.commit()
    return id_


async def hand_out(owner: Owner) -> None:
    """A kit, which is in its owner's hands."""
    own = owner.own
    owner.world.kit_secrets = own.keys.secrets
    own.hand_out(MadeKit(0, own.places.nodes))
    own.rekeying.carry(own.keys.newest)
    await own.committer.commit()


def sealed_with(owner: Owner, number: int) -> Counter[int]:
    """Key id -> blocks that a partner stores."""
    (store,) = owner.world.sites[number].host.stores.values()
    return Counter(key_id_of(block.data) for block in store.blocks.values())


def keys_of_home(owner: Owner) -> DiskKeys:
    return keyfile.read(owner.platter.directory)


async def view(owner: Owner, tmp_path: Path, name: str) -> Restored | Refused:
    return await restore(owner.world, owner.world.way(Weather()), tmp_path / name)


def test_a_new_key_seals_nothing_until_a_kit_has_it_and_then_all_that_is_new(tmp_path: Path) -> None:
    async def main(owner: Owner) -> None:
        await group_of(owner, b"a")
        assert await begin(owner) == 2
        assert [key.id for key in keys_of_home(owner).secrets] == [1, 2]
        await group_of(owner, b"b")
        await trio.sleep(SETTLED)
        assert owner.own.rekeying.pending == 2
        told = describe_disk(owner.own)["keys"]
        assert told == {
            "newest": 2,
            "older": [1],
            "waits_for": "a new kit must be exported that has it",
            "bytes_left": None,
        }
        assert set(sealed_with(owner, 0)) == {1}
        with pytest.raises(UsageError, match="key 2 waits for a kit already"):
            await begin(owner)
        await hand_out(owner)
        await trio.sleep(SETTLED)
        assert owner.own.rekeying.pending is None
        assert owner.own.rekeying.hindrance() is None
        before = sealed_with(owner, 0)
        group = await group_of(owner, b"c")
        await trio.sleep(SETTLED)
        after = sealed_with(owner, 0)
        assert after[1] == before[1]
        assert after[2] > 0
        assert owner.own.log.newest_version > KEY_LEAP
        await owner.burn()
        found = await view(owner, tmp_path, "view")
        assert isinstance(found, Restored)
        assert (found.group, found.doubt) == (group, None)

    play(tmp_path, Geometry(2, 2), main)


def test_an_older_kit_is_told_and_can_take_nothing_over(tmp_path: Path) -> None:
    async def main(owner: Owner) -> None:
        world = owner.world
        old, secrets = await group_of(owner, b"a"), world.kit_secrets
        await trio.sleep(SETTLED)
        await begin(owner)
        await hand_out(owner)
        await trio.sleep(SETTLED)
        await group_of(owner, b"b")
        await trio.sleep(SETTLED)
        await owner.burn()
        world.kit_secrets = secrets
        found = await view(owner, tmp_path, "old")
        assert isinstance(found, Restored)  # what the older key sealed is still there
        assert found.group == old
        assert OLD_KIT in (found.doubt or "")
        refused = await take_over(world, tmp_path / "taken")
        assert isinstance(refused, Refused)
        assert refused.why == f"{OLD_KIT}; so does a takeover"

    play(tmp_path, Geometry(1, 2), main)


def test_all_is_written_again_and_the_old_key_is_forgotten(tmp_path: Path) -> None:
    async def main(owner: Owner) -> None:
        world = owner.world
        for number in range(6):
            group = await group_of(owner, b"%d" % number, 30_000)
        await trio.sleep(SETTLED)
        secrets = world.kit_secrets
        await begin(owner, everything=True)
        await hand_out(owner)
        while owner.own.rekeying.hindrance() is not None:
            await trio.sleep(1)
        assert describe_disk(owner.own)["keys"]["bytes_left"] > 0
        for _ in range(ENOUGH):
            await trio.sleep(SETTLED)
        assert [key.id for key in keys_of_home(owner).secrets] == [2]
        assert [age.id for age in world.masters(0)[0].keys] == [2]
        assert describe_disk(owner.own)["keys"] is None
        in_use = {row for _, row, _, _ in owner.own.log.places()}
        (store,) = world.sites[0].host.stores.values()
        assert {key_id_of(store.blocks[row].data) for row in in_use} == {2}
        group = await group_of(owner, b"later")
        await trio.sleep(SETTLED)
        await owner.own.keeper.move_floor()  # partners keep two master blocks
        await trio.sleep(SETTLED)
        await owner.burn()
        found = await view(owner, tmp_path, "view")
        assert isinstance(found, Restored)
        assert found.group >= group
        assert found.doubt is None
        world.kit_secrets = secrets
        refused = await view(owner, tmp_path, "old")
        assert isinstance(refused, Refused)
        assert "it is sealed with key 2 of the disk, which is newer than this kit: use a newer one" in refused.why

    play(tmp_path, Geometry(1, 2), main)


def test_a_state_that_needs_a_key_that_is_not_here_is_not_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when the key was forgotten since, and the rows that needed it were not used again."""
    monkeypatch.setattr(cleaning, "LOG_SLACK", 0)

    async def main(owner: Owner) -> None:
        await group_of(owner, b"a", 30_000)
        await begin(owner)
        await hand_out(owner)
        while owner.own.rekeying.hindrance() is not None:
            await trio.sleep(1)
        query = "SELECT min(version) FROM stripes WHERE kind != 1 AND row IS NOT NULL"
        while owner.own.keys.id_at(owner.own.local.database.read(query).fetchone()[0]) == 1:
            await group_of(owner, b"b")  # until no stripe of the log needs the first key
            await trio.sleep(SETTLED)
        assert 1 in {owner.own.keys.id_at(version) for _, _, version, _ in owner.own.log.places()}
        await owner.burn()
        keys, block = owner.own.keys, owner.own.keeper.block
        forgetful = replace(block, counter=block.counter + 1, keys=block.keys[1:])
        owner.world.kit_secrets = keys.secrets[1:]
        for site in owner.world.sites:
            site.host.disk(owner.world.node, keys.disk).masters = [seal_master(keys, forgetful, site.host.key)]
        found = await view(owner, tmp_path, "view")
        assert isinstance(found, Refused)
        assert "sealed with a key that is not here" in found.why

    play(tmp_path, Geometry(1, 1), main)


def test_the_new_key_waits_for_all_that_count(tmp_path: Path) -> None:
    async def main(owner: Owner) -> None:
        world = owner.world
        await group_of(owner, b"a")
        late = world.sites[3]
        late.go(up=False)
        await trio.sleep(SETTLED)
        await begin(owner)
        await hand_out(owner)
        await trio.sleep(SETTLED)
        assert owner.own.rekeying.hindrance() == "p3 must be told and cannot be reached"
        with pytest.raises(UsageError, match="key 2 is not in use yet"):
            await begin(owner)
        await group_of(owner, b"b")
        await trio.sleep(SETTLED)
        assert set(sealed_with(owner, 0)) == {1}
        sleep_through(owner, AWAY_AFTER)
        await trio.sleep(SETTLED)
        assert owner.own.columns.columns[3].state is ColumnState.AWAY
        await group_of(owner, b"c")
        await trio.sleep(SETTLED)
        assert set(sealed_with(owner, 0)) == {1, 2}
        late.go(up=True)
        await trio.sleep(4 * SETTLED)
        assert owner.own.ledger.progress.pending == 0
        assert set(sealed_with(owner, 3)) == {1, 2}
        assert await begin(owner) == 3

    play(tmp_path, Geometry(2, 2), main)


@pytest.mark.parametrize("handed_out", [False, True])
@pytest.mark.parametrize("told", [False, True])
def test_a_crash_at_each_step_goes_on_and_a_takeover_with_the_new_kit_too(
    tmp_path: Path, handed_out: bool, told: bool
) -> None:
    async def main(owner: Owner) -> None:
        world = owner.world
        await group_of(owner, b"a")
        await trio.sleep(SETTLED)
        if not told:
            for site in world.sites:
                site.go(up=False)
        await begin(owner)
        if handed_out:
            await hand_out(owner)
            while told and owner.own.rekeying.hindrance() is not None:
                await trio.sleep(0.01)
        await owner.die(power=True)
        for site in world.sites:
            site.go(up=True)
        async with running(owner):
            assert owner.own.keys.newest == 2
            await hand_out(owner)
            await trio.sleep(SETTLED)
            assert owner.own.rekeying.hindrance() is None
            group = await group_of(owner, b"b")
            await trio.sleep(SETTLED)
            assert set(sealed_with(owner, 0)) == {1, 2}
            await owner.burn()
        found = await take_over(world, tmp_path / "taken")
        assert isinstance(found, Found)
        assert (found.taken.state.group, found.doubt) == (group, None)
        assert [age.id for age in found.taken.master.keys] == [1, 2]
        assert keyfile.read(found.taken.directory) == world.kit_keys()

    play(tmp_path, Geometry(1, 2), main)


def test_a_takeover_before_anything_was_sealed_with_the_new_key_names_it_again(tmp_path: Path) -> None:
    async def main(owner: Owner) -> None:
        world = owner.world
        group = await group_of(owner, b"a")
        await trio.sleep(SETTLED)
        await begin(owner)
        await hand_out(owner)
        await trio.sleep(SETTLED)
        assert [age.id for age in world.masters(0)[0].keys] == [1, 2]
        await owner.burn()
        found = await take_over(world, tmp_path / "taken")
        assert isinstance(found, Found)
        assert found.taken.state.group == group
        assert [age.id for age in found.taken.master.keys] == [1]
        assert [key.id for key in keyfile.read(found.taken.directory).secrets] == [1, 2]

    play(tmp_path, Geometry(1, 2), main)


def test_a_takeover_goes_on_writing_all_again(tmp_path: Path) -> None:
    async def main(owner: Owner) -> None:
        for number in range(6):
            await group_of(owner, b"%d" % number, 30_000)
        await trio.sleep(SETTLED)
        await begin(owner, everything=True)
        await hand_out(owner)
        while owner.own.rekeying.hindrance() is not None:
            await trio.sleep(1)
        heir = await heir_of(owner, tmp_path / "taken")
        async with running(heir):
            await heir.own.ready.wait()
            await hand_out(heir)  # the kit that was used is known to have it (app/recovery/takeover)
            assert heir.own.keeper.block.wishes == Wishes(key=2)
            for _ in range(ENOUGH):
                await trio.sleep(SETTLED)
            assert [key.id for key in keys_of_home(heir).secrets] == [2]
            in_use = {row for _, row, _, _ in heir.own.log.places()}
            (store,) = heir.world.sites[0].host.stores.values()
            assert {key_id_of(store.blocks[row].data) for row in in_use} == {2}
            assert heir.world.masters(0)[0].wishes == Wishes()

    play(tmp_path, Geometry(1, 2), main)


def test_a_takeover_without_the_key_that_was_to_seal_all_says_so(tmp_path: Path) -> None:
    async def main(owner: Owner) -> None:
        world = owner.world
        await group_of(owner, b"a")
        await trio.sleep(SETTLED)
        await begin(owner, everything=True)
        await trio.sleep(SETTLED)
        assert world.masters(0)[0].wishes == Wishes(key=2)
        await owner.burn()
        said = []
        takeover = Takeover(
            world.kit_keys(),
            world.node,
            world.way(Weather()),
            bytes(CLAIMER),
            world.wall,
            lambda node, addresses: None,
            lambda step, done, total: said.append(step),
            lambda state: None,
        )
        taken = await takeover.run(tmp_path / "taken", world.kit, Floor(0, 0))
        assert [line for line in said if "rekey --all" in line]
        assert taken.master.wishes == Wishes()

    play(tmp_path, Geometry(1, 2), main)


def test_a_stripe_whose_key_went_while_it_was_fetched_is_not_repaired(tmp_path: Path) -> None:
    async def main(owner: Owner) -> None:
        await group_of(owner, b"a")
        await trio.sleep(SETTLED)
        (id_, *_), *_ = owner.own.log.places()
        column = owner.own.columns.columns[0]
        assert await owner.own.cleaner._repair(id_, column) is not None
        owner.own.keys.age((KeyAge(1, owner.own.log.newest_version + 1),))
        assert await owner.own.cleaner._repair(id_, column) is None

    play(tmp_path, Geometry(1, 1), main)


def test_a_column_is_given_away_while_the_key_changes(tmp_path: Path) -> None:
    async def main(owner: Owner) -> None:
        world, own = owner.world, owner.own
        await group_of(owner, b"a", 30_000)
        await trio.sleep(SETTLED)
        await begin(owner, everything=True)
        old, site = own.columns.columns[1].place, world.join(1)
        entries = [PartnerEntry(f"p{s.life}", s.host.key, (), 0, 1 << 40) for s in (world.known[old.node], site)]
        await changing.give(own, *entries)
        await hand_out(owner)
        for _ in range(ENOUGH):
            await trio.sleep(SETTLED)
            await hand_out(owner)
        assert own.columns.incoming is None
        assert own.places.primaries[1].node == site.host.key
        assert own.rekeying.is_done
        group = await group_of(owner, b"b")
        await trio.sleep(SETTLED)
        await owner.burn()
        found = await view(owner, tmp_path, "view")
        assert isinstance(found, Restored)
        assert (found.group, found.doubt) == (group, None)

    play(tmp_path, Geometry(1, 2), main)


def test_too_many_keys_and_kits_of_keys_that_never_were_are_refused(tmp_path: Path) -> None:
    async def main(owner: Owner) -> None:
        with pytest.raises(UsageError, match="has no key 2"):
            owner.own.rekeying.carry(2)
        await group_of(owner, b"a")
        await trio.sleep(SETTLED)
        for id_ in range(2, 65):
            assert await begin(owner) == id_
            await hand_out(owner)
            while owner.own.rekeying.hindrance() is not None:
                await trio.sleep(1)
        with pytest.raises(UsageError, match="has had too many keys"):
            await begin(owner)

    play(tmp_path, Geometry(1, 1), main)
