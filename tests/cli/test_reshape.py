"""Another layout for the disk, at the command line: what is asked of the daemon, and what is said of it."""

from pathlib import Path

import pytest

from coopfs.cli.main import cli
from coopfs.cli.run import run
from coopfs.cli.words import reshaping
from tests.cli.fake_daemon import answering, error, result

Captured = pytest.CaptureFixture[str]


def test_it_is_asked_for(tmp_path: Path, capsys: Captured) -> None:
    words = ["reshape", "--data", "3", "--redundancy", "2", "--with", "eve", "--with", "fay", "--without", "bob"]
    with answering(tmp_path, [result(rows=100)]) as requests:
        assert run(cli, "coopfs", ["--home", str(tmp_path), *words]) == 0
    assert requests[0]["call"] == "reshape"
    assert requests[0]["args"] == {"data": 3, "redundancy": 2, "add": ["eve", "fay"], "leave_out": ["bob"]}
    said = capsys.readouterr().out
    assert "moves to 3+2 when all its partners are ready" in said
    assert "export a new kit" in said


def test_it_is_taken_back(tmp_path: Path, capsys: Captured) -> None:
    with answering(tmp_path, [result()]) as requests:
        assert run(cli, "coopfs", ["--home", str(tmp_path), "reshape", "--cancel"]) == 0
    assert requests[0]["call"] == "reshape_cancel"
    assert capsys.readouterr().out == "the disk stays as it is\n"


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--data", "3"], "--data and --redundancy are needed"),
        (["--cancel", "--with", "eve"], "goes with none of the other options"),
        (["--data", "0", "--redundancy", "1"], "--data"),
    ],
)
def test_what_makes_no_sense_asks_the_node_for_nothing(
    tmp_path: Path, capsys: Captured, words: list[str], why: str
) -> None:
    with answering(tmp_path) as requests:
        assert run(cli, "coopfs", ["--home", str(tmp_path), "reshape", *words]) == 2
    assert not requests
    assert why in capsys.readouterr().err


def test_a_refusal_is_one_line(tmp_path: Path, capsys: Captured) -> None:
    with answering(tmp_path, [error("the disk is 2+1 on these partners already", 2)]):
        command = ["--home", str(tmp_path), "reshape", "--data", "2", "--redundancy", "1"]
        assert run(cli, "coopfs", command) == 2
    assert capsys.readouterr().err == "coopfs: the disk is 2+1 on these partners already\n"


def test_status_says_who_is_waited_for() -> None:
    told = reshaping({"k": 3, "m": 2, "used": False, "waits_for": "eve: not reached", "rows_left": 0})
    assert "getting ready to be 3+2" in told
    assert "eve: not reached" in told
