"""A partner's disk rots while all daemons run: `coopfs check` finds it and repairs it."""

import json
import random

import pytest

from coopfs.core.storeformat import slots_offset
from tests.e2e.commands import coopfs, well
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
