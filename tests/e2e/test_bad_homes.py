"""Homes that cannot be used: one line, the right exit code, and nothing changes in them."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from coopfs.demo import mounts, process
from coopfs.errors import DaemonError
from tests.e2e.commands import coopfs, mount_coopfs, tool, well
from tests.e2e.waiting import until
from tests.e2e.world import MIB, World, pid_of

LONE = "127.0.0.1:0"  # a home whose daemon nobody looks for


def _init(home: Path, listen: str = LONE) -> Path:
    well(coopfs("init", "--name", "lone", "--listen", listen, home=home))
    return home


@contextmanager
def _small_filesystem(path: Path, size: int) -> Iterator[Path]:
    path.mkdir()
    tool("mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", path)
    try:
        yield path
    finally:
        mounts.unmount(path)


@contextmanager
def _small_home(world: World, name: str, size: int) -> Iterator[None]:
    """For a node's home. Its daemon ends first, also when the test fails: it would go on without its files."""
    with _small_filesystem(world.home(name), size):
        try:
            yield
        finally:
            if (pid := pid_of(world.home(name))) is not None:
                with suppress(DaemonError):  # it was ending just now
                    process.kill(process.identify(name, pid))


def _contents(home: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in home.rglob("*") if path.is_file() and path.name != "lock"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('lisen = "127.0.0.1:0"', "line 1: unknown key 'lisen', did you mean 'listen'?"),
        ("\n\nfrob = 1", "line 3: unknown key 'frob'"),
        ('name = "a b"', "line 1: name: 'a b' is not a name"),
        ('listen = "nowhere"', "listen: 'nowhere' is not an address"),
        ("upload_limit = true", "upload_limit: must be bytes per second"),
        ('name = "unclosed', "Unterminated string"),
    ],
)
def test_a_wrong_configuration_is_refused_whole(tmp_path: Path, text: str, words: str) -> None:
    home = _init(tmp_path / "home")
    (home / "coopfs.toml").write_text(text)
    before = _contents(home)
    for said in (coopfs("serve", home=home), mount_coopfs(home, tmp_path)):
        assert said.code == 3
        assert words in said.line
    assert _contents(home) == before


def test_a_missing_home(tmp_path: Path) -> None:
    for said in (
        coopfs("serve", home=tmp_path / "none"),
        coopfs("status", home=tmp_path / "none"),
        mount_coopfs(tmp_path / "none", tmp_path),
    ):
        assert said.code == 5
        assert "init" in said.line
    (tmp_path / "file").touch()
    assert coopfs("serve", home=tmp_path / "file").code == 5


def test_a_second_init_changes_nothing(tmp_path: Path) -> None:
    home = _init(tmp_path / "home")
    before = _contents(home)
    said = coopfs("init", home=home)
    assert said.code == 5
    assert said.line
    assert _contents(home) == before


@pytest.mark.parametrize("content", ["", "00", "x" * 64])
def test_a_damaged_identity(tmp_path: Path, content: str) -> None:
    home = _init(tmp_path / "home")
    (home / "identity").write_text(content)
    said = coopfs("serve", home=home)
    assert said.code == 5
    assert "identity is damaged" in said.line


def test_a_port_in_use(tmp_path: Path) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        address = f"127.0.0.1:{holder.getsockname()[1]}"
        home = _init(tmp_path / "home", address)
        said = coopfs("serve", home=home)
        assert said.code == 2
        assert address in said.line
        assert "in use" in said.line
        started = mount_coopfs(home, tmp_path)
        assert started.code == 6
        assert "in use" in started.line


def test_a_home_locked_by_another_daemon(world: World) -> None:
    home = world.home("p1")
    said = coopfs("serve", home=home)
    assert said.code == 5
    assert f"locked by another daemon (pid {(home / 'lock').read_text().strip()})" in said.line
    well(coopfs("status", home=home))


def test_no_daemon(tmp_path: Path) -> None:
    home = _init(tmp_path / "home")
    for command in (["status"], ["sync"], ["umount"], ["stop"], ["partner", "list"], ["kit", "export", tmp_path / "k"]):
        said = coopfs(*command, home=home)
        assert said.code == 6
        assert "serve" in said.line


