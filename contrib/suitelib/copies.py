"""Programs that copy trees: tar, cpio, rsync, squashfs. The copy is compared in every byte and attribute."""

import os
from pathlib import Path
from random import Random

from coopfs.demo.compare import compare
from suitelib.shell import require, run
from suitelib.suite import REMOUNT, Step, Suite, Trial

FILES, FEW_FILES = 2000, 120
NS = 1_000_000_000


def original(trial: Trial) -> Path:
    """A tree beside, made once: small and larger files, holes, links, modes, owners, times, attributes."""
    top = trial.beside / "tree"
    if not top.exists():
        _make(top, trial.size(FILES, FEW_FILES), Random(3))
    return top


def _make(top: Path, files: int, random: Random) -> None:
    for number in range(files):
        path = top / f"d{number % 7}" / f"e{number % 11}" / f"file {number}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(random.randbytes(random.choice((0, 1, 100, 4096, 5000, 20_000))))
        path.chmod(random.choice((0o644, 0o600, 0o755, 0o444)))
        if number % 9 == 0:
            (path.parent / f"link {number}").hardlink_to(path)
        elif number % 10 == 0:
            (path.parent / f"symlink {number}").symlink_to(f"file {number}")
        elif number % 13 == 0:
            os.setxattr(path, "user.note", random.randbytes(200))
        if os.geteuid() == 0:
            os.chown(path, random.randrange(2000), random.randrange(2000))
    (top / "large").write_bytes(random.randbytes(3_000_000))
    with (top / "holes").open("wb") as file:
        file.seek(5_000_000)
        file.write(b"end")
    for directory, _, names in os.walk(top, topdown=False):
        for name in [*(os.path.join(directory, name) for name in names), directory]:
            time = random.randrange(2 * 10**9) * NS
            os.utime(name, ns=(time, time), follow_symlinks=False)


def same(trial: Trial, copy: Path, *but: str) -> None:
    """Failed unless the tree in copy is the original; but: attributes that this program does not keep."""
    result = compare([original(trial)], copy, ignore=frozenset(but), watch=lambda done: None)
    require(not result.differences, "\n".join(map(str, result.differences[:10])))
    require(result.entries > FEW_FILES, "the tree is too small to say anything")


def _tar(trial: Trial) -> None:
    tree, archive = original(trial), trial.top / "archive.tar"
    flags = ("--xattrs", "--xattrs-include=*", "--sparse", "-f", archive)
    run("tar", "--format=posix", "-c", *flags, "-C", tree.parent, tree.name)
    run("tar", "-d", "-f", archive, "-C", tree.parent)
    (trial.top / "tar").mkdir()
    run("tar", "-x", "-p", "--numeric-owner", *flags, "-C", trial.top / "tar")


def _cpio(trial: Trial) -> None:
    tree, archive, out = original(trial), trial.top / "archive.cpio", trial.top / "cpio"
    run(
        "sh",
        "-c",
        f"find {tree.name} -depth -print0 | cpio -o0 --quiet -C 65536 -H newc -O '{archive}'",
        cwd=tree.parent,
    )
    out.mkdir()
    run("cpio", "-idm", "--quiet", "-C", "65536", "--sparse", "-I", archive, cwd=out)


def _rsync(trial: Trial) -> None:
    tree, out = original(trial), trial.top / "rsync"
    run("rsync", "-aHAXS", tree, f"{out}/")
    with (tree / "large").open("r+b") as file:
        file.write(b"changed")
    run("rsync", "-aHAXS", "--no-whole-file", "--inplace", "--no-sparse", tree, f"{out}/")
    require(run("rsync", "-aHAXni", tree, f"{out}/") == "", "a second run finds something to do")


def _squash(trial: Trial) -> None:
    tree, image = original(trial), trial.top / "image.squashfs"
    run("mksquashfs", tree, image, "-quiet", "-no-progress", "-processors", "2")
    (trial.top / "squashfs").mkdir()
    run("unsquashfs", "-quiet", "-no-progress", "-d", trial.top / "squashfs" / tree.name, image)


# What a program does not keep: cpio has no attributes, no times of symbolic links, and sets those of a directory before
# it makes hard links in it. Its times, and those of squashfs, are whole seconds, as in the tree.
ARCHIVERS = tuple(
    Suite(
        name,
        programs,
        packages,
        (
            Step("copy", act),
            Step("compare", compared := lambda trial, n=name, but=but: same(trial, trial.top / n, *but)),
            REMOUNT,
            Step("compare again", compared),
        ),
    )
    for name, programs, packages, act, but in (
        ("tar", ("tar",), ("tar",), _tar, ()),
        ("cpio", ("cpio", "find"), ("cpio", "findutils"), _cpio, ("xattrs", "mtime")),
        ("rsync", ("rsync",), ("rsync",), _rsync, ()),
        ("squashfs", ("mksquashfs", "unsquashfs"), ("squashfs-tools",), _squash, ()),
    )
)
