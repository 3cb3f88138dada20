"""From numbers to paths, for people: what a damaged stripe or inode means to them. Looks names up one by one."""

from collections.abc import Iterator

from coopfs.limits import DEPTH_MAX, ROOT_INO
from coopfs.local.metadata import Metadata
from coopfs.local.nodes import Node


def path_of(metadata: Metadata, ino: int) -> bytes:
    """Below the mount, with a slash in front; `inode N` where no name leads to it."""
    parts: list[bytes] = []
    at = ino
    while at != ROOT_INO and len(parts) < DEPTH_MAX:
        node = metadata.nodes.find(at)
        name = None if node is None else _a_name(metadata, node)
        if name is None:
            return b"inode %d" % ino
        at, part = name
        parts.append(part)
    return b"/" + b"/".join(reversed(parts))


def _a_name(metadata: Metadata, node: Node) -> tuple[int, bytes] | None:
    """Parent and name of an inode. One that lost its first name is looked for among all names."""
    if node.parent is not None and node.name is not None:
        return node.parent, node.name
    row = metadata.database.read("SELECT parent, name FROM names WHERE ino = ? LIMIT 1", (node.ino,)).fetchone()
    return None if row is None else (row[0], row[1])


def files_in(metadata: Metadata, stripe: int) -> Iterator[int]:
    """The inodes of which content lies in this stripe."""
    seen: set[int] = set()
    for fragment in metadata.stripes.fragments(stripe):
        if fragment.ino not in seen:
            seen.add(fragment.ino)
            query = "SELECT 1 FROM extents WHERE ino = ? AND stripe = ? AND offset < ? LIMIT 1"
            start = metadata.extents.graves.start(fragment.ino)
            if metadata.database.read(query, (fragment.ino, stripe, start)).fetchone() is not None:
                yield fragment.ino
