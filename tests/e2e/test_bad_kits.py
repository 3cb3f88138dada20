"""Kits that are wrong, damaged or mistyped: the line is named, nothing is touched."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from coopfs.core.keys import make_keys
from coopfs.core.kit import Kit, KitDisk, KitPartner, from_text, to_text
from coopfs.core.master import Floor
from tests.e2e.commands import coopfs
from tests.e2e.world import World


def _text() -> str:
    """A kit as good as any: nobody needs to be asked to find it damaged."""
    partners = tuple(KitPartner(bytes([n]) * 32, f"partner{n}", (f"127.0.0.1:{n}",)) for n in range(1, 9))  # type: ignore[arg-type]
    disk = KitDisk(make_keys(b"r" * 32, b"s" * 32), Floor(1 << 48, 1_700_000_000))
    return to_text(Kit("alice", b"i" * 32, (disk,), partners, 1_700_000_000), "2026-01-01")


def _data_lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if not line.startswith("#")]


def _in_line(number: int, change: Callable[[str], str]) -> str:
    lines = _data_lines(_text())
    lines[number - 1] = change(lines[number - 1])
    return "\n".join(lines) + "\n"


def _without(number: int) -> str:
    lines = _data_lines(_text())
    return "\n".join(lines[: number - 1] + lines[number:])


def _swap_letters(line: str) -> str:
    number, *groups, check = line.split()
    other = "0" if groups[2][0] != "0" else "1"
    return " ".join([number, *groups[:2], other + groups[2][1:], *groups[3:], check])


WRONG = {
    "mistyped letter": (_in_line(3, _swap_letters), "line 3 .* mistyped"),
    "letter that kits lack": (_in_line(5, lambda line: line.replace(line[-1], "U")), "line 5 .* does not occur"),
    "letter left out": (_in_line(7, lambda line: line[:6] + line[7:]), "line 7 "),
    "line left out": (_without(4), "line 4 .* missing"),
    "last lines missing": ("\n".join(_data_lines(_text())[:5]), "not whole"),
    "no number": (_in_line(2, lambda line: line[2:]), "line 2 .* number"),
    "two lines swapped": (
        "\n".join([*_data_lines(_text())[1::-1], *_data_lines(_text())[2:]]),
        "line 1 .* out of order",
    ),
    "something else": ("dear diary\n", "line 1"),
    "empty": ("", "no data lines"),
}


@pytest.mark.parametrize("name", WRONG)
def test_the_line_is_named(name: str, tmp_path: Path) -> None:
    text, words = WRONG[name]
    (tmp_path / "kit").write_text(text)
    said = coopfs("kit", "show", tmp_path / "kit")
    assert said.code == 4
    assert re.search(words, said.line)


@pytest.mark.parametrize("command", ["mount", "copy"])
def test_a_mistyped_kit_restores_nothing(command: str, tmp_path: Path) -> None:
    (tmp_path / "kit").write_text(WRONG["mistyped letter"][0])
    (tmp_path / "target").mkdir()
    said = coopfs("restore", command, tmp_path / "kit", tmp_path / "target")
    assert said.code == 4
    assert "line 3 " in said.line
    assert not list((tmp_path / "target").iterdir())


@pytest.mark.parametrize("command", ["mount", "copy"])
def test_files_that_are_no_kit(command: str, tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.mkdir()
    binary = tmp_path / "binary"
    binary.write_bytes(b"\n\n\xff\xfe")
    for kit, words in ((tmp_path / "missing", "No such file"), (tmp_path, "directory"), (binary, "line 3 is not text")):
        said = coopfs("restore", command, kit, target)
        assert said.code == 4
        assert words in said.line


def test_small_letters_and_lookalikes_are_understood(tmp_path: Path) -> None:
    """Typed back from paper by somebody who does not care."""
    typed = "\n".join(line.lower().replace("0", "o").replace("1", "l") for line in _data_lines(_text()))
    numbers = [line.split()[0] for line in _data_lines(_text())]
    lines = [" ".join([number, *line.split()[1:]]) for number, line in zip(numbers, typed.splitlines(), strict=True)]
    (tmp_path / "kit").write_text("my kit\n".replace("my", "#") + "\n\n".join(lines))
    said = coopfs("kit", "show", tmp_path / "kit")
    assert said.code == 0
    assert "partner8" in said.out


def test_the_kit_of_another_disk(world: World, tmp_path: Path) -> None:
    """Right partners, wrong disk: they know nothing of it, and the disk that is theirs is not touched."""
    owner = world.owner("karl", data=1, redundancy=1, partners=("p1", "p2"))
    (owner.mount() / "a").write_text("a")
    owner.sync(complete=True)
    owner.export_kit()
    mine = from_text(owner.kit.read_text())
    other_disk = Kit(
        mine.name, mine.identity, (KitDisk(make_keys(b"r" * 32, b"s" * 32), Floor(0, 0)),), mine.partners, 1
    )
    other_node = Kit("eve", b"e" * 32, mine.disks, mine.partners, 1)
    for wrong in (other_disk, other_node):
        (tmp_path / "wrong").write_text(to_text(wrong, "today"))
        said = coopfs("restore", "copy", tmp_path / "wrong", tmp_path / "copy")
        assert said.code == 9
        assert "none of 2 partners gives a master block" in said.line
    assert (owner.mount_point / "a").read_text() == "a"
    assert owner.status()["margin"] == 1


def test_one_that_was_not_written_is_nobodys(world: World, tmp_path: Path) -> None:
    """The node relies on whom the kit names that its owner has, and on no other."""
    owner = world.owner("kuno", data=1, redundancy=1, partners=("p1", "p2"))
    there = tmp_path / "kit"
    there.write_text("of before")
    said = coopfs("kit", "export", there, home=owner.home)
    assert "is there already" in said.line
    assert (there.read_text(), owner.status()["kit"]) == ("of before", None)
    there.unlink()
    assert coopfs("kit", "export", there, home=owner.home).code == 0
    assert owner.status()["kit"]["holders"] == 2
