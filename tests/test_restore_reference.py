"""The restore program that was written from coopfs-format(5) alone, against stores made with the real code."""

import os
import re
import stat
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import trio
import zstandard
from blake3 import blake3

from coopfs.core import coding, kit, meta, records
from coopfs.core.identity import Identity
from coopfs.core.keys import KeyAge, ReadKey, keys_of, make_keys
from coopfs.core.kit import Kit, KitDisk, KitPartner
from coopfs.core.kitseal import Cost
from coopfs.core.master import Floor, LayoutPlaces, MasterBlock, StorePlace, seal_master
from coopfs.core.records import Name, Record, Tombstone, Truncate, Type, Xattr
from coopfs.core.storeformat import RowMap, StoreHeader, decode_header
from coopfs.core.units import ZSTD
from coopfs.local.home import Home
from coopfs.local.hosted.hostrecords import save_master
from coopfs.local.hosted.storefile import StoreFile, Write, write_header
from coopfs.local.nodedb import NodeDatabase
from coopfs.types import Kind, Layout, NodeKey, Place, StoreId, make_version
from tests.tasks.twolayouts import TwoLayouts, content, write_homes
from tests.writtenlog import NOON, ROOT, WrittenLog, file

PROGRAM = Path(__file__).parent.parent / "contrib" / "restore-reference"
KEYS = make_keys(b"r" * 32, b"s" * 32)
TAG_KEY = KEYS.tag_key(0)
LAYOUT = Layout(1, 3, 2, 64 * 1024)
ROWS = 40


class Network(WrittenLog):
    """n partners' homes with the stores of one disk, and the writer's end of its log."""

    def __init__(self, directory: Path) -> None:
        self.homes = [directory / f"p{j}" for j in range(LAYOUT.n)]
        self.owner = Identity.from_seed(b"o" * 32)
        self.stores: list[StorePlace] = []
        for j, path in enumerate(self.homes):
            node = self._make_home(path, bytes([j]) * 32)
            self.stores.append(StorePlace(StoreId(bytes([j]) * 16), node, node, f"p{j}", (f"192.0.2.{j}:7530",)))
            self._make_store(self.path_of_store(j), self.stores[j].store)
        super().__init__(KEYS, LayoutPlaces(LAYOUT, ROWS, tuple((store,) for store in self.stores)))
        self.save_masters()

    def _make_home(self, path: Path, seed: bytes) -> NodeKey:
        Home(path).create(seed)
        return Identity.from_seed(seed).key

    def _make_store(self, path: Path, store: StoreId) -> None:
        path.parent.mkdir(exist_ok=True)
        header = StoreHeader(KEYS.disk, store, 3, LAYOUT.block_size).grown(5).grown(ROWS)
        path.touch()
        os.truncate(path, header.size)
        write_header(path, header)

    def path_of_store(self, column: int) -> Path:
        return self.homes[column] / "hosted" / self.stores[column].store.hex()

    def save_masters(self, count: int = 1, floor: int = 0) -> None:
        block = MasterBlock(make_version(1, count), bytes(16), self.keys.ages, (), (self.places,), Floor(floor, 0))
        for path, store in zip(self.homes, self.stores, strict=True):
            database = NodeDatabase(Home(path).node_database)
            save_master(database, self.owner.key, KEYS.disk, seal_master(self.keys, block, store.node))
            database.close()

    def kit_text(self) -> str:
        partners = tuple(KitPartner(store.node, store.name, store.addresses) for store in self.stores)
        return kit.to_text(Kit("owner", b"o" * 32, (KitDisk(self.keys, Floor(0, 0)),), partners, 0), "today")

    def keep(self, store: StorePlace, place: Place, box: bytes) -> None:
        with StoreFile(self.path_of_store(self.stores.index(store))) as opened:
            assert opened.put([Write(place.row, place.version, box)]) == [None]


def text(length: int) -> bytes:
    return blake3(b"text").digest(length)


