"""contrib/bench runs, and its figures are all there. What they are is for a person to judge."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import coopfs

BENCH = Path(coopfs.__file__).parent.parent / "contrib" / "bench"

IN_FRONT = {"write", "write_fsync", "create", "readdir", "stat", "tar"}
STREAMED = {"until_held", "until_complete", "cpu_owner", "cpu_partners", "memory_owner", "memory_partner"}
RESTORED = {"restore_ready", "read", "read_degraded", "read_small", "cpu_restore", "memory_restore"}
AS_ROOT = {"lookup"}  # only root can let the kernel forget a mount
BESIDE_NULL = IN_FRONT | {"until_held", "until_complete", "read", "read_degraded", "read_small"}
BESIDE_DISK = BESIDE_NULL - {"write"}  # without fsync the disk's figure would be that of memory


@pytest.mark.slow
def test_a_tiny_run_has_all_figures_and_leaves_nothing(tmp_path: Path) -> None:
    work = tmp_path / "work"
    work.mkdir()
    output = tmp_path / "figures.json"
    sizes = ["--size", "8", "--files", "120", "--rounds", "1"]
    command = [sys.executable, str(BENCH), *sizes, "--dir", str(work), "--json", str(output)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "of null" in done.stdout

    document = json.loads(output.read_text())
    figures = document["figures"]
    assert document["sizes"] == {"size": 8 << 20, "files": 120, "rounds": 1}
    assert figures.keys() == IN_FRONT | STREAMED | RESTORED | (AS_ROOT if os.geteuid() == 0 else set())
    assert all(figure["value"] >= 0 and figure["unit"] for figure in figures.values())
    assert all(figures[name]["of_null"] > 0 for name in BESIDE_NULL)
    assert all(figures[name]["of_disk"] > 0 for name in BESIDE_DISK)

    assert not list(work.iterdir())
    assert str(work) not in Path("/proc/self/mountinfo").read_text()


def test_growth_is_fitted_over_disks_of_several_sizes(tmp_path: Path) -> None:
    work = tmp_path / "work"
    work.mkdir()
    output = tmp_path / "growth.json"
    command = [sys.executable, str(BENCH), "--growth", "300", "--growth", "100", "--dir", str(work)]
    done = subprocess.run([*command, "--json", str(output)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "exponent" in done.stdout
    document = json.loads(output.read_text())
    assert [size["files"] for size in document["sizes"]] == [100, 300]
    assert document["exponents"].keys() == {"create", "mount", "lookup", "listing", "count", "memory"}
    assert not list(work.iterdir())


def test_growth_of_one_size_is_refused(tmp_path: Path) -> None:
    command = [sys.executable, str(BENCH), "--growth", "300", "--growth", "300", "--dir", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "give it twice" in done.stderr
    assert not list(tmp_path.iterdir())
