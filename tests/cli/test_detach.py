"""What a daemon that did not start has said last."""

from pathlib import Path

import pytest

from coopfs.cli.detach import last_words


@pytest.mark.parametrize(
    ("log", "words"),
    [
        (b"", "it said nothing"),
        (b"hello\ncoopfs: the port is in use\n\n", "the port is in use"),
        (b"x" * 10_000 + b"\nNameError: x", "NameError: x"),
        (b"  | NameError: name 'x' is not defined\n  +------------------------------------\n", "NameError: name 'x'"),
        (b"\xff\xfe", "\ufffd\ufffd"),
    ],
)
def test_the_last_line_that_says_something_is_reported(tmp_path: Path, log: bytes, words: str) -> None:
    (tmp_path / "log").write_bytes(log)
    assert last_words(tmp_path / "log").startswith(words)


def test_a_log_that_is_not_there_is_no_second_error(tmp_path: Path) -> None:
    assert "cannot be read" in last_words(tmp_path / "log")