@pytest.fixture
def network(tmp_path: Path) -> Network:
    """A disk of three groups, with everything that a tree can have, and all ways in which something goes."""
    net = Network(tmp_path)
    one, (small, start, end, cut, doomed) = net.write(
        [(2, 0, b"hello"), (3, 0, text(1000)), (3, 300_000, text(500)), (4, 0, text(100)), (5, 0, b"doomed")]
    )
    first: list[Record] = [
        ROOT,
        file(2, b"small", 5, small),
        file(4, b"cut", 100, cut),
        file(5, b"doomed", 6, doomed),
        one,
    ]
    net.group(
        first, [file(3, b"sparse", 400_000, start), end, Xattr(2, b"user.note", b"kept"), Xattr(5, b"user.x", b"")]
    )
    two, big = net.write([(6, 0, text(100_000)), (6, 100_000, text(50_000))])
    net.group(
        [
            Tombstone((Type.INODE, 5)),
            Truncate(4, 40),
            file(4, b"cut", 60, replace(cut, length=40, stored=40, raw=40)),
            file(6, b"big", 150_000, big[0], parent=7, nlink=2, mode=0o100400),
            big[1],
            two,
            file(7, b"directory", 0, mode=0o040500),
            Name(1, b"again", 6),
            Name(7, b"not any more", 2),
        ]
    )
    net.group(
        [Tombstone((Type.NAME, 7, b"not any more")), file(8, b"link", 5, mode=0o120777, target=b"small")],
        [file(9, b"caf\xc3\xa9 \xff\n", 0), file(10, b"pipe", 0, mode=0o010600), file(11, b"socket", 0, mode=0o140600)],
        [file(12, None, 3, nlink=0), file(13, b"null", 0, mode=0o020666, rdev=os.makedev(1, 3))],
    )
    return net


def restore(net: Network, out: Path, homes: Sequence[int], typed: str = "") -> subprocess.CompletedProcess[str]:
    kit_file = net.homes[0].parent / "kit.txt"
    kit_file.write_text(net.kit_text())
    command = [sys.executable, str(PROGRAM), str(kit_file), str(out), *(str(net.homes[j]) for j in homes)]
    return subprocess.run(command, input=typed, capture_output=True, text=True, timeout=60, check=False)


def seen(out: Path) -> dict[str, tuple[object, ...]]:
    """What lies under `out`: type, mode and times of everything, and its content."""
    found: dict[str, tuple[object, ...]] = {}
    for path in [out, *sorted(out.rglob("*"))]:
        status = path.lstat()
        kind = stat.S_IFMT(status.st_mode)
        content: object = None
        if stat.S_ISREG(status.st_mode):
            content = path.read_bytes()
        elif stat.S_ISLNK(status.st_mode):
            content = os.readlink(path)
        mode = None if stat.S_ISLNK(status.st_mode) else stat.S_IMODE(status.st_mode)
        found[str(path.relative_to(out))] = (kind, mode, status.st_mtime_ns - NOON, content)
    return found


SPARSE = (text(1000).ljust(300_000, b"\0") + text(500)).ljust(400_000, b"\0")
EXPECTED = {
    ".": (stat.S_IFDIR, 0o755, 1, None),
    "small": (stat.S_IFREG, 0o640, 2, b"hello"),
    "sparse": (stat.S_IFREG, 0o640, 3, SPARSE),
    "cut": (stat.S_IFREG, 0o640, 4, text(40) + bytes(20)),
    "directory": (stat.S_IFDIR, 0o500, 7, None),
    "directory/big": (stat.S_IFREG, 0o400, 6, text(100_000) + text(50_000)),
    "again": (stat.S_IFREG, 0o400, 6, text(100_000) + text(50_000)),
    "link": (stat.S_IFLNK, None, 8, "small"),
    "caf\xe9 \udcff\n": (stat.S_IFREG, 0o640, 9, b""),
    "pipe": (stat.S_IFIFO, 0o600, 10, None),
    "socket": (stat.S_IFSOCK, 0o600, 11, None),
    "null": (stat.S_IFCHR, 0o666, 13, None),
}


def expected(directory: Path) -> dict[str, tuple[object, ...]]:
    """EXPECTED, without the device if this user may make none."""
    probe = directory / "probe"
    try:
        os.mknod(probe, stat.S_IFCHR | 0o600, os.makedev(1, 3))
        probe.unlink()
    except PermissionError:
        return {name: values for name, values in EXPECTED.items() if name != "null"}
    return dict(EXPECTED)


@pytest.mark.parametrize("homes", [range(5), (0, 1, 2), (2, 3, 4), (4, 1, 3)], ids=str)
def test_any_k_homes_give_the_tree_back(network: Network, tmp_path: Path, homes: Sequence[int]) -> None:
    done = restore(network, tmp_path / "out", homes)
    assert done.returncode == 0, done.stderr
    assert seen(tmp_path / "out") == expected(tmp_path)
    assert "2023-11-14 22:13:20 UTC, group 3" in done.stdout


