"""A disk grows with its partners, while it is used and daemons are killed."""

from pathlib import Path

import pytest

from tests.e2e.commands import coopfs, well
from tests.e2e.test_replace import until_replaced
from tests.e2e.waiting import until
from tests.e2e.world import MIB, SHARE, World

pytestmark = pytest.mark.slow


def fill(top: Path, count: int) -> dict[str, bytes]:
    """Files of 8 MiB; name -> content."""
    contents = {f"{number}": bytes([number + 1]) * (8 * MIB) for number in range(count)}
    for name, content in contents.items():
        (top / name).write_bytes(content)
    return contents


def test_a_disk_takes_what_its_partners_give_by_now(world: World) -> None:
    world.start("wide")
    world.swap("wide", ("p1", "p2"), size=2 * SHARE)
    world.swap("wide", ("p3",), size=SHARE)
    coding = {"data": 1, "redundancy": 2, "block_size": None, "partners": ["p1", "p2", "p3"], "no_redundancy": False}
    world.call("wide", "format", **coding)
    assert "nothing to do" in well(coopfs("resize", home=world.home("wide"))).out
    said = coopfs("resize", "90M", home=world.home("wide"))
    assert (said.code, "p3 gives" in said.line) == (2, True)


def test_nothing_is_lost_when_daemons_are_killed_while_it_grows(world: World) -> None:
    owner = world.owner("wanda", data=2, redundancy=1, partners=("p1", "p2", "p3"), size=SHARE)
    top = owner.mount()
    before = owner.status()["rows"]
    for name in ("p1", "p2", "p3"):
        wide = f"{name}-wide"
        world.start(wide)
        code = world.call(wide, "partner_invite", size=2 * SHARE)["code"]
        well(coopfs("partner", "replace", name, code, home=owner.home))
        until_replaced(owner, wide)
        owner.export_kit()
    world.kill("p1-wide")
    well(coopfs("resize", home=owner.home))
    assert "p1-wide: not reached" in well(coopfs("status", home=owner.home)).out
    assert owner.status()["rows"] == before
    owner.kill()
    world.restart("p1-wide", "wanda")
    until(lambda: owner.world.call("wanda", "status")["disk"]["growth"] is None)
    assert owner.status()["rows"] > 1.9 * before
    top = owner.mount()
    expected = fill(top, 12)
    world.kill("p2-wide")
    world.restart("p2-wide")
    owner.sync(complete=True)
    assert owner.status()["rows_used"] > before
    owner.lose()
    world.kill("p3-wide")
    well(owner.restore("--accept-older"))
    assert {path.name: path.read_bytes() for path in owner.view.iterdir()} == expected
