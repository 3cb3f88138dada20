"""Which records the open group will consist of (design R3, R4).

Operations change the tables and mark keys here, in memory. `materialise`, run in the transaction of every commit, turns
the marked keys into the records they have now, so that open_images always equals what was committed. A key whose row is
gone becomes a tombstone, unless no closed group can know the key: then the record is just dropped.

- An inode's first name and its extent at offset 0 are part of the inode's record (marking them marks the inode).
- A truncate acts on older groups only, so everything that this group knows at or after the cut is dropped with it.
- A dead inode takes all its records of this group along; one tombstone kills its extents and xattrs in older groups.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from coopfs.core.records import Extent, Image, Inode, Name, Stripe, Tombstone, Truncate, Type, Xattr, decode_all, encode
from coopfs.core.space import packed
from coopfs.limits import IMAGE_BYTES
from coopfs.local.database import Database
from coopfs.local.nodes import Node, Nodes

PUT = "INSERT OR REPLACE INTO open_images VALUES (?, ?, ?, ?, ?, ?)"
EXTENT = "SELECT length, stripe, at, stored, raw, skip, codec FROM extents WHERE ino = ? AND offset = ?"
OF_INODE = (Type.INODE, Type.EXTENT, Type.XATTR, Type.TRUNCATE)

Row = tuple[int, int, int, int | bytes, bytes, int]  # of open_images


class Images:
    """The open group's records: marked keys in memory, and those of earlier commits in open_images."""

    def __init__(self, database: Database, nodes: Nodes, group: int) -> None:
        self._db = database
        self._nodes = nodes
        self.group = group
        self._inodes: set[int] = set()
        self._names: set[tuple[int, bytes]] = set()
        self._extents: dict[int, set[int]] = {}
        self._xattrs: dict[int, set[bytes]] = {}
        self._truncates: dict[int, int] = {}  # inode -> least size, of the whole group
        self._cuts: set[int] = set()
        self._stripes: set[int] = set()
        self._buried: set[int] = set()
        self._committed: set[int] = set()  # inodes that have records in open_images: bounded by limits.GROUP_IMAGES
        self._count = 0
        self._size = 0
        self._load()

    def _load(self) -> None:
        """Go on with the open group where the last commit left it."""
        self._committed = {
            ino
            for (ino,) in self._db.read(
                f"SELECT DISTINCT a FROM open_images WHERE grp = ? AND type IN ({_list(OF_INODE)})", (self.group,)
            )
        }
        for (image,) in self._db.read(
            "SELECT image FROM open_images WHERE grp = ? AND type = ?", (self.group, Type.TRUNCATE)
        ):
            self._truncates.update((cut.ino, cut.size) for cut in decode_all(image) if isinstance(cut, Truncate))
        sizes = [
            size for (size,) in self._db.read("SELECT length(image) FROM open_images WHERE grp = ?", (self.group,))
        ]
        self._count, self._size = len(sizes), sum(map(packed, sizes))

    @property
    def pending(self) -> bool:
        """Whether keys are marked that no commit has materialised."""
        marks = (self._inodes, self._names, self._extents, self._xattrs, self._cuts, self._stripes, self._buried)
        return any(marks)

    @property
    def marked(self) -> int:
        """Keys marked since the last commit, about: files with several extents or xattrs count once."""
        return len(self._inodes) + len(self._names) + len(self._extents) + len(self._xattrs)

    @property
    def keys(self) -> int:
        """All that is marked, about, deaths and cuts too."""
        return self.marked + len(self._cuts) + len(self._stripes) + len(self._buried)

    @property
    def count(self) -> int:
        """Records of the open group, not less than the true number once they are materialised."""
        return self._count + self.marked

    @property
    def size(self) -> int:
        """Bytes of meta stripes that the records of the open group may cost, not less than in truth."""
        return self._size + self.marked * IMAGE_BYTES

    def newest_group(self, node: Node) -> int:
        """The group of the inode's newest image."""
        return self.group if node.ino in self._inodes else node.changed

    def touches(self, type_: Type, a: int, b: int | bytes) -> bool:
        """Whether a key, or the inode that it belongs to, was marked since the last commit."""
        if a in self._inodes or a in self._buried or a in self._cuts:
            return True
        match type_:
            case Type.NAME:
                return (a, b) in self._names
            case Type.EXTENT:
                return b in self._extents.get(a, ())
            case Type.XATTR:
                return b in self._xattrs.get(a, ())
            case Type.STRIPE:
                return a in self._stripes
        return False

    def mark_inode(self, ino: int) -> None:
        self._inodes.add(ino)
        self._db.touch()

    def mark_name(self, parent: int, name: bytes) -> None:
        """A further link that came or went."""
        self._names.add((parent, name))
        self._db.touch()

    def mark_extent(self, ino: int, offset: int) -> None:
        """An extent that came, changed or went. Whoever changes content marks the inode anyway."""
        self._db.touch()
        if offset == 0:
            self._inodes.add(ino)
            return
        offsets = self._extents.get(ino)
        if offsets is None:
            self._extents[ino] = {offset}
        else:
            offsets.add(offset)

    def mark_xattr(self, ino: int, name: bytes) -> None:
        self._xattrs.setdefault(ino, set()).add(name)
        self._db.touch()

    def mark_stripe_death(self, stripe: int) -> None:
        """A stripe whose record a closed group has emitted lost its last live byte."""
        self._stripes.add(stripe)
        self._db.touch()

    def tell_stripe(self, stripe: Stripe) -> None:
        """The record of a sealed stripe that lives, again: nothing but its death changes it."""
        image = encode(stripe)
        self._db.write(PUT, (self.group, Type.STRIPE, stripe.id, 0, image, 1))
        self._count += 1
        self._size += len(image)

    def truncate(self, ino: int, size: int, born: int) -> None:
        """A file was cut to `size`: its extents at or after that are gone from the tables."""
        if offsets := self._extents.get(ino):
            kept = {offset for offset in offsets if offset < size}
            if kept:
                self._extents[ino] = kept
            else:
                del self._extents[ino]
        if ino in self._committed:
            self._db.write(
                "DELETE FROM open_images WHERE grp = ? AND type = ? AND a = ? AND b >= ?",
                (self.group, Type.EXTENT, ino, size),
            )
        if born != self.group:
            self._truncates[ino] = min(size, self._truncates.get(ino, size))
            self._cuts.add(ino)
            self._db.touch()

    def bury(self, ino: int, born: int) -> None:
        """An inode died: its rows are gone from inodes, extents and xattrs."""
        self._inodes.discard(ino)
        self._extents.pop(ino, None)
        self._truncates.pop(ino, None)
        self._cuts.discard(ino)
        self._xattrs.pop(ino, None)
        if ino in self._committed:
            self._committed.discard(ino)
            for kind in OF_INODE:
                self._db.write("DELETE FROM open_images WHERE grp = ? AND type = ? AND a = ?", (self.group, kind, ino))
        if born != self.group:
            self._buried.add(ino)
            self._db.touch()

    def materialise(self) -> None:
        """Write the records of all marked keys, and the inode rows of the cache, into the transaction."""
        if not self.pending:
            return
        for ino in self._inodes:
            self._nodes.stamp(ino, self.group)
        self._nodes.flush()
        rows: list[Row] = []
        gone: list[tuple[int, int, int, int | bytes]] = []
        for key, image in self._current():
            kind, a, b = int(key[0]), key[1], key[2] if len(key) > 2 else 0
            if image is None and self._unknown_to_closed_groups(key):
                gone.append((self.group, kind, a, b))
            else:
                stands = image is not None and kind != Type.TRUNCATE
                rows.append((self.group, kind, a, b, encode(Tombstone(key) if image is None else image), stands))
        self._db.write_many(PUT, rows)
        self._db.write_many("DELETE FROM open_images WHERE grp = ? AND type = ? AND a = ? AND b = ?", gone)
        self._count += len(rows)
        self._size += sum(packed(len(row[4])) for row in rows)
        self._committed.update(row[2] for row in rows if row[1] in OF_INODE)
        self._clear()

    def _clear(self) -> None:
        self._extents.clear()
        self._xattrs.clear()
        for marks in (self._inodes, self._names, self._cuts, self._stripes, self._buried):
            marks.clear()

    def _current(self) -> Iterator[tuple[tuple[Any, ...], Image | None]]:
        """Every marked key with the image it has in the tables, None if its row is gone."""
        for ino in self._inodes:
            yield (Type.INODE, ino), inode_record(self._db, self._nodes.get(ino))
        for ino in self._buried:
            yield (Type.INODE, ino), None
        for parent, name in self._names:
            yield (Type.NAME, parent, name), self._further_link(parent, name)
        for ino, offsets in self._extents.items():
            for offset in offsets:
                yield (Type.EXTENT, ino, offset), extent_record(self._db, ino, offset)
        for ino, names in self._xattrs.items():
            for name in names:
                row = self._db.read("SELECT value FROM xattrs WHERE ino = ? AND name = ?", (ino, name)).fetchone()
                yield (Type.XATTR, ino, name), None if row is None else Xattr(ino, name, row[0])
        for ino in self._cuts:
            yield (Type.TRUNCATE, ino), Truncate(ino, self._truncates[ino])
        for stripe in self._stripes:
            yield (Type.STRIPE, stripe), None

    def _further_link(self, parent: int, name: bytes) -> Name | None:
        row = self._db.read("SELECT ino FROM names WHERE parent = ? AND name = ?", (parent, name)).fetchone()
        if row is None:
            return None
        node = self._nodes.get(row[0])
        if node.parent == parent and node.name == name:
            return None  # by now it is the first name of another inode, and lives in that image
        return Name(parent, name, row[0])

    def _unknown_to_closed_groups(self, key: tuple[Any, ...]) -> bool:
        """Whether what owns the key was created in the open group: a tombstone would kill nothing."""
        if key[0] not in (Type.NAME, Type.EXTENT, Type.XATTR):
            return False
        owner = self._nodes.find(key[1])
        return owner is not None and owner.born == self.group

    def start_group(self, group: int) -> None:
        """The open group was closed, all its keys materialised; `group` is the next."""
        assert not self.pending
        self.group = group
        self._committed.clear()
        self._truncates.clear()
        self._count = self._size = 0


def inode_record(db: Database, node: Node) -> Inode:
    """The image of an inode: its row and its extent at offset 0."""
    first = extent_record(db, node.ino, 0) if node.stored else None
    return Inode(*node[:13], extent=first)


def extent_record(db: Database, ino: int, offset: int) -> Extent | None:
    """The image of one row of extents."""
    row = db.read(EXTENT, (ino, offset)).fetchone()
    return None if row is None else Extent(ino, offset, *row)


def _list(kinds: Iterable[int]) -> str:
    return ", ".join(str(int(kind)) for kind in kinds)