def test_links_holes_owners_and_attributes_come_back(network: Network, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert restore(network, out, range(5)).returncode == 0
    assert (out / "again").samefile(out / "directory" / "big")
    assert (out / "sparse").stat().st_blocks * 512 < 100_000
    assert os.getxattr(out / "small", "user.note") == b"kept"
    if os.geteuid() == 0:
        owners = {(path.lstat().st_uid, path.lstat().st_gid) for path in out.rglob("*")}
        assert owners == {(12, 34)}


def test_too_few_homes_are_an_error_that_says_so(network: Network, tmp_path: Path) -> None:
    done = restore(network, tmp_path / "out", (1, 2))
    assert done.returncode == 1
    assert "more partners' homes are needed" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("lost", ["meta", "data"])
def test_a_newer_state_that_is_not_whole_is_left_out(network: Network, tmp_path: Path, lost: str) -> None:
    few = (0, 1)
    stripe, (extent,) = network.write([(20, 0, b"new")], columns=few if lost == "data" else range(5))
    network.group([stripe], [file(20, b"new", 3, extent)], columns=few if lost == "meta" else range(5))
    done = restore(network, tmp_path / "out", range(5))
    assert done.returncode == 0, done.stderr
    assert seen(tmp_path / "out") == expected(tmp_path)
    assert "not whole" in done.stderr


def test_compressed_units_are_decoded(network: Network, tmp_path: Path) -> None:
    unit = b"".join(b"line %d\n" % number for number in range(9999))
    stored = zstandard.ZstdCompressor().compress(unit)
    stripe, (extent,) = network.write([(20, 0, stored)])
    part = replace(extent, length=50_000, raw=len(unit), skip=1234, codec=ZSTD)
    network.group([stripe], [file(20, b"unit", 50_000, part)])
    assert restore(network, tmp_path / "out", range(5)).returncode == 0
    assert (tmp_path / "out" / "unit").read_bytes() == unit[1234:51_234]


def test_groups_that_lack_their_end_are_left_out(network: Network, tmp_path: Path) -> None:
    network.groups += 1
    place = network.place()
    payload = meta.encode(KEYS, Kind.META, network.head(place, 0), records.encode(file(20, b"new", 0)))
    network.put(place, Kind.META, coding.code_meta(LAYOUT, TAG_KEY, payload))
    assert restore(network, tmp_path / "out", range(5)).returncode == 0
    assert seen(tmp_path / "out") == expected(tmp_path)


def test_below_the_floor_what_is_missing_is_said(network: Network, tmp_path: Path) -> None:
    network.save_masters(2, floor=make_version(2, 0))
    done = restore(network, tmp_path / "out", range(5))
    assert done.returncode == 0
    assert "a newer state than this one is known to have been held" in done.stderr
    assert seen(tmp_path / "out") == expected(tmp_path)


def test_rotten_blocks_and_stores_of_m_partners_do_no_harm(network: Network, tmp_path: Path) -> None:
    with network.path_of_store(0).open("r+b") as spoilt:
        places = RowMap(decode_header(spoilt.read(4096)))
        for row in range(ROWS):
            spoilt.seek(places.run_of(row).slot_at(row) + 1000)
            spoilt.write(b"rot")
    os.truncate(network.path_of_store(3), 5000)
    assert restore(network, tmp_path / "out", range(5)).returncode == 0
    assert seen(tmp_path / "out") == expected(tmp_path)


def test_who_has_the_read_key_and_all_partners_cannot_show_an_old_state_as_the_newest(
    network: Network, tmp_path: Path
) -> None:
    """An old END, sealed again as it is at a new version and row: only its signed place gives it away."""
    old, network.groups = network.ends[0], 1
    network.put(network.place(), Kind.END, coding.code_meta(LAYOUT, TAG_KEY, old))
    done = restore(network, tmp_path / "out", range(5))
    assert done.returncode == 0
    assert "another place" in done.stderr
    assert seen(tmp_path / "out") == expected(tmp_path)


def test_what_an_overtaken_writer_did_after_the_takeover_is_void(network: Network, tmp_path: Path) -> None:
    taken_over = (network.chain[:], network.tags, network.groups)
    network.group([file(20, b"zombie", 0)])
    network.chain, network.tags, network.groups = taken_over
    network.epoch, network.sequence = 2, 0
    network.group([file(21, b"successor", 0)])
    successor, (extent,) = network.write([(22, 0, b"x")], columns=(0,))
    network.group([successor, file(22, b"unfinished", 1, extent)])
    assert restore(network, tmp_path / "out", range(5)).returncode == 0
    assert set(seen(tmp_path / "out")) - set(expected(tmp_path)) == {"successor"}


def test_a_takeover_that_is_not_whole_falls_back_to_what_it_took_over(network: Network, tmp_path: Path) -> None:
    taken_over = (network.chain[:], network.tags, network.groups)
    network.group([file(20, b"zombie", 0)])
    network.chain, network.tags, network.groups = taken_over
    network.epoch, network.sequence = 2, 0
    stripe, (extent,) = network.write([(21, 0, b"x")], columns=(0,))
    network.group([stripe, file(21, b"successor", 1, extent)])
    assert restore(network, tmp_path / "out", range(5)).returncode == 0
    assert seen(tmp_path / "out") == expected(tmp_path)


def test_retired_heads_are_not_needed(network: Network, tmp_path: Path) -> None:
    """Everything is put into the log again; the head moves on, and the old meta stripes go."""
    old = [place for place, _ in network.chain]
    one, (small,) = network.write([(2, 0, b"hello")])
    network.chain = []
    network.group([ROOT, file(2, b"small", 5, small), one])
    for j in range(LAYOUT.n):
        with network.path_of_store(j).open("r+b") as store:
            for place in old:
                store.seek(4096 + place.row * 64)
                store.write(bytes(64))
    assert restore(network, tmp_path / "out", range(5)).returncode == 0
    assert set(seen(tmp_path / "out")) == {".", "small"}


@pytest.mark.parametrize("lost", [(), (0,), (1, 4)], ids=str)
def test_a_disk_between_two_layouts_comes_back(lost: tuple[int, ...], tmp_path: Path) -> None:
    """One stripe in the old one, another in the new one, in the same rows; and the log goes through both."""

    async def make() -> TwoLayouts:
        disk = TwoLayouts()
        await disk.make()
        return disk

    disk = trio.run(make)
    disk.add(b"a", b"b")
    disk.turn()
    disk.add(b"a", b"d")
    disk.add(b"e", columns=(0, 1))
    homes = write_homes(disk, tmp_path)
    partners = tuple(KitPartner(host.key, "p", ()) for host in disk.hosts)
    (tmp_path / "kit").write_text(kit.to_text(Kit("owner", b"o" * 32, (KitDisk(KEYS, Floor(0, 0)),), partners, 0), ""))
    left = [str(home) for number, home in enumerate(homes) if number not in lost]
    command = [sys.executable, str(PROGRAM), str(tmp_path / "kit"), str(tmp_path / "out"), *left]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert "group 2" in done.stdout
    assert {path.name.encode(): path.read_bytes() for path in (tmp_path / "out").iterdir()} == {
        name: content(name) for name in (b"a", b"b", b"d")
    }


def test_a_mistyped_kit_names_its_line(network: Network, tmp_path: Path) -> None:
    lines = network.kit_text().splitlines()
    wrong = [
        line[:8] + ("7" if line[8] != "7" else "8") + line[9:] if line.startswith("02") else line for line in lines
    ]
    network.kit_text = lambda: "\n".join(wrong)  # type: ignore[method-assign]
    done = restore(network, tmp_path / "out", range(5))
    assert done.returncode == 1
    assert done.stderr == "restore-reference: line 2 of the kit is mistyped or missing\n"


def test_a_kit_for_reading_only_with_a_passphrase_is_opened(network: Network, tmp_path: Path) -> None:
    one = kit.from_text(network.kit_text())
    assert isinstance(one, Kit)
    one = replace(one, disks=tuple(replace(disk, keys=replace(disk.keys, signing_seed=None)) for disk in one.disks))
    assert one.read_only
    sealed = kit.to_sealed_text(one, "today", "caf\u00e9", bytes(16), Cost(passes=1, memory=8))
    network.kit_text = lambda: sealed  # type: ignore[method-assign]
    done = restore(network, tmp_path / "out", range(5), typed="tea\n")
    assert done.stderr == "restore-reference: this is not the passphrase of this kit\n"
    assert restore(network, tmp_path / "out", range(5), typed="cafe\u0301\n").returncode == 0
    assert seen(tmp_path / "out") == expected(tmp_path)


def test_each_stripe_needs_the_key_of_its_version(tmp_path: Path) -> None:
    net = Network(tmp_path)
    old, both = net.keys, keys_of((*KEYS.secrets, ReadKey(2, b"n" * 32)), b"s" * 32)
    both.age((KeyAge(1, 0), KeyAge(2, make_version(1, 3))))
    net.keys = both
    net.save_masters(2)
    one, (small,) = net.write([(2, 0, b"hello")])
    net.group([ROOT, file(2, b"small", 5, small), one])
    two, (late,) = net.write([(3, 0, text(1000))])
    net.group([file(3, b"late", 1000, late), two])
    done = restore(net, tmp_path / "out", range(5))
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "out" / "late").read_bytes() == text(1000)
    net.keys = old
    done = restore(net, tmp_path / "older", range(5))
    assert done.stderr.startswith("restore-reference: the disk was given a new key after this kit was made")
    assert [path.name for path in (tmp_path / "older").iterdir()] == ["small"]
    net.keys = both
    both.age(both.ages[1:])
    for count in (3, 4):
        net.save_masters(count)
    net.keys = old
    done = restore(net, tmp_path / "none", range(5))
    assert done.stderr.endswith("of this disk, but for some that need key 2, which this kit does not have\n")


def test_the_program_is_short_and_knows_nothing_of_coopfs() -> None:
    source = PROGRAM.read_text()
    assert len(source.splitlines()) < 600
    assert not re.search(r"^\s*(import|from) +coopfs", source, re.MULTILINE)
