"""Agreements that somebody ends: partners repair at once, and nothing is left of who has left."""

import pytest

from tests.e2e.commands import coopfs, well
from tests.e2e.test_replace import fill, until_replaced
from tests.e2e.waiting import until
from tests.e2e.world import SHARE, World

pytestmark = pytest.mark.slow


def test_a_partner_that_leaves_is_replaced_at_once(world: World) -> None:
    world.start("gone")
    owner = world.owner("yves", data=2, redundancy=2, partners=("p1", "p2", "p3", "gone"))
    expected = fill(owner.mount(), 1)
    owner.sync(complete=True)
    owner.export_kit()
    said = coopfs("leave", home=world.home("gone"))
    assert (said.code, "what they store here is deleted" in said.line, "--yes" in said.line) == (2, True, True)

    owner.kill()
    assert "not told yet: yves" in well(coopfs("leave", "--yes", home=world.home("gone"))).out
    assert list((world.home("gone") / "hosted").iterdir()) == []
    world.kill("gone")
    world.restart("gone", "yves")
    until(lambda: owner.columns()["gone"]["state"] == "lost")
    until(lambda: "all partners know" in well(coopfs("leave", home=world.home("gone"))).out)
    assert owner.columns()["gone"]["trouble"] == "the agreement with it is over"
    assert "coopfs partner replace gone CODE" in well(coopfs("status", home=owner.home)).out
    code = world.call("gone", "partner_invite", size=SHARE)["code"]
    well(coopfs("partner", "replace", "gone", code, home=owner.home))
    expected |= fill(owner.mount(), 2)
    until_replaced(owner, "gone")
    owner.sync(complete=True)

    said = coopfs("partner", "end", "p3", home=owner.home)
    assert (said.code, "it could then lose 1 more at most" in said.line) == (2, True)
    assert "it knows" in well(coopfs("partner", "end", "--yes", "p3", home=owner.home)).out
    assert owner.columns()["p3"]["state"] == "lost"
    assert coopfs("partner", "end", "p3", home=owner.home).code == 2, "it is no partner any more"
    owner.export_kit()
    owner.lose()
    world.kill("p1")
    well(owner.restore("--accept-older"))
    assert {path.name: path.read_bytes() for path in owner.view.iterdir()} == expected


def test_a_node_that_leaves_gives_its_disk_up_and_may_come_back(world: World) -> None:
    owner = world.owner("zita", data=1, redundancy=1, partners=("p1", "p2"))
    fill(owner.mount(), 3)
    assert "mounted" in coopfs("leave", "--yes", home=owner.home).line
    well(coopfs("umount", home=owner.home))
    world.expected.append("left its partners")
    said = coopfs("leave", home=owner.home)
    assert (said.code, "partners delete this node's disk" in said.line) == (2, True)
    assert "all partners know" in well(coopfs("leave", "--yes", home=owner.home)).out
    assert all(store["partner"] != "zita" for store in world.call("p1", "status")["hosted"])
    owner.kill()
    world.restart("zita")
    assert list((owner.home / "disks").iterdir()) == []
    assert "all partners know" in well(coopfs("leave", home=owner.home)).out
    world.swap("zita", ("p1", "p2"))
    coding = {"data": 1, "redundancy": 1, "block_size": None, "partners": None, "no_redundancy": False}
    world.call("zita", "format", **coding)
    fill(owner.mount(), 4)
    owner.sync(complete=True)
