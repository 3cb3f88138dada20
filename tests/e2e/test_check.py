"""Damage while all daemons run: `coopfs check` finds it and repairs it."""

import json
import random
import sqlite3
from contextlib import closing

import pytest

from coopfs.core.storeformat import slots_offset
from coopfs.local.disk import DATABASE
from tests.e2e.commands import coopfs, well
from tests.e2e.waiting import until
from tests.e2e.world import BLOCK, MIB, World

pytestmark = pytest.mark.slow


def test_rot_at_a_partner_is_found_and_repaired_while_the_disk_is_in_use(world: World) -> None:
    owner = world.owner("chloe", data=2, redundancy=1, partners=("p1", "p2", "p3"))
    content = random.Random(1).randbytes(2 * MIB)
    (owner.mount() / "f").write_bytes(content)
    owner.sync(complete=True)
    assert "found nothing" in well(coopfs("check", "--deep", home=owner.home)).out

    place = next(hosted for hosted in world.call("p2", "status")["hosted"] if hosted["partner"] == "chloe")
    store = world.home("p2") / "hosted" / place["store"]
    with store.open("r+b") as file:
        for row in range(place["used"]):
            file.seek(slots_offset(place["rows"]) + row * BLOCK + 100)
            file.write(b"rot")
    found = coopfs("check", "--deep", "--json", home=owner.home)
    assert found.code == 13
    assert 1 < json.loads(found.out)["found"] <= place["used"], "reading the log has some repaired by itself"
    assert all("p2" in finding["text"] for finding in json.loads(found.out)["findings"])
    repaired = well(coopfs("check", "--deep", "--repair", home=owner.home))
    assert repaired.out.count("repaired: p2") >= 1
    owner.sync(complete=True)
    assert "found nothing" in well(coopfs("check", "--deep", home=owner.home)).out


def test_the_kernel_forgets_what_a_repair_has_changed(world: World) -> None:
    """It may keep names and attributes for minutes, also that a name is not there."""
    owner = world.owner("dana", data=2, redundancy=1, partners=("p1", "p2", "p3"))
    mountpoint = owner.mount()
    for name in ("mode", "gone"):
        (mountpoint / name).write_bytes(b"content")
    (mountpoint / "mode").chmod(0o600)
    owner.sync(complete=True)
    world.stop(owner.name)
    database = owner.disk / DATABASE
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("UPDATE inodes SET mode = mode | 7 WHERE name = CAST('mode' AS BLOB)")
        connection.execute("DELETE FROM names WHERE name = CAST('gone' AS BLOB)")
    world.restart(owner.name)
    mountpoint = owner.mount()
    assert (mountpoint / "mode").stat().st_mode & 7 == 7
    assert not (mountpoint / "gone").exists()
    well(coopfs("check", "--repair", home=owner.home))
    until(lambda: (mountpoint / "mode").stat().st_mode & 7 == 0)
    until((mountpoint / "gone").exists)

    until(lambda: owner.status()["scrub"]["done"] >= 3)  # the first block of each partner is due at once
    assert owner.status()["scrub"]["days"] == 90
    assert "scrub: this pass over the partners' blocks has done" in well(coopfs("status", home=owner.home)).out
