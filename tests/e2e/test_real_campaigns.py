"""The campaigns of contrib/campaign that need real daemons, cut short."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import coopfs
from tests.e2e import commands

CAMPAIGN = Path(coopfs.__file__).parent.parent / "contrib" / "campaign"


def campaign(*arguments: str, path: str | None = None) -> subprocess.CompletedProcess[str]:
    """path: where it finds programs, instead of the usual places."""
    environment = os.environ | ({} if path is None else {"PATH": path})
    command = [sys.executable, CAMPAIGN, *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_crashes_under_load_go_on_and_are_counted_together(tmp_path: Path) -> None:
    record, room = tmp_path / "record", tmp_path / "room"
    room.mkdir()
    few = ["crashes", "--burden", "files", "--burden", "operations", "--dir", str(room), "--record", str(record)]
    done = campaign(*few, "--rounds", "1")
    assert "2 checks after 1 kills: 1 files, 1 operations" in done.stdout, done.stdout + done.stderr
    first = record.read_text()
    done = campaign(*few, "--rounds", "2")
    assert "4 checks after 2 kills: 2 files, 2 operations" in done.stdout, done.stdout + done.stderr
    assert re.search("[012] restore views of it showed all that was held", done.stdout)
    assert "nothing that was synced is lost" in done.stdout
    assert not list(room.iterdir())
    assert record.read_text().startswith(first)

    record.write_text(first + json.dumps(json.loads(first) | {"broken": "a file is gone"}) + "\n")
    done = campaign(*few, "--rounds", "2")
    assert done.returncode == 1
    assert "broken at kill 2: a file is gone" in done.stdout


def test_outages_of_power(tmp_path: Path) -> None:
    record = tmp_path / "record"
    done = campaign("outages", "--rounds", "2", "--dir", str(tmp_path), "--record", str(record))
    assert re.search(r"2 outages: (2|1 of \w.*, 1) of (all|the owner|a partner)\n", done.stdout), done
    assert re.search(r"\d checks: .*2 history", done.stdout)
    assert "nothing that was synced is lost" in done.stdout
    assert all(json.loads(line)["broken"] == "" for line in record.read_text().splitlines())
    assert list(tmp_path.iterdir()) == [record]


def test_losses_and_takeovers(tmp_path: Path) -> None:
    record = tmp_path / "record"
    done = campaign("losses", "--rounds", "1", "--dir", str(tmp_path), "--record", str(record))
    assert re.search("1 losses and takeovers: (1 with one partner, 0|0 with one partner, 1) with two\n", done.stdout)
    assert re.search("[01] of the takeovers while a partner was away", done.stdout)
    assert re.search("10 checks: 2 history, 2 operations, 2 git, 2 sqlite, 2 (restic|borg)", done.stdout), done
    assert done.returncode == 0
    checks = json.loads(record.read_text())["checks"]
    always = {"history": 2, "operations": 2, "git": 2, "sqlite": 2}
    assert checks in (always | {kind: 2} for kind in ("restic", "borg"))
    assert list(tmp_path.iterdir()) == [record]


def test_a_broken_round_is_recorded_with_the_end_of_the_log(tmp_path: Path) -> None:
    record, room, bin_ = tmp_path / "record", tmp_path / "room", tmp_path / "bin"
    room.mkdir()
    bin_.mkdir()
    for name in ("restic", "borg"):  # that find a fault
        program = bin_ / name
        check = 'case " $* " in *" check "*) echo it is rotten; exit 1 ;; esac'
        program.write_text(f'#!/bin/sh\n{check}\nexec {shutil.which(name)} "$@"\n')
        program.chmod(0o755)
    path = f"{bin_}{os.pathsep}{os.environ['PATH']}"
    done = campaign("losses", "--rounds", "2", "--dir", str(room), "--record", str(record), path=path)
    assert done.returncode == 1, done
    (broken,) = (line for line in done.stdout.splitlines() if line.startswith("broken at loss 1: "))
    assert re.search(r"exit status 1 \| it is rotten; .*; the log of the owner ends: \d{4}-\d\d-\d\d ", broken)
    assert json.loads(record.read_text())["broken"] in broken
    assert not list(room.iterdir())


def test_a_command_that_hangs_breaks_a_round(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands, "TIMEOUT", 0.001)
    with pytest.raises(AssertionError, match=r" status: hangs after 0.001 seconds; it has said: $"):
        commands.coopfs("status")


def test_bad_networks_do_no_harm(tmp_path: Path) -> None:
    few = ["--trouble", "offline", "--trouble", "loss", "--longest", "10"]
    done = campaign("networks", "--rounds", "2", *few, "--dir", str(tmp_path))
    assert "nothing was lost, and all was told\n" in done.stdout, done
    assert "offline: 1 times, " in done.stdout
    assert "loss: 1 times, " in done.stdout
    assert done.returncode == 0
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("crashes", "--burden", "frob"), "'frob' is not one of"),
        (("crashes", "--rounds", "0"), "0 is not in the range"),
        (("losses", "--record", __file__), "is not the record of such a campaign"),
        (("losses", "--rounds", "many"), "'many' is not a valid"),
        (("outages", "--record", __file__), "is not the record of such a campaign"),
        (("networks", "--trouble", "rain"), "'rain' is not one of"),
    ],
)
def test_wrong_arguments(arguments: tuple[str, ...], words: str) -> None:
    done = campaign(*arguments)
    assert done.returncode == 2
    assert words in done.stderr
