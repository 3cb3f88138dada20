"""The campaigns of contrib/campaign that need real daemons, cut short."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import coopfs

CAMPAIGN = Path(coopfs.__file__).parent.parent / "contrib" / "campaign"


def campaign(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, CAMPAIGN, *arguments], capture_output=True, text=True, check=False)


def test_crashes_under_load(tmp_path: Path) -> None:
    done = campaign("crashes", "--rounds", "2", "--burden", "files", "--burden", "sqlite", "--dir", str(tmp_path))
    assert "4 checks after 2 kills: 2 files, 2 sqlite" in done.stdout, done.stdout + done.stderr
    assert "nothing that was synced is lost" in done.stdout
    assert not list(tmp_path.iterdir())


def test_losses_and_takeovers(tmp_path: Path) -> None:
    done = campaign("losses", "--rounds", "1", "--dir", str(tmp_path))
    assert re.search(
        "1 losses and takeovers: 1 with (one partner|two partners), 2 history, 2 sqlite, 2 git", done.stdout
    ), done
    assert done.returncode == 0
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("crashes", "--burden", "frob"), "'frob' is not one of"),
        (("crashes", "--rounds", "0"), "0 is not in the range"),
        (("losses", "--rounds", "many"), "'many' is not a valid"),
    ],
)
def test_wrong_arguments(arguments: tuple[str, ...], words: str) -> None:
    done = campaign(*arguments)
    assert done.returncode == 2
    assert words in done.stderr