def test_init_on_a_full_disk(tmp_path: Path) -> None:
    with _small_filesystem(tmp_path / "small", 64 * 1024) as small:
        (small / "filler").write_bytes(bytes(64 * 1024))
        said = coopfs("init", home=small / "home")
        assert said.code == 5
        assert "space" in said.line
        (small / "filler").unlink()
        well(coopfs("init", home=small / "home"))


def test_serve_on_a_full_disk(tmp_path: Path) -> None:
    with _small_filesystem(tmp_path / "small", 64 * 1024) as small:
        home = _init(small / "home")
        (small / "filler").write_bytes(bytes(os.statvfs(small).f_bavail * os.statvfs(small).f_frsize))
        said = coopfs("serve", home=home)
        assert said.code == 5
        assert str(home) in said.line


def test_an_invitation_for_more_than_there_is_room_for(world: World) -> None:
    before = {path.name for path in (world.home("p1") / "hosted").iterdir()}
    said = coopfs("partner", "invite", "--size", "1000T", home=world.home("p1"))
    assert said.code == 5
    assert "cannot reserve" in said.line
    assert {path.name for path in (world.home("p1") / "hosted").iterdir()} == before


def test_the_disk_below_the_home_fills_up(world: World, tmp_path: Path) -> None:
    """Writes get ENOSPC, deletes work, what was fsynced stays, and it goes on when there is room again."""
    with _small_home(world, "lena", 250 * MIB):
        owner = world.owner("lena", data=1, redundancy=1, partners=("p1", "p2"))
        mnt = owner.mount()
        (mnt / "kept").write_bytes(b"k" * 100_000)
        (mnt / "growing").touch()
        filler = owner.home / "filler"
        status = os.statvfs(owner.home)
        filler.write_bytes(bytes(status.f_bavail * status.f_frsize - MIB))
        _fill(mnt / "growing")
        assert (mnt / "kept").read_bytes() == b"k" * 100_000
        (mnt / "growing").unlink()
        (mnt / "kept").rename(mnt / "went")
        well(coopfs("status", home=owner.home))
        filler.unlink()
        (mnt / "new").write_bytes(b"n" * 1_000_000)
        owner.sync(complete=True)
        owner.kill()
        well(mount_coopfs(owner.home, mnt))
        assert sorted(path.name for path in mnt.iterdir()) == ["new", "went"]
        assert (mnt / "went").read_bytes() == b"k" * 100_000
        world.stop("lena")
        until(lambda: not mounts.is_mounted(mnt))


def test_others_take_the_last_byte_below_the_home(world: World) -> None:
    """Deleting goes on, synced each time, also after a restart; creating gets ENOSPC, and nothing is ever EIO."""
    with _small_home(world, "mona", 300 * MIB):
        owner = world.owner("mona", data=1, redundancy=1, partners=("p1", "p2"))
        mnt = owner.mount()
        for number in range(900):
            (mnt / f"{number}").write_bytes(b"x" * 100)
        owner.sync(complete=False)
        filler = owner.home / "filler"
        _take_all(filler)
        for number in range(300):
            (mnt / f"{number}").unlink()
            sync_entries(mnt)
        os.truncate(mnt / "899", 50)
        _fill(mnt / "899")
        well(coopfs("stop", home=owner.home))
        world.wait_until_gone("mona")  # with its files closed: only then is their room in one of its own
        _take_all(filler)
        well(mount_coopfs(owner.home, mnt))
        for number in range(300, 600):
            (mnt / f"{number}").unlink()
            sync_entries(mnt)
        owner.kill()
        well(mount_coopfs(owner.home, mnt))
        for number in range(600, 899):
            (mnt / f"{number}").unlink()
            sync_entries(mnt)
        assert [path.name for path in mnt.iterdir()] == ["899"]
        filler.unlink()
        (mnt / "new").write_bytes(b"n" * 1_000_000)
        owner.sync(complete=True)
        world.stop("mona")
        until(lambda: not mounts.is_mounted(mnt))


def sync_entries(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)


def _take_all(path: Path) -> None:
    """Every byte of the file system."""
    with path.open("ab", buffering=0) as file:
        for size in (MIB, 4096, 1):
            with suppress(OSError):
                while True:
                    file.write(bytes(size))


def _fill(path: Path) -> None:
    """Until there is no space left."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT)

    def write() -> None:
        for _ in range(1000):
            os.write(descriptor, bytes(100_000))

    try:
        with pytest.raises(OSError, match="No space left"):
            write()
    finally:
        os.close(descriptor)
