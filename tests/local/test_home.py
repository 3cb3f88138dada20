"""A home: made once, locked by one daemon, and clear about what is wrong with it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from coopfs.errors import HomeError
from coopfs.local.home import Home

SEED = bytes(range(32))


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path / "deep" / "home")
    home.create(SEED)
    return home


def test_the_identity_comes_back_and_is_private(home: Home) -> None:
    assert home.read_seed() == SEED
    assert home.identity_file.stat().st_mode & 0o777 == 0o600
    assert home.path.stat().st_mode & 0o777 == 0o700


def test_all_that_was_made_is_durable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The name of each new directory is synced in the one above it."""
    synced, really = set(), os.fsync

    def fsync(descriptor: int) -> None:
        synced.add(os.readlink(f"/proc/self/fd/{descriptor}"))
        really(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    Home(tmp_path / "very" / "deep" / "home").create(SEED)
    assert synced >= {str(tmp_path / place) for place in ("", "very", "very/deep", "very/deep/home")}


def test_a_home_is_never_made_over_another(home: Home) -> None:
    with pytest.raises(HomeError, match="is a home already"):
        home.create(bytes(32))
    assert home.read_seed() == SEED


def test_a_second_daemon_is_told_the_pid_of_the_first(home: Home) -> None:
    refusal = pytest.raises(HomeError, match=rf"locked by another daemon \(pid {os.getpid()}\)")
    with home.locked(), refusal, home.locked():
        pass
    with home.locked():
        pass


def test_a_killed_daemon_leaves_no_lock_behind(home: Home) -> None:
    script = "import os, sys; from pathlib import Path; from coopfs.local.home import Home\n"
    script += "with Home(Path(sys.argv[1])).locked(): print('locked', flush=True); sys.stdin.read()"
    daemon = subprocess.Popen(
        [sys.executable, "-c", script, home.path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with daemon:
        assert daemon.stdout is not None
        assert daemon.stdout.readline() == "locked\n"
        with pytest.raises(HomeError, match=f"pid {daemon.pid}"), home.locked():
            pass
        daemon.kill()
    with home.locked():
        pass


def test_a_place_without_a_home_says_how_to_make_one(tmp_path: Path) -> None:
    for action in (Home(tmp_path).read_seed, Home(tmp_path / "missing").locked().__enter__):
        with pytest.raises(HomeError, match="coopfs init"):
            action()


@pytest.mark.parametrize("content", ["", "00", "zz" * 32, "00" * 33, "\xff"])
def test_a_damaged_identity_is_a_home_error(home: Home, content: str) -> None:
    home.identity_file.write_text(content, "latin-1")
    with pytest.raises(HomeError, match="damaged"):
        home.read_seed()


def test_a_home_inside_a_file_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(HomeError, match=r"^cannot create the home [^\n]*: Not a directory$"):
        Home(tmp_path / "file" / "home").create(SEED)
