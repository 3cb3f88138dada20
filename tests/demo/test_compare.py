"""The comparison finds every kind of difference, and nothing where there is none."""

import os
import shutil
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from coopfs.demo.compare import CHUNK, Comparison, compare


def make_tree(top: Path) -> None:
    (top / "dir" / "empty").mkdir(parents=True)
    (top / "dir" / "file").write_bytes(b"content")
    (top / "dir" / "large").write_bytes(bytes(CHUNK) + b"end")
    (top / "dir" / "nothing").touch()
    (top / "script").write_text("#!/bin/sh\n")
    (top / "script").chmod(0o755)
    (top / "link").symlink_to("dir/file")
    (top / "dangling").symlink_to("nowhere")
    os.link(top / "script", top / "dir" / "hard")
    os.mkfifo(top / "pipe")
    (top / os.fsdecode(b"not \xff text")).write_bytes(b"x")
    os.utime(top / "dir" / "file", ns=(1, 1_700_000_000_123_456_789))


@pytest.fixture
def trees(tmp_path: Path) -> tuple[Path, Path]:
    """An original, and the directory that holds its faithful copy."""
    original, copies = tmp_path / "tree", tmp_path / "copies"
    make_tree(original)
    copies.mkdir()
    # cp keeps hard links and nanoseconds, shutil does not
    subprocess.run(["cp", "-a", original, copies], check=True)
    return original, copies


def run(original: Path, copies: Path) -> Comparison:
    return compare([original], copies, watch=lambda done: None)


def test_a_faithful_copy_does_not_differ(trees: tuple[Path, Path]) -> None:
    result = run(*trees)
    assert [str(difference) for difference in result.differences] == []
    assert result.entries == 12
    assert result.size == len("content") + CHUNK + 3 + 2 * len("#!/bin/sh\n") + 1


def replace(path: Path) -> None:
    """The same content under an inode of its own, otherwise alike."""
    shutil.copy2(path, path.with_name("new"))
    path.with_name("new").replace(path)


def point(link: Path, target: str) -> None:
    link.unlink()
    link.symlink_to(target)


def rewrite_at(path: Path, offset: int) -> None:
    before = path.stat()
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(b"X")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


CHANGES: dict[str, tuple[Callable[[Path], object], str, str]] = {
    "a missing file": (lambda t: (t / "script").unlink(), "tree/script", "entry"),
    "a missing directory": (lambda t: (t / "dir" / "empty").rmdir(), "tree/dir/empty", "entry"),
    "another file": (lambda t: (t / "dir" / "more").touch(), "tree/dir/more", "entry"),
    "the mode": (lambda t: (t / "dir" / "file").chmod(0o600), "tree/dir/file", "mode"),
    "the mode of a directory": (lambda t: (t / "dir").chmod(0o700), "tree/dir", "mode"),
    "the mode of the top": (lambda t: t.chmod(0o711), "tree", "mode"),
    "one nanosecond": (lambda t: os.utime(t / "dir/file", ns=(1, 1_700_000_000_123_456_788)), "tree/dir/file", "mtime"),
    "the first byte": (lambda t: rewrite_at(t / "dir" / "file", 0), "tree/dir/file", "content"),
    "a byte after the first chunk": (lambda t: rewrite_at(t / "dir" / "large", CHUNK + 1), "tree/dir/large", "content"),
    "the size": (lambda t: (t / "dir" / "file").write_bytes(b"conten"), "tree/dir/file", "size"),
    "a target": (lambda t: point(t / "link", "dir/hard"), "tree/link", "target"),
    "the type": (lambda t: (t / "script").replace(t / "pipe"), "tree/pipe", "type"),
    "a broken hard link": (lambda t: replace(t / "script"), "tree/dir/hard", "hard link"),
    "an attribute": (lambda t: os.setxattr(t / "dir" / "file", "user.note", b"1"), "tree/dir/file", "xattrs"),
}


@pytest.mark.parametrize("change", list(CHANGES))
def test_each_change_is_found_where_it_is(trees: tuple[Path, Path], change: str) -> None:
    alter, path, what = CHANGES[change]
    original, copies = trees
    alter(copies / "tree")
    found = {(difference.path, difference.what) for difference in run(original, copies).differences}
    assert (path, what) in found


def test_a_hard_link_that_was_none_is_found(trees: tuple[Path, Path]) -> None:
    original, copies = trees
    (copies / "tree" / "dir" / "nothing").unlink()
    os.link(copies / "tree" / "dir" / "file", copies / "tree" / "dir" / "nothing")
    kinds = {difference.what for difference in run(original, copies).differences if difference.path.endswith("nothing")}
    assert "hard link" in kinds


def test_attributes_can_be_left_out(trees: tuple[Path, Path]) -> None:
    original, copies = trees
    (copies / "tree" / "dir" / "file").chmod(0o600)
    assert not compare([original], copies, ignore=frozenset({"mode"}), watch=lambda done: None).differences


def test_virtual_attributes_are_no_difference(trees: tuple[Path, Path]) -> None:
    original, copies = trees
    os.setxattr(copies / "tree" / "dir" / "file", "user.coopfs.state", b"held")
    assert not run(original, copies).differences


@pytest.mark.skipif(os.geteuid() != 0, reason="only root owns files of others and makes devices")
def test_owners_and_devices_are_compared(trees: tuple[Path, Path]) -> None:
    original, copies = trees
    os.chown(copies / "tree" / "script", 12, 34, follow_symlinks=False)
    os.mknod(original / "null", 0o600 | stat.S_IFCHR, os.makedev(1, 3))
    os.mknod(copies / "tree" / "null", 0o600 | stat.S_IFCHR, os.makedev(1, 5))
    kinds = {(difference.path, difference.what) for difference in run(original, copies).differences}
    assert {("tree/script", "uid"), ("tree/script", "gid"), ("tree/null", "rdev")} <= kinds


def test_names_that_are_no_text_can_be_reported(trees: tuple[Path, Path]) -> None:
    original, copies = trees
    (copies / "tree" / os.fsdecode(b"not \xff text")).unlink()
    lines = [str(difference) for difference in run(original, copies).differences]
    assert any("not \ufffd text" in line for line in lines)


def test_a_deep_tree_is_no_problem(tmp_path: Path) -> None:
    deep = tmp_path / "tree"
    for _ in range(1500):
        deep.mkdir()
        deep = deep / "d"
    try:
        assert run(tmp_path / "tree", tmp_path).entries == 1500
    finally:
        # shutil.rmtree, which pytest uses, cannot
        subprocess.run(["rm", "-r", tmp_path / "tree"], check=True)
