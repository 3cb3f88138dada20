"""A new key, at the command line: asked for, and taken into use only by a kit that was written."""

from pathlib import Path
from typing import Any

import pytest

from coopfs.cli.main import cli
from coopfs.cli.run import run
from coopfs.cli.words import disk_sentences
from coopfs.core.kit import to_text
from tests.cli.fake_daemon import answering, error, result
from tests.cli.test_kit_page import kit
from tests.cli.test_words import DISK, NOW

Captured = pytest.CaptureFixture[str]
EXPORTED = result(text=to_text(kit(2), "today"), key=2, date=7)


@pytest.mark.parametrize("everything", [False, True])
def test_a_key_is_asked_for(tmp_path: Path, capsys: Captured, everything: bool) -> None:
    command = ["--home", str(tmp_path), "rekey", *(["--all"] if everything else [])]
    with answering(tmp_path, [result(key=2)]) as requests:
        assert run(cli, "coopfs", command) == 0
    assert requests[0]["call"] == "rekey"
    assert requests[0]["args"] == {"everything": everything}
    assert "key 2 is used as soon as a kit has it" in capsys.readouterr().out


def test_a_refusal_is_one_line(tmp_path: Path, capsys: Captured) -> None:
    with answering(tmp_path, [error("key 2 waits for a kit already", 2)]):
        assert run(cli, "coopfs", ["--home", str(tmp_path), "rekey"]) == 2
    assert capsys.readouterr().err == "coopfs: key 2 waits for a kit already\n"


@pytest.mark.parametrize("target", ["kit", "-"])
def test_the_node_hears_of_a_kit_when_it_is_written(tmp_path: Path, target: str) -> None:
    file = target if target == "-" else str(tmp_path / target)
    with answering(tmp_path, [EXPORTED], [result()]) as requests:
        assert run(cli, "coopfs", ["--home", str(tmp_path), "kit", "export", file]) == 0
    assert [request["call"] for request in requests] == ["kit_export", "kit_written"]
    assert requests[1]["args"] == {"key": 2, "date": 7}


def test_the_node_does_not_hear_of_one_that_is_not_written(tmp_path: Path) -> None:
    (tmp_path / "kit").write_text("of before")
    with answering(tmp_path, [EXPORTED]) as requests:
        assert run(cli, "coopfs", ["--home", str(tmp_path), "kit", "export", str(tmp_path / "kit")]) == 2
    assert len(requests) == 1


def test_a_passphrase_that_is_none_asks_the_node_for_nothing(tmp_path: Path) -> None:
    (tmp_path / "phrase").write_text("\n")
    words = ["kit", "export", "--passphrase-file", str(tmp_path / "phrase"), str(tmp_path / "kit")]
    with answering(tmp_path) as requests:
        assert run(cli, "coopfs", ["--home", str(tmp_path), *words]) == 2
    assert not requests


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({"waits_for": "bob must be told"}, "key 3 is not used yet: bob must be told"),
        ({}, "key 3 seals what is written now; what was written before still needs key 1, 2"),
        ({"bytes_left": 3 << 20}, "3.0 MiB of what key 1, 2 sealed are still to be written again"),
    ],
)
def test_status_tells_of_a_new_key(told: dict[str, Any], said: str) -> None:
    keys = {"newest": 3, "older": [1, 2], "waits_for": None, "bytes_left": None} | told
    sentences = disk_sentences(DISK | {"keys": keys}, NOW)
    assert any(said in sentence for sentence in sentences)
