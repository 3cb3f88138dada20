"""The file with a disk's keys: written in one piece, read strictly."""

from pathlib import Path

import pytest

from coopfs.core.keys import ReadKey, keys_of
from coopfs.errors import StateError
from coopfs.local import keyfile

KEYS = keys_of((ReadKey(2, b"a" * 32), ReadKey(7, b"b" * 32)), b"s" * 32)
TEXT = f"read 2 {'61' * 32}\nread 7 {'62' * 32}\nsigning {'73' * 32}\n"


def test_golden_vector_and_round_trip(tmp_path: Path) -> None:
    keyfile.write(tmp_path, KEYS)
    file = tmp_path / keyfile.NAME
    assert file.read_text() == TEXT
    assert file.stat().st_mode & 0o777 == 0o600
    assert keyfile.read(tmp_path) == KEYS


def test_it_takes_the_place_of_one_that_is_there_and_of_what_a_crash_left(tmp_path: Path) -> None:
    keyfile.write(tmp_path, keys_of(KEYS.secrets[:1], b"s" * 32))
    (tmp_path / "keys.new").write_text("read 2 61")
    keyfile.write(tmp_path, KEYS)
    assert keyfile.read(tmp_path) == KEYS
    assert [path.name for path in tmp_path.iterdir()] == [keyfile.NAME]


@pytest.mark.parametrize(
    "text",
    [
        "",
        TEXT.replace("signing", "sealing"),
        TEXT.replace("read 2", "write 2"),
        TEXT.replace("read 2", "read 0"),
        TEXT.replace("read 2", "read 8"),
        TEXT.replace("read 7", "read 65536"),
        TEXT.replace("62" * 32, "62" * 31),
        TEXT.replace("62" * 32, "zz" * 32),
        TEXT.splitlines()[-1],
        TEXT[: TEXT.rindex("signing")],
        TEXT.replace(f"signing {'73' * 32}", f"signing {'73' * 31}"),
        TEXT + "more\n",
        "\xff",
    ],
)
def test_a_damaged_one_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / keyfile.NAME).write_bytes(text.encode("latin-1"))
    with pytest.raises(StateError, match=r"keys .* are missing or damaged"):
        keyfile.read(tmp_path)


def test_one_that_is_missing_is_told(tmp_path: Path) -> None:
    with pytest.raises(StateError, match="missing"):
        keyfile.read(tmp_path)


def test_one_that_cannot_be_read_is_no_reason_for_a_takeover(tmp_path: Path) -> None:
    (tmp_path / keyfile.NAME).mkdir()
    with pytest.raises(StateError, match=r"cannot be read: Is a directory$"):
        keyfile.read(tmp_path)
