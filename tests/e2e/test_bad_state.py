"""What a home has lost, has too old or finds rotten: recognised, said, and nothing worse done."""

import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest

from coopfs.cli import detach
from coopfs.core.storeformat import decode_header, slots_offset
from tests.e2e.commands import coopfs, mount_coopfs, well
from tests.e2e.waiting import until
from tests.e2e.world import Owner, World, files_below

REMEDY = "recovery kit"


def _owner(world: World, name: str) -> Owner:
    owner = world.owner(name, data=2, redundancy=1, partners=("p1", "p2", "p3"))
    mnt = owner.mount()
    (mnt / "a").write_bytes(b"a" * 500_000)
    owner.sync(complete=True)
    owner.export_kit()
    return owner


def _is_restored(owner: Owner, tmp_path: Path) -> None:
    """What the messages say to do works."""
    well(coopfs("restore", "copy", owner.kit, tmp_path / "copy"))
    assert (tmp_path / "copy" / "a").read_bytes() == b"a" * 500_000


def _refuses(owner: Owner, *words: str) -> None:
    """The daemon runs and serves partners; the disk's commands say why they do nothing, and exit with 8."""
    world = owner.world
    world.expected.append("ERROR coopfs")
    for said in (
        mount_coopfs(owner.home, owner.mount_point),
        coopfs("sync", home=owner.home),
    ):
        assert said.code == 8
        for word in words:
            assert word in said.line
    shown = well(coopfs("status", home=owner.home)).out
    assert words[0] in shown
    assert "no disk yet" not in shown


