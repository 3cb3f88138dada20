"""What a filesystem answers at its limits: `python -m tests.fs.limits OTHER` in an empty directory of it.

OTHER is a directory on another filesystem. Prints one line for each question: what was asked, and the answer.
"""

import ctypes
import errno
import os
import resource
import signal
import stat
import sys
from collections.abc import Callable, Iterator
from typing import Any

LAST = (1 << 63) - 1  # the largest offset
EVERY_BYTE = bytes(byte for byte in range(1, 256) if byte != ord("/"))
CREATE = os.O_CREAT | os.O_WRONLY

Answer = tuple[str, Any]
libc = ctypes.CDLL(None, use_errno=True)


def ask(what: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
    """The answer, or the name of the errno."""
    try:
        return what(*arguments, **named)
    except OSError as refused:
        return errno.errorcode[refused.errno or 0]


def opened(name: bytes, flags: int) -> None:
    os.close(os.open(name, flags, 0o644))


def names() -> Iterator[Answer]:
    for name in (b"n" * 255, b"n" * 256, "ü".encode() * 127 + b"x", "ü".encode() * 128, EVERY_BYTE, b"\xff\xfe\n\x01"):
        yield f"mkdir {name[:5]!r} {len(name)}", ask(os.mkdir, name)
    yield "listing", sorted(os.listdir(b"."))
    yield "every byte", stat.S_IFMT(os.stat(EVERY_BYTE).st_mode)
    opened(b"file", CREATE)
    for what in (os.stat, os.unlink, os.rmdir, os.readlink, os.listxattr, os.mkfifo):
        yield f"{what.__name__} 256", ask(what, b"n" * 256)
    for what in (os.rename, os.link, os.symlink):
        yield f"{what.__name__} 256", ask(what, b"file", b"n" * 256)
    yield "create 256", ask(opened, b"n" * 256, CREATE)


def paths() -> Iterator[Answer]:
    yield "4095 bytes", ask(os.stat, b"./" * 2047 + b".") is not None
    yield "4096 bytes", ask(os.stat, b"./" * 2048)
    yield "no bytes", ask(os.stat, b"")
    os.mkdir(b"deep")
    top = os.open(b".", os.O_RDONLY)
    os.chdir(b"deep")
    for _ in range(25):  # 5000 bytes
        os.mkdir(b"d" * 200)
        os.chdir(b"d" * 200)
    yield "deeper than PATH_MAX", ask(opened, b"file", CREATE)
    os.fchdir(top)
    os.close(top)


def symbolic_links() -> Iterator[Answer]:
    for length in (0, 4095, 4096):
        yield f"target of {length}", ask(os.symlink, b"t" * length, b"to %d" % length)
    yield "readlink", len(os.readlink(b"to 4095"))
    yield "follow", ask(os.stat, b"to 4095")
    os.symlink(b"loop", b"loop")
    os.symlink(b"pong", b"ping")
    os.symlink(b"ping", b"pong")
    for name in (b"loop", b"ping"):
        yield f"stat {name!r}", ask(os.stat, name)
        yield f"open {name!r}", ask(opened, name, os.O_RDONLY)
    yield "no follow", ask(opened, b"loop", os.O_RDONLY | os.O_NOFOLLOW)
    opened(b"link 0", CREATE)
    for number in range(1, 43):
        os.symlink(b"link %d" % (number - 1), b"link %d" % number)
    for number in (39, 40, 41, 42):
        yield f"{number} links", ask(lambda number=number: os.stat(b"link %d" % number).st_size)


def kinds(other: bytes) -> Iterator[Answer]:
    opened(b"f", CREATE)
    os.makedirs(b"full/sub")
    os.mkdir(b"empty")
    for what, *arguments in (
        (os.rmdir, b"full"), (os.unlink, b"full"), (os.rmdir, b"f"), (os.truncate, b"full", 0), (os.listdir, b"f"),
        (opened, b"full", os.O_WRONLY), (opened, b"full", os.O_CREAT), (opened, b"f", os.O_DIRECTORY),
        (os.stat, b"f/x"), (opened, b"f/x", CREATE), (os.stat, b"f/"), (os.unlink, b"f/"), (os.mkdir, b"f/x"),
        (opened, b"new/", CREATE), (os.mkdir, b"new/"), (os.mkdir, b"full"), (opened, b"f", CREATE | os.O_EXCL),
        (os.rename, b"empty", b"full"), (os.rename, b"full", b"f"), (os.rename, b"f", b"full"),
        (os.rename, b"full", b"full/sub/x"), (os.rename, b"full/sub", b"full"), (os.rename, b"full/.", b"x"),
        (os.rename, b"full/..", b"x"), (os.rmdir, b"full/."), (os.rmdir, b"full/.."), (os.unlink, b"full/."),
        (os.link, b"full", b"x"), (os.link, b"f", b"empty"), (os.link, b"f", other + b"/there"),
        (os.rename, b"f", other + b"/there"), (os.rename, b"full", other + b"/there"), (os.truncate, b"f", -1),
    ):  # fmt: skip
        asked = f"{what.__name__} {arguments}".replace(repr(other + b"/there"), "OTHER")  # type: ignore[attr-defined]
        yield asked, ask(what, *arguments)  # type: ignore[operator]


def extended_attributes() -> Iterator[Answer]:
    opened(b"x", CREATE)
    for name in (b"user." + b"n" * 250, b"user." + b"n" * 251, b"user.", b"name", b"other.name", b"", b"trusted.name"):
        yield f"set {name[:12]!r} {len(name)}", ask(os.setxattr, b"x", name, b"1")
    yield "64 KiB and a byte", ask(os.setxattr, b"x", b"user.large", bytes(65537))
    yield "get what is absent", ask(os.getxattr, b"x", b"user.absent")
    yield "remove what is absent", ask(os.removexattr, b"x", b"user.absent")
    yield "empty", (ask(os.setxattr, b"x", b"user.empty", b""), ask(os.getxattr, b"x", b"user.empty"))
    yield "create again", ask(os.setxattr, b"x", b"user.empty", b"", os.XATTR_CREATE)
    yield "replace nothing", ask(os.setxattr, b"x", b"user.absent", b"", os.XATTR_REPLACE)
    os.setxattr(b"x", b"user.five", b"12345")
    room = ctypes.create_string_buffer(6)
    for size in (0, 4, 5, 6):
        yield f"get into {size}", _checked(libc.getxattr(b"x", b"user.five", room, ctypes.c_size_t(size)))
    for name in os.listxattr(b"x"):
        os.removexattr(b"x", name)
    os.setxattr(b"x", b"user.five", b"12345")
    room = ctypes.create_string_buffer(11)
    for size in (0, 9, 10, 11):
        yield f"list into {size}", _checked(libc.listxattr(b"x", room, ctypes.c_size_t(size)))
    os.symlink(b"x", b"to x")
    os.mkfifo(b"fifo")
    for name in (b"user.a", b"trusted.a"):
        yield f"{name!r} of a link", ask(os.setxattr, b"to x", name, b"1", follow_symlinks=False)
        yield f"{name!r} of a fifo", ask(os.setxattr, b"fifo", name, b"1")
    yield "too many", next(filter(None, (ask(os.setxattr, b"x", b"user.%0249d" % n, b"") for n in range(1000))))


def _checked(result: int) -> int | str:
    return result if result >= 0 else errno.errorcode[ctypes.get_errno()]


def size_limit() -> Iterator[Answer]:
    """RLIMIT_FSIZE."""
    caught: list[int] = []
    handler = signal.signal(signal.SIGXFSZ, lambda number, frame: caught.append(number))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    file = os.open(b"limited", os.O_CREAT | os.O_RDWR)
    try:
        yield "over the limit", ask(os.pwrite, file, bytes(1000), 99_500)
        for what, *arguments in (
            (os.pwrite, file, b"x", 100_000),
            (os.ftruncate, file, 100_000),
            (os.ftruncate, file, 100_001),
            (os.truncate, b"limited", 100_001),
            (os.posix_fallocate, file, 0, 200_000),
        ):
            yield f"{what.__name__} {arguments[1:]}", (ask(what, *arguments), len(caught))  # type: ignore[operator]
        yield "size", os.fstat(file).st_size
    finally:
        os.close(file)
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def main(other: bytes) -> None:
    for group in (names(), paths(), symbolic_links(), kinds(other), extended_attributes(), size_limit()):
        for question, answer in group:
            print(f"{group.__name__}: {question}: {answer!r}")


if __name__ == "__main__":
    main(os.fsencode(sys.argv[1]))
