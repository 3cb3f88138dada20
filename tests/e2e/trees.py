"""A tree with everything that a filesystem can hold, made on the machine's own disk."""

import os
import stat
from pathlib import Path
from random import Random

from coopfs.core.acl import ACCESS, DEFAULT, Acl, Entry, Tag

SMALL_FILES = 300
BIG_FILE = 12_000_000  # bytes: 16 stripes of 6 x 128 KiB, more than a restore view keeps
DEPTH = 60  # directories below each other
NS = 1_000_000_000
ACL = Acl(
    (
        Entry(Tag.OWNER, 6),
        Entry(Tag.USER, 7, 1234),
        Entry(Tag.OWNING_GROUP, 4),
        Entry(Tag.MASK, 5),
        Entry(Tag.OTHER, 0),
    )
)


def make_tree(top: Path, seed: int) -> Path:
    """top itself, filled. Same seed, same tree; needs root."""
    random = Random(seed)
    top.mkdir()
    _many_files(top / "many", random)
    _sizes_and_holes(top / "content", random)
    _names(top / "names")
    _links(top / "links")
    _special(top / "special")
    _attributes(top / "attributes", random)
    _deep(top)
    _times(top, random)
    return top


def inodes(top: Path) -> dict[bytes, int]:
    """Path below top -> inode number, of all that is there."""
    prefix = len(os.fsencode(top)) + 1
    found = {}
    for directory, directories, names in os.walk(os.fsencode(top)):
        for name in directories + names:
            path = os.path.join(directory, name)
            found[path[prefix:]] = os.lstat(path).st_ino
    return found


def _many_files(top: Path, random: Random) -> None:
    for number in range(SMALL_FILES):
        path = top / f"{number % 7}" / f"{number % 3}" / f"file {number}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(random.randbytes(random.randrange(6000)))


def _sizes_and_holes(top: Path, random: Random) -> None:
    top.mkdir()
    (top / "empty").touch()
    (top / "one byte").write_bytes(b"x")
    (top / "big").write_bytes(random.randbytes(BIG_FILE))
    (top / "zeros").write_bytes(bytes(200_000))
    with (top / "holes").open("wb") as file:
        for offset in (0, 3_000_000, 60_000_000):
            file.seek(offset)
            file.write(random.randbytes(10_000))
        file.truncate(80_000_000)
    with (top / "only a hole").open("wb") as file:
        file.truncate(40_000_000)


def _names(top: Path) -> None:
    top.mkdir()
    for byte in range(1, 256):
        if byte not in b"/":
            name = b"byte " + bytes([byte])
            Path(os.fsdecode(os.fsencode(top) + b"/" + name)).write_bytes(name)
    for name in (b"-rf", b" ", b"...", b"\n", b"a" * 255, b"\xff" * 255, "Grüße 日本語".encode(), b"*", b"'\"\\"):
        Path(os.fsdecode(os.fsencode(top) + b"/" + name)).write_bytes(name)


def _links(top: Path) -> None:
    top.mkdir()
    (top / "first").write_bytes(b"one inode, three names")
    (top / "second").hardlink_to(top / "first")
    (top / "below").mkdir()
    (top / "below" / "third").hardlink_to(top / "first")
    (top / "symlink").symlink_to("first")
    (top / "dangling").symlink_to("/nowhere/" + "x" * 3000)
    os.symlink(b"\xfe\xff any bytes", os.fsencode(top / "odd target"))


def _special(top: Path) -> None:
    top.mkdir()
    os.mkfifo(top / "fifo", 0o640)
    os.mknod(top / "socket", stat.S_IFSOCK | 0o755)
    os.mknod(top / "character", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    os.mknod(top / "block", stat.S_IFBLK | 0o600, os.makedev(259, 1_000_000))
    os.link(top / "character", top / "character again")


def _attributes(top: Path, random: Random) -> None:
    top.mkdir()
    for mode in (0o000, 0o400, 0o644, 0o755, 0o4755, 0o2755, 0o1777):
        path = top / f"mode {mode:o}"
        path.touch()
        path.chmod(mode)
    (top / "owned").touch()
    os.chown(top / "owned", 12345, 4_000_000_000)
    (top / "directory").mkdir()
    (top / "directory").chmod(0o3770)
    (top / "xattrs").touch()
    for path in (top / "xattrs", top / "directory"):
        os.setxattr(path, "user.text", b"text")
        os.setxattr(path, b"user.\xffodd", bytes(range(256)))
        os.setxattr(path, "trusted.secret", random.randbytes(1500))
        os.setxattr(path, "user.empty", b"")
    for path, name in ((top / "xattrs", ACCESS), (top / "directory", ACCESS), (top / "directory", DEFAULT)):
        os.setxattr(path, name, ACL.encode())


def _deep(top: Path) -> None:
    path = top / "deep"
    for level in range(DEPTH):
        path = path / f"level {level}"
    path.mkdir(parents=True)
    (path / "at the bottom").write_bytes(b"here")


def _times(top: Path, random: Random) -> None:
    """Any nanosecond, before 1970 and after 2038 too; from the bottom up, as writing into a directory changes it."""
    for directory, _, names in os.walk(os.fsencode(top), topdown=False):
        for path in [*(os.path.join(directory, name) for name in names), directory]:
            time = random.randrange(-(10**9), 5 * 10**9) * NS + random.randrange(NS)
            os.utime(path, ns=(time, time), follow_symlinks=False)
