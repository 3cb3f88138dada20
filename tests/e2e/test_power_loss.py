"""Power loss below programs that sync, and below some that do not: the layer which loses what was not synced
(contrib/campaignlib/layer.py) keeps its rules, and a home of coopfs survives it."""

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from itertools import count
from pathlib import Path
from random import Random

import pytest
from campaignlib.changes import LAYOUTS, Changes
from campaignlib.inodes import takes_everything
from campaignlib.platter import Platter
from suitelib.shell import Failed

from coopfs import config
from coopfs.app.recovery.takeover import TAKING_OVER
from coopfs.cli.detach import COOPFS
from coopfs.cli.node import create_home
from coopfs.config import Config
from coopfs.demo import mounts
from coopfs.local import claimfile
from coopfs.local.disk import DATABASE
from coopfs.local.home import Home
from coopfs.local.nodedb import NodeDatabase
from coopfs.tasks.recovery.takeover import WORK
from coopfs.types import Opening
from tests.e2e.commands import coopfs, well
from tests.e2e.waiting import until
from tests.e2e.world import MIB, SHARE, World, pid_of
from tests.local.stores import make
from tests.local.test_hosting import GIVEN, SPEC, STORE, admit, make_node
from tests.partners import Owner as Partner

OLD = Random(1).randbytes(10_000)
NEW = Random(2).randbytes(12_000)
NOTHING_KEPT = next(seed for seed in count() if takes_everything(Random(seed)))
SEEDS = [seed for seed in range(8) if not takes_everything(Random(seed))]
SECTOR = 512


@pytest.fixture
def disk(tmp_path: Path) -> Iterator["Disk"]:
    disk = Disk(tmp_path)
    yield disk
    disk.platter.end()


class Disk:
    """A mounted layer."""

    def __init__(self, work: Path) -> None:
        self.top = work / "top"
        self.backing = work / "backing"
        self.platter = Platter(self.top, self.backing)

    def lose_power(self, seed: int = NOTHING_KEPT) -> None:
        self.platter.lose_power(seed)

    def names(self) -> list[str]:
        return sorted(os.listdir(self.top))

    def sync(self, path: Path | None = None) -> None:
        """A file, or the top."""
        descriptor = os.open(path or self.top, os.O_RDONLY)
        os.fsync(descriptor)
        os.close(descriptor)

    def write(self, name: str, content: bytes) -> Path:
        """Synced, and its name too."""
        path = self.top / name
        path.write_bytes(content)
        self.sync(path)
        self.sync()
        return path


# --- content ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [NOTHING_KEPT, *SEEDS])
def test_what_was_synced_never_goes(disk: Disk, seed: int) -> None:
    file = disk.write("f", OLD)
    with file.open("r+b") as changed:
        changed.seek(5_000)
        changed.write(NEW)
        os.fdatasync(changed.fileno())
    disk.lose_power(seed)
    assert file.read_bytes() == OLD[:5_000] + NEW
    disk.lose_power(NOTHING_KEPT)
    assert file.read_bytes() == OLD[:5_000] + NEW


def test_of_what_was_not_synced_each_sector_is_old_or_new(disk: Disk) -> None:
    """In all: some seeds tear, some keep, some lose."""
    kinds = set()
    for seed in SEEDS:
        file = disk.write("f", OLD)
        with file.open("r+b") as changed:
            changed.write(NEW)
        disk.lose_power(seed)
        left = file.read_bytes()
        assert len(left) in (len(OLD), len(NEW))
        old, new = OLD.ljust(len(left), b"\0"), NEW[: len(left)]
        sectors = {
            (left[at : at + SECTOR] == old[at : at + SECTOR], left[at : at + SECTOR] == new[at : at + SECTOR])
            for at in range(0, len(left), SECTOR)
        }
        assert sectors <= {(True, False), (False, True)}
        kinds.add(frozenset(sectors))
    assert len(kinds) == 3


@pytest.mark.parametrize("size", [0, 700, 30_000])
def test_another_size_goes_back(disk: Disk, size: int) -> None:
    file = disk.write("f", OLD)
    os.truncate(file, size)
    with file.open("r+b") as changed:
        changed.write(NEW)
    file.write_bytes(b"again")
    disk.lose_power()
    assert file.read_bytes() == OLD


