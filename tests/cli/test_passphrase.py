"""Kits with a passphrase: chosen twice, read from a file, asked for on a terminal, and told apart when wrong."""

import os
import pty
import subprocess
from pathlib import Path

import pytest

from coopfs.cli.detach import COOPFS
from coopfs.cli.main import cli
from coopfs.cli.run import run
from coopfs.core.kit import to_sealed_text, to_text
from coopfs.core.kitseal import Cost
from tests.cli.fake_daemon import answering, result
from tests.cli.test_kit_page import kit

Captured = pytest.CaptureFixture[str]
CHEAP = Cost(passes=1, memory=8)


@pytest.fixture
def sealed(tmp_path: Path) -> str:
    """The name of a kit with the passphrase "correct horse"."""
    file = tmp_path / "sealed"
    file.write_text(to_sealed_text(kit(2), "today", "correct horse", bytes(16), CHEAP))
    return str(file)


def phrase(tmp_path: Path, content: bytes) -> str:
    file = tmp_path / "phrase"
    file.write_bytes(content)
    return str(file)


@pytest.mark.parametrize("content", [b"correct horse", b"correct horse\n", b"correct horse\r\nsecond line\n"])
def test_the_first_line_of_a_file_is_the_passphrase(
    content: bytes, sealed: str, tmp_path: Path, capsys: Captured
) -> None:
    assert run(cli, "coopfs", ["kit", "show", sealed, "--passphrase-file", phrase(tmp_path, content)]) == 0
    assert "partner1" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("content", "code", "words"),
    [
        (b"wrong horse", 4, "not the passphrase of this kit"),
        (b"", 2, "1 to 1024 bytes"),
        (b"\n", 2, "1 to 1024 bytes"),
        (b"\xff\xfe", 2, "not UTF-8"),
        (b"a" * 5000, 2, "1 to 1024 bytes"),
    ],
)
def test_a_wrong_passphrase_is_one_line(
    content: bytes, code: int, words: str, sealed: str, tmp_path: Path, capsys: Captured
) -> None:
    assert run(cli, "coopfs", ["kit", "show", sealed, "--passphrase-file", phrase(tmp_path, content)]) == code
    shown = capsys.readouterr()
    assert words in shown.err
    assert shown.err.count("\n") == 1
    assert shown.out == ""


@pytest.mark.parametrize("command", [["kit", "show"], ["restore", "copy"], ["restore", "mount", "--foreground"]])
def test_without_a_terminal_every_command_says_how_to_give_it(
    command: list[str], sealed: str, tmp_path: Path, capsys: Captured
) -> None:
    arguments = [sealed] if command[0] == "kit" else [sealed, str(tmp_path / "target")]
    assert run(cli, "coopfs", [*command, *arguments]) == 4
    assert "give it with --passphrase-file" in capsys.readouterr().err
    missing = [*command, *arguments, "--passphrase-file", str(tmp_path / "missing")]
    assert run(cli, "coopfs", missing) == 2
    assert "missing cannot be read: No such file" in capsys.readouterr().err
    assert not (tmp_path / "target").exists()


def test_export_seals_with_the_passphrase_of_a_file(tmp_path: Path, capsys: Captured) -> None:
    home, target, secret = tmp_path / "home", str(tmp_path / "kit"), phrase(tmp_path, b"secret\n")
    with answering(home, [result(text=to_text(kit(2), "today"))]):
        arguments = ["--home", str(home), "kit", "export", target, "--passphrase-file", secret]
        assert run(cli, "coopfs", arguments) == 0
    assert "partner" not in Path(target).read_text()
    capsys.readouterr()
    assert run(cli, "coopfs", ["kit", "show", target, "--passphrase-file", secret]) == 0
    assert "partner1" in capsys.readouterr().out


def test_export_takes_one_passphrase(tmp_path: Path, capsys: Captured) -> None:
    secret = phrase(tmp_path, b"secret")
    assert run(cli, "coopfs", ["kit", "export", "x", "--passphrase", "--passphrase-file", secret]) == 2
    assert "exclude each other" in capsys.readouterr().err
    assert run(cli, "coopfs", ["kit", "export", "x", "--passphrase"]) == 2
    assert "no terminal to ask" in capsys.readouterr().err


def on_terminal(arguments: list[str], *typed: tuple[bytes, bytes]) -> tuple[int, str]:
    """Run coopfs on a terminal of its own; typed: (what to wait for, what to type then). Its exit code and output."""
    master, slave = pty.openpty()
    process = subprocess.Popen([*COOPFS, *arguments], stdin=slave, stdout=slave, stderr=slave, start_new_session=True)
    os.close(slave)
    seen, mark = b"", 0
    try:
        for prompt, answer in typed:
            while prompt not in seen[mark:]:
                seen += os.read(master, 4096)
            mark = len(seen)
            os.write(master, answer + b"\n")
        while part := _read(master):
            seen += part
        return process.wait(60), seen.decode()
    finally:
        process.kill()
        process.wait()
        os.close(master)


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 4096)
    except OSError:  # the last one at the other end has left
        return b""


@pytest.mark.slow
def test_on_a_terminal_it_is_asked_for(sealed: str, tmp_path: Path) -> None:
    code, shown = on_terminal(["kit", "show", sealed], (b"Passphrase of the kit: ", b"correct horse"))
    assert code == 0
    assert "partner1" in shown
    assert "correct horse" not in shown
    home, target = tmp_path / "home", str(tmp_path / "kit")
    with answering(home, [result(text=to_text(kit(2), "today"))]):
        code, shown = on_terminal(
            ["--home", str(home), "kit", "export", target, "--passphrase"],
            (b"Passphrase for the kit: ", b"one"),
            (b"Repeat for confirmation: ", b"another"),
            (b"Passphrase for the kit: ", b"secret"),
            (b"Repeat for confirmation: ", b"secret"),
        )
    assert code == 0
    assert "do not match" in shown
    secret = phrase(tmp_path, b"secret")
    assert run(cli, "coopfs", ["kit", "show", target, "--passphrase-file", secret]) == 0
