"""The demo's work directory: what it refuses, and what a later run finds in it."""

import subprocess
import sys
from pathlib import Path

import pytest

from coopfs.demo import mounts
from coopfs.demo.network import Network
from coopfs.errors import UsageError


def test_a_directory_in_use_is_refused_untouched(tmp_path: Path) -> None:
    (tmp_path / "mine").touch()
    with pytest.raises(UsageError, match="is not empty"):
        Network.create(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_the_paths_that_scripts_rely_on(tmp_path: Path) -> None:
    network = Network.create(tmp_path / "D")
    assert network.mount == tmp_path / "D" / "mnt"
    assert network.restored == tmp_path / "D" / "restored"
    assert network.kit == tmp_path / "D" / "kit.txt"
    assert network.home("p1") == tmp_path / "D" / "nodes" / "p1"
    assert network.mount.is_dir()
    assert network.restored.is_dir()
    assert (tmp_path / "D" / "demo.json").is_file()


def test_a_later_run_ends_what_an_earlier_one_started(tmp_path: Path) -> None:
    network = Network.create(tmp_path / "D")
    with subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"]) as child:
        network.adopt("p1", child)
        Network.load(tmp_path / "D").end()
        assert child.wait() != 0
    Network.load(tmp_path / "D").end()


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"processes": 1}', '{"processes": {"p1": {"pid": "x"}}}'])
def test_damaged_notes_are_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "demo.json").write_text(content)
    with pytest.raises(UsageError, match="is damaged"):
        Network.load(tmp_path)


def test_a_directory_without_a_demo_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no demo's work directory"):
        Network.load(tmp_path)


def test_mounts_are_known_without_touching_them(tmp_path: Path) -> None:
    assert mounts.is_mounted(Path("/proc"))
    assert not mounts.is_mounted(tmp_path)
    mounts.unmount(tmp_path)