def test_another_size_stays_when_it_was_synced(disk: Disk) -> None:
    file = disk.write("f", OLD)
    os.truncate(file, 700)
    os.truncate(file, 900)
    disk.sync(file)
    disk.lose_power()
    assert file.read_bytes() == OLD[:700] + bytes(200)


# --- names --------------------------------------------------------------------------------------------------------


def test_a_name_is_not_safe_when_its_file_is(disk: Disk) -> None:
    disk.write("old", OLD)
    (disk.top / "new").write_bytes(NEW)
    disk.sync(disk.top / "new")
    disk.lose_power()
    assert disk.names() == ["old"]


def change_names(top: Path) -> list[list[str]]:
    """What is there after each change, and before."""
    states = []
    changes: list[Callable[[], object]] = [
        lambda: None,
        lambda: (top / "a").rename(top / "c"),
        lambda: (top / "b").unlink(),
        lambda: os.link(top / "c", top / "d"),
        lambda: (top / "directory").mkdir(),
        lambda: (top / "directory" / "in it").write_bytes(NEW),
        lambda: (top / "empty").rmdir(),
        lambda: (top / "e").rename(top / "c"),
    ]
    for change in changes:
        change()
        states.append(sorted(os.listdir(top)))
    return states


def prepare_names(disk: Disk) -> None:
    for name in ("a", "b", "e"):
        disk.write(name, name.encode())
    (disk.top / "empty").mkdir()
    disk.sync()


def test_names_go_back_with_their_files(disk: Disk) -> None:
    prepare_names(disk)
    change_names(disk.top)
    disk.lose_power()
    assert disk.names() == ["a", "b", "e", "empty"]
    assert [(disk.top / name).read_bytes() for name in "abe"] == [b"a", b"b", b"e"]
    assert not os.listdir(disk.top / "empty")


def test_a_directory_is_as_it_was_after_one_of_its_changes(tmp_path: Path) -> None:
    found = set()
    for seed in SEEDS:
        disk = Disk(tmp_path / str(seed))
        try:
            prepare_names(disk)
            states = change_names(disk.top)
            disk.lose_power(seed)
            assert disk.names() in states
            found.add(states.index(disk.names()))
        finally:
            disk.platter.end()
    assert len(found) > 2


@pytest.mark.parametrize("seed", [NOTHING_KEPT, *SEEDS[:2]])
def test_names_that_were_synced_stay(disk: Disk, seed: int) -> None:
    prepare_names(disk)
    *_, last = change_names(disk.top)
    disk.sync()
    disk.sync(disk.top / "directory" / "in it")
    disk.sync(disk.top / "directory")
    disk.lose_power(seed)
    assert disk.names() == last
    assert (disk.top / "c").read_bytes() == b"e"
    assert (disk.top / "d").read_bytes() == b"a"
    assert (disk.top / "directory" / "in it").read_bytes() == NEW


def test_a_file_that_was_removed_while_it_was_open_comes_back_as_it_was_synced(disk: Disk) -> None:
    file = disk.write("f", OLD)
    with file.open("r+b") as changed:
        file.unlink()
        changed.write(NEW)
        changed.flush()
        assert os.pread(changed.fileno(), len(NEW), 0) == NEW
    disk.lose_power()
    assert file.read_bytes() == OLD


def move_to_another_directory(disk: Disk) -> None:
    prepare_names(disk)
    (disk.top / "b").unlink()
    (disk.top / "empty" / "c").write_bytes(NEW)
    (disk.top / "a").rename(disk.top / "empty" / "a")
    (disk.top / "e").unlink()


@pytest.mark.parametrize("seed", [NOTHING_KEPT, *SEEDS])
def test_what_moves_to_another_directory_is_in_one_of_them(disk: Disk, seed: int) -> None:
    move_to_another_directory(disk)
    disk.lose_power(seed)
    names, there = disk.names(), sorted(os.listdir(disk.top / "empty"))
    if "a" in there:
        assert names in (["e", "empty"], ["empty"])
        assert there == ["a", "c"]
    else:
        assert names in (["a", "b", "e", "empty"], ["a", "e", "empty"])
        assert there in ([], ["c"])
    assert seed != NOTHING_KEPT or (names, there) == (["a", "b", "e", "empty"], [])


