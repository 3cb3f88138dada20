"""contrib/campaign, cut short."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import coopfs

CONTRIB = Path(coopfs.__file__).parent.parent / "contrib"


def campaign(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, CONTRIB / "campaign", *arguments]
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_a_campaign_goes_on_and_a_line_can_be_replayed(tmp_path: Path) -> None:
    record = tmp_path / "record"
    few = ["lives", "--geometry", "1+1", "--from", "9", "--jobs", "2", "--record", record]
    assert campaign(*few, "--lives", "1").returncode == 0
    first = record.read_text()
    with record.open("a") as torn:
        torn.write('{"subject"')  # what was being written when it was stopped
    done = campaign(*few, "--lives", "2")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 lives: 2 1+1 promised" in done.stdout
    assert "no promise was broken" in done.stdout
    assert record.read_text().startswith(first)
    line = json.loads(first)
    assert len(record.read_text().splitlines()) == 2
    assert line["counts"]["held_bytes"] > 0

    again = campaign("replay", "9", "1+1")
    assert again.returncode == 0
    assert f"{line['steps']} steps, course {line['trace']}" in again.stdout
    shorter = campaign("replay", "9", "1+1", "--without", "5-20,22")
    assert shorter.returncode == 0
    assert line["trace"] not in shorter.stdout


@pytest.mark.slow
def test_full_disks_are_travelled_once_and_told(tmp_path: Path) -> None:
    record = tmp_path / "record"
    wanted = ["--road", "data", "--rounds", "2", "--days", "0", "--jobs", "1", "--record", str(record)]
    assert campaign("full", *wanted).returncode == 0
    first = record.read_text()
    with record.open("a") as file:  # a road that ended early is travelled again
        file.write(first.replace('"data"', '"cap"').replace('"broken": ""', '"broken": "Stuck: in the mud"'))
    done = campaign("full", *wanted, "--road", "cap")
    assert done.returncode == 0, done.stdout + done.stderr
    assert record.read_text().startswith(first)
    assert [json.loads(line)["journey"]["road"] for line in record.read_text().splitlines()] == ["data", "cap", "cap"]
    for road in ("data", "cap"):
        assert re.search(rf"│ {road} +│ +2 │.*│ well │", done.stdout)
    assert "never stuck, and deleting always worked" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["full", "--road", "uphill"], "'uphill' is not one of"),
        (["lives", "--geometry", "0+1"], "0+1 is not a geometry such as 2+1"),
        (["replay", "1", "1+1", "--without", "3-x"], "3-x are not steps such as 0-3,7"),
        (["lives", "--record", "/dev/null/record"], "Not a directory"),
        (["lives", "--record", __file__], "is not the record of such a campaign"),
    ],
)
def test_what_cannot_be_lived_is_one_line(arguments: list[str], complaint: str) -> None:
    done = campaign(*arguments)
    assert done.returncode == 2
    assert complaint in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("needed", [{3}, {0, 99}, {10, 11, 12}, set()])
def test_what_a_failure_needs_is_found(monkeypatch: pytest.MonkeyPatch, needed: set[int]) -> None:
    monkeypatch.syspath_prepend(CONTRIB)
    from campaignlib.shrink import parse, shrink, write

    tried = []

    def fails(without: frozenset[int]) -> bool:
        tried.append(without)
        return not needed & without

    without = shrink(100, fails)
    assert without == set(range(100)) - needed
    assert parse(write(without)) == without
    assert len(tried) < 250


@pytest.mark.slow
def test_a_season_of_a_village_is_lived_once_and_told(tmp_path: Path) -> None:
    record = tmp_path / "record"
    few = ["villages", "--seed", "3", "--houses", "4", "--days", "5", "--jobs", "1", "--record", record]
    done = campaign(*few)
    assert done.returncode == 0, done.stdout + done.stderr
    first = record.read_text()
    assert json.loads(first)["counts"]["format"] > 0
    assert "no promise was broken" in done.stdout
    assert campaign(*few).stdout == done.stdout
    assert record.read_text() == first
