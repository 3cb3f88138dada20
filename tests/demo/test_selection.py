"""What the demo backs up is the same each time, and within bounds."""

from pathlib import Path

import pytest

from coopfs.demo import selection
from coopfs.errors import UsageError


def fill(directory: Path, sizes: list[int]) -> None:
    directory.mkdir()
    for number, size in enumerate(sizes):
        (directory / str(number)).write_bytes(bytes(size))


@pytest.fixture
def share(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "share"
    root.mkdir()
    fill(root / "many", [1] * 20)
    fill(root / "large", [600])
    fill(root / "too large", [2000])
    fill(root / "small", [300, 50])
    monkeypatch.setattr(selection, "DEFAULT_ROOT", root)
    monkeypatch.setattr(selection, "DEFAULT_BYTES", 1000)
    monkeypatch.setattr(selection, "DEFAULT_ENTRIES", 10)
    return root


def test_the_default_is_as_much_as_fits_both_bounds(share: Path) -> None:
    chosen = selection.choose(None)
    assert chosen == selection.Selection((share / "large", share / "small"), entries=5, size=950)
    assert selection.choose(None) == chosen


def test_a_named_directory_is_taken_whole(share: Path) -> None:
    assert selection.choose(share / "many") == selection.Selection((share / "many",), entries=21, size=20)


def test_links_are_counted_not_followed(share: Path) -> None:
    (share / "small" / "link").symlink_to(share / "large")
    assert selection.choose(share / "small").entries == 4


def test_another_name_of_a_directory_is_its_own(share: Path) -> None:
    assert selection.choose(share / "many" / ".." / "large").sources == (share / "large",)


@pytest.mark.parametrize("name", ["absent", "many/0"])
def test_what_is_no_directory_is_refused(share: Path, name: str) -> None:
    with pytest.raises(UsageError, match="is not a directory"):
        selection.choose(share / name)


def test_the_whole_machine_is_refused() -> None:
    with pytest.raises(UsageError, match="not take / as a whole"):
        selection.choose(Path("/"))