@pytest.mark.parametrize(("synced", "left"), [("", ["empty"]), ("empty", ["e", "empty"])])
def test_what_moved_is_safe_with_all_before_it_when_either_was_synced(
    disk: Disk, synced: str, left: Sequence[str]
) -> None:
    move_to_another_directory(disk)
    disk.sync(disk.top / synced)
    disk.lose_power()
    assert disk.names() == left
    assert sorted(os.listdir(disk.top / "empty")) == ["a", "c"]
    assert (disk.top / "empty" / "a").read_bytes() == b"a"


def test_a_directory_comes_back_with_what_had_moved_out_of_it(disk: Disk) -> None:
    prepare_names(disk)
    inner = disk.top / "empty" / "inner"
    inner.mkdir()
    (inner / "f").write_bytes(b"f")
    for directory in (inner, inner.parent, disk.top):
        disk.sync(directory)
    disk.sync(inner / "f")
    inner.rename(disk.top / "a new place")
    inner.parent.rmdir()
    (disk.top / "e").unlink()
    disk.lose_power()
    assert disk.names() == ["a", "b", "e", "empty"]
    assert (inner / "f").read_bytes() == b"f"


@pytest.mark.parametrize("synced", ["", "outer"])
@pytest.mark.parametrize("seed", [NOTHING_KEPT, *SEEDS])
def test_what_moved_is_not_lost_with_the_directory_that_it_left(disk: Disk, seed: int, synced: str) -> None:
    inner, other = disk.top / "outer" / "inner", disk.top / "other"
    inner.mkdir(parents=True)
    other.mkdir()
    (inner / "f").write_bytes(b"f")
    for path in (inner / "f", inner, inner.parent, disk.top):
        disk.sync(path)
    (inner / "f").rename(other / "f")
    inner.rmdir()
    if synced:
        disk.sync(disk.top / synced)
    disk.lose_power(seed)
    assert [path.read_bytes() for path in disk.top.rglob("f")] == [b"f"]
    assert not synced or not inner.exists()


def test_what_another_one_took_the_place_of_from_elsewhere_comes_back(disk: Disk) -> None:
    prepare_names(disk)
    (disk.top / "empty" / "a").write_bytes(NEW)
    (disk.top / "empty" / "a").rename(disk.top / "a")
    disk.lose_power()
    assert (disk.top / "a").read_bytes() == b"a"
    assert os.listdir(disk.top / "empty") == []


def test_a_directory_that_holds_something_is_not_removed(disk: Disk) -> None:
    prepare_names(disk)
    (disk.top / "empty" / "in it").touch()
    with pytest.raises(OSError, match="not empty"):
        (disk.top / "empty").rmdir()


# --- programs -----------------------------------------------------------------------------------------------------

COMMITS = """
import sqlite3, sys
path, mode, synchronous = sys.argv[1:]
database = sqlite3.connect(path)
database.execute(f"PRAGMA journal_mode = {mode}")
database.execute(f"PRAGMA synchronous = {synchronous}")
with database:
    database.execute("CREATE TABLE told (number INTEGER, filler BLOB)")
for number in range(30):
    with database:
        database.execute("INSERT INTO told VALUES (?, ?)", (number, bytes(number % 200 * 20)))
print("done", flush=True)
sys.stdin.read()
"""


