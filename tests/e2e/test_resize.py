"""A disk grows and shrinks with its partners, while it is used and daemons are killed."""

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
    said = well(coopfs("resize", "90M", home=world.home("wide"))).out
    assert "p3 is asked until it agrees: its owner has not agreed to 90.0 MiB yet" in said
    asked = well(coopfs("partner", "list", home=world.home("p3"))).out
    assert "wide asks for 90.0 MiB each way: agree with coopfs partner resize wide 94371840" in " ".join(asked.split())
    well(coopfs("partner", "resize", "wide", home=world.home("p3")))
    until(lambda: world.call("wide", "status")["disk"]["growth"] is None)
    assert world.call("wide", "partner_list")["partners"][2]["given"] == 90 * MIB


def rows_there(world: World, host: str) -> int:
    """Rows of the one store that a partner keeps."""
    (store,) = world.call(host, "status")["hosted"]
    return int(store["rows"])


def test_nothing_is_lost_when_daemons_are_killed_while_it_is_resized(world: World) -> None:
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
    for name in list(expected)[:9]:
        (top / name).unlink()
        del expected[name]
    owner.sync(complete=False)
    assert "does not fit" in coopfs("resize", "10M", home=owner.home).line
    assert "gets smaller" in well(coopfs("resize", "44M", home=owner.home)).out
    assert "getting smaller" in well(coopfs("status", home=owner.home)).out
    owner.kill()
    world.kill("p1-wide")
    world.restart("wanda", "p1-wide")
    top = owner.mount()
    expected["during"] = bytes(range(256)) * (MIB // 32)
    (top / "during").write_bytes(expected["during"])
    until(lambda: owner.world.call("wanda", "status")["disk"]["growth"] is None, 120.0)
    owner.sync(complete=True)
    assert rows_there(world, "p1-wide") == rows_there(world, "p3-wide") == owner.status()["rows"] < before
    well(coopfs("partner", "resize", "p1-wide", "44M", home=owner.home))
    well(coopfs("partner", "resize", "wanda", home=world.home("p1-wide")))
    (agreed,) = world.call("p1-wide", "partner_list")["partners"]
    assert (agreed["given"], agreed["taken"]) == (44 * MIB, 44 * MIB)
    owner.lose()
    world.kill("p3-wide")
    well(owner.restore("--accept-older"))
    assert {path.name: path.read_bytes() for path in owner.view.iterdir()} == expected
