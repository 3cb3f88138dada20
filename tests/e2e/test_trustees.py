"""A partner that holds the master block only leads a restore to those that the kit does not know."""

import pytest

from tests.e2e.commands import coopfs, well
from tests.e2e.test_replace import fill, until_replaced
from tests.e2e.waiting import until
from tests.e2e.world import MIB, SHARE, World

pytestmark = pytest.mark.slow


def test_who_holds_the_master_block_only_knows_who_holds_the_disk(world: World) -> None:
    owner = world.owner("ulla", data=1, redundancy=1, partners=("p1", "p2"))
    expected = fill(owner.mount(), 1)
    code = world.call("p3", "partner_invite", size=MIB)["code"]
    assert coopfs("partner", "add", code, home=owner.home).code == 2
    assert "p3 gets the master block" in well(coopfs("partner", "add", "--master-only", code, home=owner.home)).out
    said = coopfs("partner", "add", "--master-only", "p1", home=owner.home)
    assert (said.code, "holds a column" in said.line) == (2, True)
    until(lambda: owner.status()["trustees"] == [{"partner": "p3", "has_newest": True}])
    assert "master block only: p3" in well(coopfs("status", home=owner.home)).out
    owner.export_kit()

    code = world.call("p4", "partner_invite", size=SHARE)["code"]
    well(coopfs("partner", "replace", "p1", code, home=owner.home))
    until_replaced(owner, "p4")
    owner.sync(complete=True)
    until(lambda: owner.status()["trustees"] == [{"partner": "p3", "has_newest": True}])
    owner.lose()
    world.kill("p1", "p2")
    well(owner.restore("--accept-older"))
    assert {path.name: path.read_bytes() for path in owner.view.iterdir()} == expected
