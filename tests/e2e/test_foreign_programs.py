"""Programs that others wrote find nothing wrong with a mounted disk: contrib/suites and contrib/month, cut short."""

import json
import re
import subprocess
import sys
from pathlib import Path

import coopfs

CONTRIB = Path(coopfs.__file__).parent.parent / "contrib"
NAMES = ("tar", "cpio", "rsync", "squashfs", "entries", "git", "sqlite", "maildir", "fio")


def contrib(program: str, *arguments: str | Path) -> str:
    command = [sys.executable, CONTRIB / program, *arguments]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_what_passes_on_a_plain_directory_passes_on_a_disk(tmp_path: Path) -> None:
    results = tmp_path / "results.json"
    contrib("suites", "--short", "--dir", tmp_path, "--json", results, *NAMES)
    judged = json.loads(results.read_text())
    assert tuple(one["suite"] for one in judged) == NAMES
    for one in judged:
        assert one["coopfs"]["failures"] == one["plain"]["failures"] == {}, one
        assert len(one["coopfs"]["steps"]) == len(one["plain"]["steps"]) > 2
    assert list(tmp_path.iterdir()) == [results], "nothing is left"


def test_repositories_live_through_a_crash_and_the_loss_of_the_machine(tmp_path: Path) -> None:
    """Four nights; `contrib/month` lives through thirty."""
    said = contrib("month", "--nights", "4", "--seed", "1", "--dir", tmp_path)
    assert "all is well" in said
    assert re.search(r"most memory of the owner's daemon: \d+ MB in the first night, \d+ MB in any", said)
    assert list(tmp_path.iterdir()) == [], "nothing is left"
