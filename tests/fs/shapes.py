"""What a tree looks like from outside, on either side."""

import os
import stat
from pathlib import Path
from typing import Any

from coopfs.limits import ROOT_INO
from tests.fs.operations import OurSide

SHOWN = 1 << 17  # bytes of a file that are compared; what lies behind is compared at its end

Shape = dict[tuple[bytes, ...], dict[str, Any]]


def shape_of_real(root: Path) -> Shape:
    shape: Shape = {}
    first: dict[int, tuple[bytes, ...]] = {}

    def add(path: tuple[bytes, ...]) -> None:
        at = os.path.join(os.fsencode(root), *path)
        status = os.lstat(at)
        kind = stat.S_IFMT(status.st_mode)
        shape[path] = {
            "mode": status.st_mode,
            "nlink": status.st_nlink,
            "owner": (status.st_uid, status.st_gid),
            "size": None if kind == stat.S_IFDIR else status.st_size,
            "rdev": status.st_rdev,
            "same as": first.setdefault(status.st_ino, path),
            "times": (status.st_ino, status.st_mtime_ns, status.st_ctime_ns),
            "xattrs": {
                os.fsencode(name): os.getxattr(at, name, follow_symlinks=False)
                for name in os.listxattr(at, follow_symlinks=False)
            },
            "content": None,
        }
        if kind == stat.S_IFREG:
            with open(at, "rb") as file:
                head = file.read(SHOWN)
                file.seek(max(status.st_size - SHOWN, 0))
                shape[path]["content"] = (head, file.read(SHOWN))
        elif kind == stat.S_IFLNK:
            shape[path]["content"] = os.readlink(at)
        elif kind == stat.S_IFDIR:
            for name in sorted(os.listdir(at)):
                add((*path, name))

    add(())
    return shape


def shape_of_ours(side: OurSide) -> Shape:
    disk = side.disk
    shape: Shape = {}
    first: dict[int, tuple[bytes, ...]] = {}

    def add(path: tuple[bytes, ...], ino: int) -> None:
        node = disk.tree.node(ino)
        shape[path] = {
            "mode": node.mode,
            "nlink": node.nlink,
            "owner": (node.uid, node.gid),
            "size": None if stat.S_ISDIR(node.mode) else node.size,
            "rdev": node.rdev,
            "same as": first.setdefault(ino, path),
            "times": (ino, node.mtime, node.ctime),
            "xattrs": {name: disk.attributes.get(ino, name) for name in disk.attributes.list(ino)},
            "content": None,
        }
        if stat.S_ISREG(node.mode):
            tail = max(node.size - SHOWN, 0)
            shape[path]["content"] = (side.content(ino, 0, SHOWN), side.content(ino, tail, SHOWN))
        elif stat.S_ISLNK(node.mode):
            shape[path]["content"] = node.target
        elif stat.S_ISDIR(node.mode):
            for _, name, child in sorted(disk.metadata.names.page(ino, 0, 1000), key=lambda entry: entry[1]):
                add((*path, name), child)

    add((), ROOT_INO)
    return shape