def commit_and_die(*arguments: str | Path) -> None:
    """SQLite in a process of its own, which does not live to close its database."""
    with subprocess.Popen(
        [sys.executable, "-c", COMMITS, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "done\n"
        child.kill()


def commits(path: Path) -> int:
    """In a database that is sound."""
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        return int(database.execute("SELECT count(*) FROM told").fetchone()[0])


@pytest.mark.parametrize("mode", ["WAL", "DELETE", "TRUNCATE"])
def test_sqlite_survives(disk: Disk, mode: str) -> None:
    for seed in (NOTHING_KEPT, *SEEDS[:2]):
        path = disk.top / f"{seed}.sqlite"
        commit_and_die(path, mode, "EXTRA")
        disk.lose_power(seed)
        assert commits(path) == 30


def test_sqlite_that_does_not_sync_loses(disk: Disk) -> None:
    commit_and_die(disk.top / "a.sqlite", "DELETE", "OFF")
    disk.lose_power()
    assert not (disk.top / "a.sqlite").exists()

    damaged = 0
    for seed in SEEDS:
        path = disk.write(f"{seed}.sqlite", b"")
        commit_and_die(path, "DELETE", "OFF")
        disk.lose_power(seed)
        try:
            damaged += commits(path) < 30
        except (AssertionError, sqlite3.DatabaseError):
            damaged += 1
    assert damaged > len(SEEDS) // 3


# --- coopfs -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [NOTHING_KEPT, *SEEDS[:2]])
def test_a_new_home_is_whole(disk: Disk, seed: int) -> None:
    chosen = replace(Config(), name="attic", listen="127.0.0.1:7777")
    create_home(disk.top, chosen)
    key = Home(disk.top).read_seed()
    disk.lose_power(seed)
    assert Home(disk.top).read_seed() == key
    assert config.load(disk.top) == chosen


def test_the_claim_of_a_takeover_is_durable_with_its_directory(disk: Disk) -> None:
    directory = disk.top / "taking-over"
    directory.mkdir()
    claimfile.write(directory, 3, b"claimer-01234567")
    disk.lose_power()
    assert claimfile.read(directory) == (3, b"claimer-01234567")


async def test_a_reservation_is_not_written_again_where_nothing_can_be_allocated(disk: Disk) -> None:
    """As on this layer: with what real partners give each other, that would take hours at each start."""
    host, owner = make_node(disk.top, b"h" * 32), Partner()
    with host.running() as hosting:
        await admit(hosting, owner)
    (reservation,) = (disk.backing / "hosted").iterdir()
    written = reservation.stat().st_mtime_ns
    with host.running():
        pass
    assert reservation.stat().st_mtime_ns == written

    os.truncate(disk.top / "hosted" / reservation.name, 0)
    os.truncate(disk.top / "hosted" / reservation.name, GIVEN)  # of the right size, and takes nothing
    with host.running():
        pass
    assert reservation.stat().st_blocks * SECTOR >= GIVEN


async def test_what_a_former_partner_stored_does_not_come_back(disk: Disk) -> None:
    """Its space would be taken for good: no record would name it any more."""
    host, owner = make_node(disk.top, b"h" * 32), Partner()
    with host.running() as hosting:
        await admit(hosting, owner)
        await hosting.partner(owner.key).open(Opening(owner.disk, STORE, owner.claim(1), SPEC))
        await hosting.part(owner.key)
    disk.lose_power()
    with host.running():
        left = list(host.home.hosted.iterdir())
    assert not left


# what a process writes that is killed before it syncs, and another one that is killed when it has read that
PUTS = """
import os, sys
from pathlib import Path
from coopfs.local.hosted.storefile import StoreFile
from coopfs.types import Write
store = StoreFile(Path(sys.argv[1]))
os.fdatasync = lambda descriptor: os._exit(0)
store.put([Write(2, 1, b"block")])
"""
LISTS = """
import os, sys
from pathlib import Path
from coopfs.local.hosted.storefile import StoreFile
print([slot.row for slot in StoreFile(Path(sys.argv[1])).inventory(0, 10)], flush=True)
os._exit(0)
"""
COMMITS_ONCE = """
import os, sqlite3, sys
database = sqlite3.connect(sys.argv[1], isolation_level=None)
database.execute("PRAGMA synchronous = OFF")
database.execute("INSERT INTO uptime VALUES (x'01', 1, zeroblob(96))")
os._exit(0)
"""
READS = """
import os, sys
from pathlib import Path
from coopfs.local.nodedb import NodeDatabase
with NodeDatabase(Path(sys.argv[1])).reading() as connection:
    print(connection.execute("SELECT count(*) FROM uptime").fetchall(), flush=True)
os._exit(0)
"""


def says(program: str, path: Path) -> str:
    """What a process of its own prints until it ends."""
    return subprocess.run([sys.executable, "-c", program, path], check=True, capture_output=True, text=True).stdout


def test_what_a_store_lists_is_synced(disk: Disk) -> None:
    path = make(disk.top)
    disk.sync()
    says(PUTS, path)
    assert says(LISTS, path) == "[2]\n"
    disk.lose_power()
    assert says(LISTS, path) == "[2]\n"


def test_what_a_node_reads_of_itself_is_synced(disk: Disk) -> None:
    path = disk.top / "node.sqlite"
    NodeDatabase(path).close()
    disk.sync()
    says(COMMITS_ONCE, path)
    assert says(READS, path) == "[(1,)]\n"
    disk.lose_power()
    assert says(READS, path) == "[(1,)]\n"


@pytest.mark.parametrize("syncs", [True, False])
def test_what_was_fsynced_survives_if_the_daemon_syncs(world: World, tmp_path: Path, syncs: bool) -> None:
    platter = Platter(world.home("petra"), tmp_path / "backing")
    try:
        owner = world.owner("petra", data=1, redundancy=1, partners=("p1", "p2"))
        world.stop(owner.name)
        if syncs:
            world.restart(owner.name)
        else:
            world.launch(
                owner.name, sys.executable, "-m", "tests.e2e.daemon_without_sync", "--home", owner.home, "serve"
            )
        file = owner.mount() / "f"
        file.write_bytes(OLD)
        for path in (file, owner.mount_point):
            descriptor = os.open(path, os.O_RDONLY)
            os.fsync(descriptor)
            os.close(descriptor)
        owner.kill()
        platter.lose_power(NOTHING_KEPT)
        world.restart(owner.name)
        owner.mount()
        assert file.exists() == syncs
        assert not syncs or file.read_bytes() == OLD
        owner.kill()
    finally:
        if pid_of(world.home("petra")) is not None:
            world.network.kill("petra")
        platter.end()


# --- what the campaign asks for meanwhile -------------------------------------------------------------------------


@pytest.mark.parametrize("change", ["layout", "partner"])
def test_a_change_that_is_forgotten_is_noticed(world: World, change: str) -> None:
    partners = ("p1", "p2", "p3", "p4")
    owner = world.owner(f"rolf-{change}", data=LAYOUTS[0][0], redundancy=LAYOUTS[0][1], partners=partners[:-1])
    world.swap(owner.name, partners[-1:])
    well(coopfs("resize", f"{SHARE * 3 // 4 // MIB}M", home=owner.home))
    changes = Changes(owner, partners, SHARE, Random(1))
    until(lambda: not owner.status()["growth"])
    world.kill("p4" if change == "partner" else "p1")
    changes.ask(change)
    assert changes.what == change
    changes.check()
    well(coopfs(*(("reshape", "--cancel") if change == "layout" else ("partner", "lose", "p4")), home=owner.home))
    with pytest.raises(Failed, match=f"another {change} was agreed to, and is forgotten"):
        changes.check()


def test_an_exported_kit_survives(world: World, disk: Disk) -> None:
    """The daemon, which has heard that its owner has it, seals with a key that is in no other one."""
    owner = world.owner("lars", data=1, redundancy=1, partners=("p1", "p2"))
    well(coopfs("kit", "export", disk.top / "kit", home=owner.home))
    disk.lose_power()
    assert "lars" in well(coopfs("kit", "show", disk.top / "kit")).out


def test_a_takeover_survives_power_losses(world: World, tmp_path: Path) -> None:
    """Anywhere, and it is run again; when it has said that it is done, and has not synced a thing since."""
    owner = world.owner("knut", data=1, redundancy=2, partners=("p1", "p2", "p3"))
    (owner.mount() / "a").write_text("before")
    owner.sync(complete=True)
    owner.export_kit()
    owner.lose()
    work = owner.home / "disks" / TAKING_OVER
    platter = Platter(owner.home, tmp_path / "backing")
    command = ["takeover", "--listen=127.0.0.1:0", str(owner.kit)]
    try:
        for seed, sign in enumerate(("", claimfile.NAME, WORK, f"{WORK}/*/{DATABASE}")):
            child = subprocess.Popen([*COOPFS, "--home", owner.home, *command], stderr=subprocess.DEVNULL)
            until(
                lambda child=child, sign=sign: child.poll() is not None or any(work.parent.glob(f"{work.name}/{sign}"))
            )
            child.kill()
            child.wait()
            platter.lose_power(seed)
        again = coopfs(*command, home=owner.home)
        assert again.code == 0 or "has this disk already, and it is well" in again.line
        platter.lose_power(NOTHING_KEPT)
        world.restart(owner.name)
        top = owner.mount()
        assert (top / "a").read_text() == "before"
        (top / "b").write_text("after")
        owner.sync(complete=True)
        owner.kill()
    finally:
        if pid_of(owner.home) is not None:
            world.network.kill(owner.name)
        mounts.unmount(owner.mount_point)
        platter.end()
