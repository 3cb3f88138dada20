"""Days on which the machine itself is odd: its clock jumps, or it has no descriptors left."""

import errno
import os
import resource
import time
from random import Random

import pytest

from tests.e2e.commands import coopfs, well
from tests.e2e.world import World, pid_of

DAY = 86400


def _descriptors(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


@pytest.mark.parametrize("spare", [True, False])
def test_no_descriptor_is_left_for_a_while(world: World, spare: bool) -> None:
    """Files that are kept open for reading give way; where that is not enough, what needs one fails with an error that
    says so, and what was accepted waits. Nothing is lost, and afterwards all is well."""
    owner = world.owner(f"fred-{spare}", data=2, redundancy=1, partners=("p1", "p2", "p3"))
    mnt = owner.mount()
    random = Random(8)
    contents = {f"f{number}": random.randbytes(200_000) for number in range(20)}
    for name, content in contents.items():
        (mnt / name).write_bytes(content)
    owner.sync(complete=True)
    pid = pid_of(owner.home)
    assert pid is not None
    soft, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (_descriptors(pid) if spare else 10, hard))
    world.expected += ["no file descriptor is left", "accept returned EMFILE"]  # that is trio's
    failures: list[int | None] = []
    for number in range(20):
        name, content = f"g{number}", random.randbytes(300_000)
        try:
            with (mnt / name).open("wb") as file:
                file.write(content)
            contents[name] = content
        except OSError as failed:
            failures.append(failed.errno)
        try:
            assert (mnt / f"f{number}").read_bytes() == contents[f"f{number}"]
        except OSError as failed:
            failures.append(failed.errno)
    assert set(failures) == (set() if spare else {errno.ENFILE})
    (mnt / "f0").rename(mnt / "renamed")
    contents["renamed"] = contents.pop("f0")
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (soft, hard))
    (mnt / "after").write_bytes(b"after")
    contents["after"] = b"after"
    owner.sync(complete=True)
    assert {name: (mnt / name).read_bytes() for name in contents} == contents
    assert well(coopfs("check", home=owner.home)).code == 0
    assert world.call(owner.name, "status")["disk"]["trouble"] is None


def test_the_clock_jumps_both_ways_while_the_daemon_runs(world: World) -> None:
    """A month ahead, then a year back: nobody is called away or lost for it, everything goes on, ctime never falls."""
    offset = world.work / "offset"
    offset.write_text("0")
    owner = world.owner("jump", data=2, redundancy=1, partners=("p1", "p2", "p3"))
    world.stop(owner.name)
    world.launch_with_clock(owner.name, offset)
    mnt = owner.mount()
    ctime, contents = 0, {}
    for number, days in enumerate((0, 30, -365, 0)):
        offset.write_text(str(days * DAY))
        path = mnt / f"f{number}"
        path.write_bytes(b"%d" % days * 50_000)
        contents[path.name] = path.read_bytes()
        owner.sync(complete=True)
        assert path.stat().st_ctime_ns >= ctime
        assert abs(path.stat().st_mtime - time.time() - days * DAY) < 600
        ctime = path.stat().st_ctime_ns
        assert {column["state"] for column in owner.columns().values()} == {"caught up"}
    world.kill("p3")
    offset.write_text(str(60 * DAY))
    world.network.kill(owner.name)
    world.launch_with_clock(owner.name, offset)
    owner.mount()
    owner.wait_for_partners("p1", "p2")
    (mnt / "last").write_bytes(b"last")
    contents["last"] = b"last"
    assert owner.columns()["p3"]["state"] == "unreachable", "nobody is lost for a clock that was wrong"
    world.restart("p3")
    owner.sync(complete=True)
    owner.export_kit()
    owner.lose()
    well(owner.restore())
    assert {path.name: path.read_bytes() for path in owner.view.iterdir()} == contents
