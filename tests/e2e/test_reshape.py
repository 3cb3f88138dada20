"""A disk moves to one more partner with one more data column, while it is killed, and comes back from there."""

import pytest

from tests.e2e.commands import coopfs, well
from tests.e2e.test_resize import fill
from tests.e2e.waiting import until
from tests.e2e.world import BLOCK, MIB, SHARE, Owner, World

pytestmark = pytest.mark.slow

OLD = ("p1", "p2", "p3")
MORE = SHARE * 4 // 3  # there is room for a third of the disk besides it


def has_moved(owner: Owner) -> bool:
    """Looked at after a group was closed and held, or the last step would take the half minute of an idle disk."""
    owner.sync(complete=False)
    return owner.status()["reshaping"] is None


def test_a_disk_moves_to_another_layout_and_comes_back_from_it(world: World) -> None:
    owner = world.owner("waldo", data=2, redundancy=1, partners=OLD, size=SHARE)
    world.start("newcomer")
    world.swap("waldo", ("newcomer",), size=MORE)
    top = owner.mount()
    expected = fill(top, 4)
    move = ("reshape", "--data", "3", "--redundancy", "1", "--with", "newcomer")
    refused = coopfs(*move, home=owner.home)
    assert refused.code != 0
    assert "left beside what the disk takes there" in refused.err
    for name in OLD:
        well(coopfs("partner", "resize", name, f"{MORE // MIB}M", home=owner.home))
        well(coopfs("partner", "resize", "waldo", f"{MORE // MIB}M", home=world.home(name)))
    until(lambda: all(p["given"] == MORE for p in world.call("waldo", "partner_list")["partners"]))
    well(coopfs(*move, home=owner.home))
    until(lambda: owner.status()["k"] == 3)
    (top / "later").write_bytes(expected.setdefault("later", b"l" * MIB))
    owner.sync(complete=False)
    owner.kill()
    world.restart("waldo")
    top = owner.mount()
    until(lambda: has_moved(owner), patience=180)
    assert {path.name: path.read_bytes() for path in top.iterdir()} == expected
    owner.sync(complete=True)
    owner.export_kit()
    hosted = [store for store in world.call("p1", "status")["hosted"] if store["partner"] == "waldo"]
    assert len(hosted) == 1, "the old store was given back"
    until(lambda: owner.status()["rows"] > SHARE // BLOCK, patience=60)
    owner.lose()
    world.kill("p1")
    well(owner.restore())
    assert {path.name: path.read_bytes() for path in owner.view.iterdir()} == expected
