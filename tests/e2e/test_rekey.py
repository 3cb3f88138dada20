"""A disk gets a new key, with real daemons, and its kits open what they should."""

import pytest

from tests.e2e.commands import coopfs, well
from tests.e2e.waiting import until
from tests.e2e.world import MIB, World

pytestmark = pytest.mark.slow


def test_a_new_key_takes_the_place_of_one_that_was_seen(world: World) -> None:
    owner = world.owner("rita", data=1, redundancy=2, partners=("p1", "p2", "p3"))
    top = owner.mount()
    (top / "before").write_bytes(b"1" * MIB)
    owner.sync(complete=True)
    well(coopfs("kit", "export", owner.kit, home=owner.home))
    assert "key 2 is used as soon as a kit has it" in well(coopfs("rekey", "--all", home=owner.home)).out
    refused = coopfs("rekey", home=owner.home)
    assert (refused.code, refused.line) == (
        *(2, "key 2 waits for a kit already: export one with coopfs kit export FILE"),
    )
    assert coopfs("kit", "export", owner.kit, home=owner.home).code == 2
    assert "key 2 is not used yet" in well(coopfs("status", home=owner.home)).out
    owner.kill()
    top = owner.mount()
    older = owner.kit.rename(owner.kit.with_suffix(".older"))
    well(coopfs("kit", "export", owner.kit, home=owner.home))

    def has_one_key() -> bool:
        owner.sync(complete=True)
        return owner.status()["keys"] is None

    until(has_one_key)
    (top / "after").write_bytes(b"2" * MIB)
    owner.sync(complete=True)
    owner.lose()
    told = coopfs("restore", "copy", older, world.work / "nothing")
    assert told.code != 0
    assert "newer" in told.line
    well(owner.restore())
    assert {path.name: path.read_bytes() for path in owner.view.iterdir()} == {
        "before": b"1" * MIB,
        "after": b"2" * MIB,
    }
