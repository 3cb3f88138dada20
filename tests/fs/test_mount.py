"""Real mounts: what programs do, the tools people back up with, and a server that is killed."""

import ctypes
import mmap
import os
import socket
import stat
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest

from coopfs.limits import KERNEL_READ_AHEAD, KIB
from tests.fs.operations import ROOT, Chooser, RealSide
from tests.fs.server import PROJECT, REAL_MOUNTS, Server
from tests.fs.shapes import Shape, shape_of_real

pytestmark = REAL_MOUNTS

XATTRS = "--xattrs --xattrs-include='*'"
TAR = f"cd '{{source}}' && tar {XATTRS} -cSf - . | tar -C '{{target}}' {XATTRS} -xpf -"
libc = ctypes.CDLL(None, use_errno=True)


def renameat2(old: Path, new: Path, flags: int) -> None:
    if libc.renameat2(-100, os.fsencode(old), -100, os.fsencode(new), flags):
        raise OSError(ctypes.get_errno(), "renameat2")


def comparable(shape: Shape) -> Shape:
    """What a faithful copy keeps: everything but inode numbers, change times and the times of the top directory."""
    kept = {path: {**facts, "times": facts["times"][1]} for path, facts in shape.items()}
    kept[()] = {**kept[()], "times": None}
    return {path: facts for path, facts in kept.items() if not stat.S_ISSOCK(facts["mode"])}  # tar leaves sockets out


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A tree with one of everything that a backup meets."""
    tree = tmp_path / "source"
    tree.mkdir()
    random = Random(1)
    side = RealSide(tree)
    chooser = Chooser(random)
    for _ in range(400):
        operation = chooser.next()
        if operation[0] not in ("open", "write", "ftruncate", "truncate"):
            side.apply(operation)
    for number in range(60):
        directory = tree / f"dir {number % 7}" / f"ünï {number % 3}"
        directory.mkdir(parents=True, exist_ok=True)
        (directory / f"file {number}").write_bytes(random.randbytes(random.choice([0, 1, 4096, 100_000, 3_000_000])))
    with (tree / "sparse").open("wb") as file:
        file.seek(50_000_000)
        file.write(b"end")
    os.link(tree / "sparse", tree / "dir 0" / "sparse too")
    (tree / "link").symlink_to("dir 0/ünï 0")
    os.setxattr(tree / "dir 1", "user.colour", b"blue\0green")
    os.chmod(tree / "dir 3", 0o2750)
    for number, path in enumerate(sorted(tree.rglob("*"), reverse=True)):
        # Not of this second: rsync leaves times alone that differ by less.
        os.utime(path, ns=(number, 1_000_000_000_123_456_789 + number * 987_654_321), follow_symlinks=False)
    return tree


@pytest.mark.parametrize(
    "command",
    [
        ["rsync", "-aHAX", "--sparse", "{source}/", "{target}"],
        ["cp", "-a", "{source}/.", "{target}"],
        ["sh", "-c", TAR],
    ],
    ids=["rsync", "cp", "tar"],
)
def test_a_copy_by_the_usual_tools_is_the_same(command: list[str], server: Server, source: Path) -> None:
    target = server.mountpoint / "copy"
    target.mkdir(mode=0o755)
    places = {"source": str(source), "target": str(target)}
    subprocess.run([word.format(**places) for word in command], check=True)
    wanted, copied = comparable(shape_of_real(source)), comparable(shape_of_real(target))
    different = [path for path in wanted.keys() | copied.keys() if wanted.get(path) != copied.get(path)]
    assert {path: copied.get(path) for path in different} == {path: wanted.get(path) for path in different}
    assert (target / "sparse").stat().st_blocks < 8000
    server.stop()
    server.start()
    assert comparable(shape_of_real(target)) == copied
    server.stop()


def test_random_operations_answer_as_elsewhere(server: Server, tmp_path: Path) -> None:
    """The twin test once more, through the kernel."""
    (tmp_path / "real").mkdir(mode=0o755)
    os.chmod(server.mountpoint, 0o755)
    real, mounted = RealSide(tmp_path / "real"), RealSide(server.mountpoint)
    before = os.umask(0)
    random = Random(7)
    chooser = Chooser(random)
    for step in range(600):
        operation = chooser.next()
        assert mounted.apply(operation) == real.apply(operation), f"step {step}: {operation!r:.200}"
        if step % 20 == 0:
            wanted, found = shape_of_real(tmp_path / "real"), shape_of_real(server.mountpoint)
            for facts in (*wanted.values(), *found.values()):
                facts["times"] = None
            assert found == wanted, f"step {step}: {operation!r:.200}"
    os.umask(before)
    real.close_all()
    mounted.close_all()
    server.stop()


def test_an_unlinked_file_keeps_its_content_while_it_is_open(mnt: Path, server: Server) -> None:
    with (mnt / "a").open("w+b") as file:
        file.write(b"still here")
        file.flush()
        (mnt / "a").unlink()
        assert not (mnt / "a").exists()
        file.seek(0)
        assert file.read() == b"still here"
        assert os.fstat(file.fileno()).st_nlink == 0
    server.stop()


def test_appending_processes_lose_nothing(mnt: Path, server: Server) -> None:
    (mnt / "log").touch()
    one, other = (os.open(mnt / "log", os.O_WRONLY | os.O_APPEND) for _ in range(2))
    for number in range(100):
        os.write(one if number % 2 else other, b"%02d\n" % number)
    os.close(one)
    os.close(other)
    assert (mnt / "log").read_bytes() == b"".join(b"%02d\n" % number for number in range(100))
    server.stop()


def test_mapped_memory_is_written_and_read(mnt: Path, server: Server) -> None:
    with (mnt / "map").open("w+b") as file:
        file.truncate(1 << 20)
        with mmap.mmap(file.fileno(), 0) as mapped:
            mapped[5000:5005] = b"hello"
            mapped.flush()
    assert (mnt / "map").read_bytes() == bytes(5000) + b"hello" + bytes((1 << 20) - 5005)
    server.stop()


def test_renames_exchange_or_refuse_to_replace(mnt: Path, server: Server) -> None:
    (mnt / "a").write_text("a")
    (mnt / "b").mkdir()
    with pytest.raises(FileExistsError):
        renameat2(mnt / "a", mnt / "b", 1)
    renameat2(mnt / "a", mnt / "b", 2)
    assert (mnt / "b").read_text() == "a"
    assert (mnt / "a").is_dir()
    server.stop()


def test_special_files_and_sockets_work(mnt: Path, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(mnt)  # a socket's path may have 107 bytes
    os.mkfifo("fifo", 0o600)
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as caller:
        listener.bind("socket")
        listener.listen()
        caller.connect("socket")
    assert stat.S_ISFIFO(os.lstat("fifo").st_mode)
    assert stat.S_ISSOCK(os.lstat("socket").st_mode)
    if ROOT:
        os.mknod("null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
        with open("null", "rb") as null:
            assert null.read() == b""
    monkeypatch.undo()
    server.stop()


def test_extended_attributes_and_the_state(mnt: Path, server: Server) -> None:
    (mnt / "a").write_text("a")
    os.setxattr(mnt / "a", "user.x", b"1", os.XATTR_CREATE)
    with pytest.raises(FileExistsError):
        os.setxattr(mnt / "a", "user.x", b"2", os.XATTR_CREATE)
    with pytest.raises(OSError, match="No data"):
        os.setxattr(mnt / "a", "user.y", b"2", os.XATTR_REPLACE)
    with pytest.raises(OSError, match=r"too long|too big"):
        os.setxattr(mnt / "a", "user.big", b"2" * 65537)
    os.setxattr(mnt / "a", "user.big", b"2" * 65536)
    assert sorted(os.listxattr(mnt / "a")) == ["user.big", "user.x"]
    assert os.getxattr(mnt / "a", "user.coopfs.state") == b"dirty 1 1"
    with pytest.raises(PermissionError):
        os.setxattr(mnt / "a", "user.coopfs.state", b"held")
    server.stop()


def test_a_listing_is_stable_while_entries_come_and_go(mnt: Path, server: Server) -> None:
    names = {f"name {number:04} {'x' * 50}" for number in range(1500)}
    for name in names:
        (mnt / name).touch()
    seen: list[str] = []
    with os.scandir(mnt) as listing:
        for number, entry in enumerate(listing):
            seen.append(entry.name)
            if number % 50 == 0 and (mnt / entry.name).exists():
                (mnt / entry.name).unlink()
                (mnt / f"new {number}").touch()
    assert len(seen) == len(set(seen)), "no entry twice"
    assert names <= set(seen), "no entry left out"
    server.stop()


def test_holes_cost_nothing_and_sizes_are_true(mnt: Path, server: Server) -> None:
    (mnt / "huge").touch()
    os.truncate(mnt / "huge", 10**15)
    assert (mnt / "huge").stat().st_blocks == 0
    with (mnt / "huge").open("r+b") as file:
        file.seek(10**15 - 5)
        assert file.read() == bytes(5)
    figures = os.statvfs(mnt)
    assert (figures.f_namemax, figures.f_frsize) == (255, 4096)
    assert figures.f_blocks * figures.f_frsize == 10 << 30
    server.stop()


def test_what_was_fsynced_survives_a_killed_server(server: Server) -> None:
    """P3: no manual step, the dead mountpoint is taken away by the next mount."""
    random = Random(3)
    content = {}
    for number in range(40):
        path = server.mountpoint / f"file {number}"
        content[path.name] = random.randbytes(random.choice([10, 5_000, 2_000_000]))
        with path.open("wb") as file:
            file.write(content[path.name])
            file.flush()
            os.fsync(file.fileno())
    directory = os.open(server.mountpoint, os.O_RDONLY)
    os.rename(server.mountpoint / "file 0", server.mountpoint / "renamed")
    content["renamed"] = content.pop("file 0")
    os.fsync(directory)
    os.close(directory)
    (server.mountpoint / "perhaps").write_bytes(b"never synced")
    server.kill()
    with pytest.raises(OSError, match="not connected"):
        os.stat(server.mountpoint)
    server.start()
    found = {path.name: path.read_bytes() for path in server.mountpoint.iterdir() if path.name != "perhaps"}
    assert found == content
    server.stop()


def test_a_mountpoint_that_cannot_be_used_is_said(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for mountpoint, reason in [
        (server.mountpoint, "mounted on"),
        (tmp_path / "missing", "does not exist"),
        (tmp_path / "file", "not a directory"),
    ]:
        command = [sys.executable, "-m", "tests.fs.serve_local", str(tmp_path / "other"), str(mountpoint)]
        done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True)
        assert done.returncode
        assert reason in done.stderr
    server.stop()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may say how far the kernel reads ahead")
def test_the_kernel_is_told_to_read_further_ahead(mnt: Path, server: Server) -> None:
    device = mnt.stat().st_dev
    knob = Path(f"/sys/class/bdi/{os.major(device)}:{os.minor(device)}/read_ahead_kb")
    if not os.access(knob, os.W_OK):
        pytest.skip("sysfs is not for writing here")
    assert int(knob.read_text()) * KIB == KERNEL_READ_AHEAD
    server.stop()
