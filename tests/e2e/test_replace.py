"""A partner is lost for good, or is to go; another one gets its column, and everything survives as before."""

import random
from pathlib import Path

import pytest

from tests.e2e.commands import coopfs, well
from tests.e2e.waiting import until
from tests.e2e.world import MIB, SHARE, Owner, World

pytestmark = pytest.mark.slow


def fill(top: Path, seed: int) -> dict[str, bytes]:
    """Files with random content; name -> content."""
    source = random.Random(seed)
    contents = {f"{seed}-{number}": source.randbytes(size) for number, size in enumerate([0, 700, 3 * MIB, 40_000])}
    for name, content in contents.items():
        (top / name).write_bytes(content)
    return contents


def until_replaced(owner: Owner, name: str) -> None:
    """Until the column is that partner's and counts, and nothing is being moved."""

    def is_done() -> bool:
        disk = owner.world.call(owner.name, "status")["disk"]
        states = {column["partner"]: column["state"] for column in disk["columns"]}
        return states.get(name) == "caught up" and disk["replacement"] is None

    until(is_done)


def test_a_new_partner_takes_the_place_of_one_that_was_lost(world: World) -> None:
    owner = world.owner("vera", data=4, redundancy=2, partners=("p1", "p2", "p3", "p4", "p5", "p6"))
    expected = fill(owner.mount(), 1)
    owner.sync(complete=True)
    owner.export_kit()
    assert coopfs("partner", "lose", "p1", home=owner.home).code == 2, "it answers"

    world.kill("p1")
    until(lambda: owner.columns()["p1"]["state"] == "unreachable")
    assert "its column needs a new partner:" in well(coopfs("partner", "lose", "p1", home=owner.home)).out
    status = well(coopfs("status", home=owner.home)).out
    assert "would survive the loss of any 1 more partner" in status
    assert "coopfs partner replace p1 CODE" in status
    code = world.call("p7", "partner_invite", size=SHARE)["code"]
    assert "p7 gets the column of p1" in well(coopfs("partner", "replace", "p1", code, home=owner.home)).out
    owner.kill()
    world.restart("vera")
    well(coopfs("partner", "replace", "p1", code, home=owner.home))
    expected |= fill(owner.mount(), 2)
    until_replaced(owner, "p7")
    owner.sync(complete=True)
    assert "p1" not in owner.columns()
    assert "would survive the loss of any 2 more partners" in well(coopfs("status", home=owner.home)).out

    owner.lose()
    world.kill("p2", "p3")
    well(owner.restore())
    assert {path.name: path.read_bytes() for path in owner.view.iterdir()} == expected


def test_a_partner_that_goes_counts_until_another_has_everything(world: World) -> None:
    owner = world.owner("walt", data=2, redundancy=2, partners=("p1", "p2", "p3", "p4"))
    expected = fill(owner.mount(), 3)
    owner.sync(complete=True)
    owner.export_kit()
    small = world.call("p5", "partner_invite", size=MIB)["code"]
    said = coopfs("partner", "replace", "p2", small, home=owner.home)
    assert (said.code, "a column of this disk needs" in said.line) == (2, True)
    code = world.call("p6", "partner_invite", size=SHARE)["code"]
    world.kill("p6")
    world.restart("p6")
    well(coopfs("partner", "replace", "p2", *code.split(), home=owner.home))
    expected |= fill(owner.mount_point, 4)
    until_replaced(owner, "p6")
    owner.sync(complete=True)

    owner.lose()
    world.kill("p2", "p1", "p3")
    well(owner.restore())
    assert {path.name: path.read_bytes() for path in owner.view.iterdir()} == expected


def test_a_takeover_in_the_middle_goes_on_with_it(world: World) -> None:
    owner = world.owner("xena", data=1, redundancy=2, partners=("p1", "p2", "p3"))
    expected = fill(owner.mount(), 5)
    owner.sync(complete=True)
    owner.export_kit()
    code = world.call("p4", "partner_invite", size=SHARE)["code"]
    world.kill("p3")
    until(lambda: owner.columns()["p3"]["state"] == "unreachable")
    well(coopfs("partner", "replace", "p3", code, home=owner.home))
    assert "p3 is being replaced by p4" in well(coopfs("status", home=owner.home)).out
    until(lambda: world.call("xena", "status")["disk"]["replacement"]["blocks"] > 0)
    until(lambda: len(owner.world.call("p4", "status")["hosted"]) > 0)
    owner.lose()
    well(coopfs("takeover", "--listen=127.0.0.1:0", owner.kit, home=owner.home))
    owner.mount()
    expected |= fill(owner.mount_point, 6)
    until_replaced(owner, "p4")
    owner.sync(complete=True)
    owner.export_kit()
    owner.lose()
    world.kill("p1", "p2")
    well(owner.restore("--accept-older"))
    assert {path.name: path.read_bytes() for path in owner.view.iterdir()} == expected
