"""What others may remember of the tree that a repair has changed behind their backs. Pure."""

from collections.abc import Iterator

from coopfs.core.findings import AddName, Adjust, Bury, Fix, RemoveName, Sum
from coopfs.core.records import Extent, Image, Inode, Name, Xattr

Stale = tuple[int, bytes | None]  # an inode; or a directory, and a name in it that leads elsewhere, or is gone


def stale_by_image(image: Image) -> Iterator[Stale]:
    """A row was written as this image tells it."""
    match image:
        case Inode(ino):
            yield ino, None
            if image.parent is not None and image.name is not None:
                yield image.parent, image.name
        case Name(parent, name, ino):
            yield ino, None
            yield parent, name
        case Extent(ino) | Xattr(ino):
            yield ino, None


def stale_by_fix(fix: Fix) -> Iterator[Stale]:
    """A finding was put right."""
    match fix:
        case Adjust(sum_, id_) if sum_ is not Sum.LIVE:
            yield id_, None
        case AddName(parent, name, ino):
            yield ino, None
            yield parent, name
        case RemoveName(parent, name):
            yield parent, name
        case Bury(ino):
            yield ino, None