def _damage(disk: Path, how: str) -> None:
    database = disk / "disk.sqlite"
    match how:
        case "deleted":
            database.unlink()
        case "empty":
            database.write_bytes(b"")
        case "truncated":
            os.truncate(database, database.stat().st_size // 2)
        case "garbage":
            database.write_bytes(os.urandom(100_000))
        case "keys deleted":
            (disk / "keys").unlink()


def test_the_database_is_lost(world: World, tmp_path: Path) -> None:
    owner = _owner(world, "wendy")
    world.stop(owner.name)
    disk = owner.disk
    shutil.copytree(disk, tmp_path / "good")
    world.expected.append("ERROR coopfs")
    for how in ("deleted", "empty", "truncated", "garbage", "keys deleted"):
        _damage(disk, how)
        said = mount_coopfs(owner.home, owner.mount_point)
        assert said.code == 8, how
        assert REMEDY in said.line
        world.wait_until_gone(owner.name)
        shutil.rmtree(disk)
        shutil.copytree(tmp_path / "good", disk)
    _damage(disk, "truncated")
    world.restart(owner.name)
    _refuses(owner, REMEDY)
    said = coopfs("format", "--data", "2", "--redundancy", "1", home=owner.home)
    assert said.code == 2, "a lost disk is not formatted over"
    _is_restored(owner, tmp_path)


def test_a_stage_that_cannot_be_read_is_no_reason_to_serve_nobody(world: World, tmp_path: Path) -> None:
    """Whatever the system says: here that it is no directory."""
    owner = _owner(world, "winifred")
    world.stop(owner.name)
    shutil.rmtree(owner.disk / "stage")
    (owner.disk / "stage").touch()
    world.restart(owner.name)
    _refuses(owner, "stage")
    _is_restored(owner, tmp_path)


@pytest.mark.parametrize(("what", "name"), [("disk", "xavier"), ("home", "xenia")])
def test_a_copy_is_older_than_the_partners(world: World, tmp_path: Path, what: str, name: str) -> None:
    """The disk from an image, or a copy of the whole home, starts after the original ran on: recognised before the
    first put, so that nothing on the partners is overwritten."""
    owner = _owner(world, name)
    world.stop(owner.name)
    copied = owner.disk if what == "disk" else owner.home
    shutil.copytree(copied, tmp_path / "old")
    world.restart(owner.name)
    mnt = owner.mount()
    (mnt / "a").unlink()
    owner.sync(complete=True)
    (mnt / "a").write_bytes(b"new" * 100_000)
    owner.sync(complete=True)
    world.stop(owner.name)
    before = _stores(world)
    shutil.rmtree(copied)
    shutil.copytree(tmp_path / "old", copied)
    world.restart(owner.name)
    until(lambda: world.call(owner.name, "status")["disk"]["trouble"] is not None)
    _refuses(owner, "older than the partners", REMEDY)
    assert _stores(world) == before
    well(coopfs("restore", "copy", owner.kit, tmp_path / "copy"))
    assert (tmp_path / "copy" / "a").read_bytes() == b"new" * 100_000


def _stores(world: World) -> dict[Path, bytes]:
    """All store files of p1..p3."""
    return {
        path: path.read_bytes()
        for name in ("p1", "p2", "p3")
        for path in (world.home(name) / "hosted").iterdir()
        if not path.name.startswith(("reservation-", "invitation-"))
    }


def test_content_that_was_not_sent_is_gone_from_the_stage(world: World, tmp_path: Path) -> None:
    owner = _owner(world, "yves")
    world.kill("p1", "p2", "p3")
    path = owner.mount_point / "unsent"
    path.write_bytes(os.urandom(300_000))
    with path.open("rb") as file:
        os.fsync(file.fileno())
    owner.kill()
    world.restart("p1", "p2", "p3")
    stage = owner.disk / "stage"
    newest = max(stage.iterdir(), key=lambda file: int(file.name))
    os.truncate(newest, 1000)
    world.expected.append("ERROR coopfs")
    for damage in ("truncated", "deleted", "directory deleted"):
        if damage == "deleted":
            newest.unlink()
        elif damage == "directory deleted":
            shutil.rmtree(stage)
        said = mount_coopfs(owner.home, owner.mount_point)
        assert said.code == 8, damage
        assert "stage file" in said.line
        assert REMEDY in said.line
        world.wait_until_gone(owner.name)
    world.restart(owner.name)
    _refuses(owner, "stage file", REMEDY)
    _is_restored(owner, tmp_path)


def test_content_that_was_sent_is_gone_from_the_stage(world: World) -> None:
    """It comes back from the partners."""
    owner = _owner(world, "zoe")
    (owner.mount_point / "b").write_bytes(b"b" * 800_000)
    owner.sync(complete=True)
    world.stop(owner.name)
    for number, path in enumerate(sorted((owner.disk / "stage").iterdir())):
        if number % 2:
            path.unlink()
        else:
            os.truncate(path, path.stat().st_size // 2)
    world.restart(owner.name)
    mnt = owner.mount()
    owner.wait_for_partners("p1", "p2", "p3")
    assert (mnt / "a").read_bytes() == b"a" * 500_000
    assert (mnt / "b").read_bytes() == b"b" * 800_000
    (mnt / "c").write_bytes(b"c")
    owner.sync(complete=True)


def test_bits_flipped_in_a_partners_store(world: World, tmp_path: Path) -> None:
    """Every block of one partner of a 2+1 disk: found missing, said how many, and replaced by others."""
    owner = _owner(world, "alan")
    owner.lose()
    world.kill("p1")
    flipped = _flip_bits(world.home("p1"), owner)
    assert flipped
    world.restart("p1")
    said = well(coopfs("restore", "copy", owner.kit, tmp_path / "copy"))
    assert (tmp_path / "copy" / "a").read_bytes() == b"a" * 500_000
    assert f"p1: {flipped} blocks are damaged" in said.err


def _flip_bits(home: Path, owner: Owner) -> int:
    """One bit in each block of the newest store of a partner; how many."""
    random = Random(3)
    stores = [path for path in (home / "hosted").iterdir() if not path.name.startswith(("reservation-", "invitation-"))]
    newest = max(stores, key=lambda path: path.stat().st_ctime_ns)
    flipped = 0
    with newest.open("r+b") as file:
        header = decode_header(file.read(4096))
        for row in range(header.rows):
            offset = slots_offset(header.rows) + row * header.block_size
            file.seek(offset)
            block = bytearray(file.read(4096))
            if any(block):
                block[random.randrange(100, 4000)] ^= 1 << random.randrange(8)
                file.seek(offset)
                file.write(block)
                flipped += 1
    return flipped


def test_a_partner_that_lost_what_it_held_is_repaired(world: World) -> None:
    """Its store file is replaced by zeros of the same size: as after a careless repair of its disk."""
    owner = _owner(world, "berta")
    world.kill("p2")
    hosted = world.home("p2") / "hosted"
    stores = [path for path in hosted.iterdir() if not path.name.startswith(("reservation-", "invitation-"))]
    newest = max(stores, key=lambda path: path.stat().st_ctime_ns)
    with newest.open("r+b") as file:
        header = decode_header(file.read(4096))
        file.seek(4096)
        file.write(bytes(slots_offset(header.rows) - 4096))
    world.expected.append("partner p2 lacks [0-9]+ blocks? that it had acked")
    world.restart("p2")
    until(lambda: owner.columns()["p2"]["state"] == "caught up" and owner.columns()["p2"]["missing"] == 0)
    owner.sync(complete=True)
    world.kill("p1")
    owner.lose()
    well(owner.restore("--accept-older"))
    assert (owner.view / "a").read_bytes() == b"a" * 500_000


@pytest.mark.parametrize("who", ["owner", "partners"])
def test_a_clock_set_back_by_a_day(world: World, tmp_path: Path, who: str) -> None:
    owner = _owner(world, f"clara-{who}")
    mnt = owner.mount_point
    ctime = (mnt / "a").stat().st_ctime_ns
    names = (owner.name,) if who == "owner" else ("p1", "p2")
    for name in names:
        world.stop(name)
        _start_in_the_past(world, name)
    if who == "owner":
        owner.mount()
    (mnt / "a").chmod(0o600)
    (mnt / "b").write_text("b")
    assert (mnt / "a").stat().st_ctime_ns > ctime, "whatever the clock says"
    owner.sync(complete=True)
    assert {column["state"] for column in owner.columns().values()} == {"caught up"}
    owner.lose()
    well(coopfs("restore", "copy", owner.kit, tmp_path / "copy"))
    assert (tmp_path / "copy" / "b").read_text() == "b"
    assert (tmp_path / "copy" / "a").stat().st_mode & 0o777 == 0o600
    for name in names:
        world.network.kill(name)


def _start_in_the_past(world: World, name: str) -> None:
    log = world.network.log(name)
    with log.open("ab") as output:
        command = [sys.executable, "-m", "tests.e2e.daemon_in_the_past", "--home", str(world.home(name)), "serve"]
        child = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )
    world.network.adopt(name, child)
    detach.wait_until_it_answers(world.home(name), child, log)


def test_the_databases_of_a_home_are_whole_after_all_this(world: World) -> None:
    for path in files_below(world.home("p1")):
        if path.suffix == ".sqlite":
            with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as connection:
                assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            connection.close()
