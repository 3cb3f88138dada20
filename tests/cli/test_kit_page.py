"""A kit on paper: what a real decoder reads off the printed page is a kit again."""

import re
from pathlib import Path

import pytest
import zxingcpp

from coopfs.cli.kitpage import codes, page
from coopfs.cli.main import cli
from coopfs.cli.run import run
from coopfs.core.keys import make_keys
from coopfs.core.kit import Kit, KitDisk, KitPartner, from_text, to_text
from coopfs.core.master import Floor
from coopfs.types import NodeKey
from tests.cli.fake_daemon import answering, result

Captured = pytest.CaptureFixture[str]
DOT = 3  # pixels of one dot
MARGIN = 4  # dots around a code


def kit(partners: int) -> Kit:
    names = tuple(
        KitPartner(NodeKey(bytes([j]) * 32), f"partner{j}", (f"partner{j}.example.org:7530", f"192.0.2.{j}:7530"))
        for j in range(partners)
    )
    disk = KitDisk(make_keys(b"r" * 32, b"s" * 32), Floor(1 << 48 | 9, 1_700_000_000))
    return Kit("attic", b"i" * 32, (disk,), names, 1_700_000_000)


def draw(svg: str) -> memoryview:
    """The picture of a code: strokes of one dot, as its path says."""
    size = int(re.search(r'viewBox="0 0 (\d+) \1"', svg)[1])  # type: ignore[index]
    dots = [bytearray(b"\xff" * size) for _ in range(size)]
    x, y = 0, 0.0
    for command, first, second in re.findall(r"([Mmh])(-?[\d.]+)(?: (-?[\d.]+))?", svg.split(' d="')[1].split('"')[0]):
        if command == "h":
            dots[int(y)][x : x + int(first)] = bytes(int(first))
            x += int(first)
        else:
            x = int(first) + (x if command == "m" else 0)
            y = float(second) + (y if command == "m" else 0)
    rows = [bytes(value for value in row for _ in range(DOT)) for row in dots for _ in range(DOT)]
    return memoryview(b"".join(rows)).cast("B", (size * DOT, size * DOT))


def scan(html: str) -> str:
    """What somebody gets who reads the codes of a page one after the other into a file."""
    pictures = re.findall(r"<svg.*?</svg>", html, re.DOTALL)
    texts = []
    for picture in pictures:
        (found,) = zxingcpp.read_barcodes(draw(picture))
        texts.append(found.text)
    return "".join(texts)


@pytest.mark.parametrize(("partners", "number"), [(2, 1), (8, 2), (62, 12)])
def test_the_codes_of_a_page_are_the_kit(partners: int, number: int) -> None:
    text = to_text(kit(partners), "today")
    html = page(text)
    assert html.count("<figure>") == len(codes(text)) == number
    assert f"1 of {number}: lines 01 to" in html
    assert from_text(scan(html)) == kit(partners)
    assert all(line in html for line in text.splitlines() if not line.startswith("#"))


def test_names_cannot_break_out_of_the_page() -> None:
    one = kit(1)
    html = page(to_text(Kit("a<b>", one.identity, one.disks, one.partners, 1), "<script>"))
    assert "<script>" not in html
    assert "a&lt;b&gt;" in html


def test_the_page_is_written_beside_the_text(tmp_path: Path, capsys: Captured) -> None:
    text = to_text(kit(8), "today")
    with answering(tmp_path / "home", [result(text=text)]):
        target = str(tmp_path / "kit.txt")
        assert run(cli, "coopfs", ["--home", str(tmp_path / "home"), "kit", "export", target, "--qr"]) == 0
    assert (tmp_path / "kit.txt").read_text() == text
    written = tmp_path / "kit.txt.html"
    assert written.stat().st_mode & 0o777 == 0o600
    (tmp_path / "scanned").write_text(scan(written.read_text()))
    assert run(cli, "coopfs", ["kit", "show", str(tmp_path / "scanned")]) == 0
    assert "partner7.example.org:7530" in capsys.readouterr().out


def test_nothing_is_written_when_the_page_is_there_already(tmp_path: Path, capsys: Captured) -> None:
    (tmp_path / "kit.txt.html").write_text("old")
    with answering(tmp_path / "home", [result(text=to_text(kit(1), "today"))]):
        target = str(tmp_path / "kit.txt")
        assert run(cli, "coopfs", ["--home", str(tmp_path / "home"), "kit", "export", target, "--qr"]) == 2
    assert "kit.txt.html is there already" in capsys.readouterr().err
    assert not (tmp_path / "kit.txt").exists()
    assert (tmp_path / "kit.txt.html").read_text() == "old"
