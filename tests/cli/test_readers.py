"""Kits that can only read, at the command line."""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from coopfs.cli.main import cli
from coopfs.cli.run import run
from coopfs.core.kit import to_text
from tests.cli.fake_daemon import answering, result
from tests.cli.test_kit_page import kit

Captured = pytest.CaptureFixture[str]

READERS: list[dict[str, Any]] = [
    {"reader": "ab" * 32, "revoked": False, "until": None, "told": 3, "partners": 4, "older": True},
    {
        "reader": "cd" * 32,
        "revoked": False,
        "until": "2030-01-02 03:04:05 UTC",
        "told": 4,
        "partners": 4,
        "older": False,
    },
    {"reader": "ef" * 32, "revoked": True, "until": None, "told": 1, "partners": 4, "older": False},
]


def test_the_last_day_counts_whole(tmp_path: Path, capsys: Captured) -> None:
    target = str(tmp_path / "kit")
    arguments = ["--home", str(tmp_path / "home"), "kit", "export", "--read-only", "--until", "2099-12-31", target]
    with answering(tmp_path / "home", [result(text=to_text(kit(2), "today"), told=1, partners=2)]) as requests:
        assert run(cli, "coopfs", arguments) == 0
    assert requests[0]["args"] == {"read_only": True, "until": int(datetime(2100, 1, 1).timestamp())}
    assert "1 of 2 partners know it; the others are told when they are reached" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--until", "2099-12-31"], "--until is for --read-only kits"),
        (["--read-only", "--until", "1999-12-31"], "--until is a day that is over"),
        (["--read-only", "--until", "tomorrow"], "Invalid value for '--until'"),
    ],
)
def test_days_that_make_no_sense_are_refused(options: list[str], words: str, tmp_path: Path, capsys: Captured) -> None:
    assert run(cli, "coopfs", ["--home", str(tmp_path), "kit", "export", *options, str(tmp_path / "kit")]) == 2
    assert words in capsys.readouterr().err
    assert not (tmp_path / "kit").exists()


def test_readers_are_listed(tmp_path: Path, capsys: Captured) -> None:
    command = ["--home", str(tmp_path), "kit", "readers"]
    with answering(tmp_path, [result(readers=READERS)], [result(readers=READERS)], [result(readers=[])]):
        assert run(cli, "coopfs", command) == 0
        shown = capsys.readouterr().out
        assert run(cli, "coopfs", [*command, "--json"]) == 0
        assert json.loads(capsys.readouterr().out) == READERS
        assert run(cli, "coopfs", command) == 0
        assert "no read-only kit is in force" in capsys.readouterr().out
    for words in ("abababababab", "for ever", "2030-01-02", "revoked", "3 of 4", "older", "newest"):
        assert words in shown
