"""The README's first command, on a tree that is small."""

from pathlib import Path

import pytest

from coopfs.demo import mounts
from tests.e2e.commands import coopfs, well


@pytest.mark.slow
def test_find_partners_back_up_lose_restore_compare(tmp_path: Path) -> None:
    tree, work = tmp_path / "tree", tmp_path / "work"
    (tree / "empty").mkdir(parents=True)
    (tree / "file").write_bytes(bytes(range(256)) * 1000)
    said = well(coopfs("demo", "--dir", work, tree)).out
    assert "an owner found 8 partners by a matching server" in said
    assert "3 entries: every byte and attribute is the same" in said
    assert not work.exists()
    assert not mounts.is_mounted(work / "mnt")
