"""Sums over the tables of the tree, kept up to date by whoever changes them: space is asked for with every change, and
reading whole tables would take longer than the change (design R9).

What an image weighs here is about what its record takes in a meta stripe (core/space.packed).
"""

from coopfs.core.space import packed
from coopfs.core.units import CHARGE
from coopfs.limits import EXTENT_BYTES, INODE_BYTES, LARGE_IMAGE, NAME_BYTES, STRIPE_BYTES, XATTR_BYTES
from coopfs.local.database import Database
from coopfs.types import Kind

FACT = "totals"
_SUMS = (
    f"SELECT count(*) * {INODE_BYTES} + coalesce(sum(length(target) * (1 + (length(target) > {LARGE_IMAGE}))), 0)"
    " FROM inodes",
    f"SELECT count(*) * {NAME_BYTES} + coalesce(sum(length(name)), 0) FROM names",
    f"SELECT count(*) * {EXTENT_BYTES} FROM extents",
    f"SELECT coalesce(sum(({XATTR_BYTES} + length(name) + length(value))"
    f" * (1 + ({XATTR_BYTES} + length(name) + length(value) > {LARGE_IMAGE}))), 0) FROM xattrs",
    f"SELECT count(*) * {STRIPE_BYTES} FROM stripes WHERE kind = {Kind.DATA:d} AND died IS NULL",
)
IMAGES = " + ".join(f"({query})" for query in _SUMS)  # of all tables, in one statement
CONTENT = (
    f"SELECT coalesce(sum({CHARGE}), 0) AS content, count(*) AS pieces, coalesce(sum(length), 0) AS length FROM extents"
)


class Totals:
    """images: bytes of the images of the present state; content, pieces: bytes that extents keep alive, and how many
    extents there are; length: bytes of files in them, before they were compressed."""

    def __init__(self, database: Database) -> None:
        self._db = database
        known = database.fact(FACT)
        self._saved = (0, 0, 0, 0) if known is None else tuple(map(int, known.split()))
        self.images, self.content, self.pieces, self.length = self.count() if known is None else self._saved

    def count(self) -> tuple[int, int, int, int]:
        """The sums, anew, as of the last commit: after the tables were rebuilt."""
        content, pieces, length = self._db.read(CONTENT).fetchone()
        return self._db.read(f"SELECT {IMAGES}").fetchone()[0], content, pieces, length

    def save(self) -> None:
        """Write them into the transaction."""
        now = (self.images, self.content, self.pieces, self.length)
        if now != self._saved:
            self._db.set_fact(FACT, _text(now))
            self._saved = now

    def adjust(self, images: int, content: int, pieces: int, length: int) -> None:
        """The sums that were saved last are less than the truth by these, negative: more. If it is only their row that
        somebody else changed, what is known here is right, and is written again."""
        if self._db.fact(FACT) == _text(self._saved):
            self.images += images
            self.content += content
            self.pieces += pieces
            self.length += length
        else:
            self._db.set_fact(FACT, _text(self._saved))

    # --- what comes; by = -1: what goes -----------------------------------------------------------------------------

    def inode(self, target: bytes | None, by: int) -> None:
        self.images += by * (INODE_BYTES + packed(len(target or b"")))

    def name(self, name: bytes, by: int) -> None:
        self.images += by * (NAME_BYTES + len(name))

    def extents(self, count: int, length: int, content: int) -> None:
        """So many extents more (negative: less), of so many bytes of files, that keep so many bytes alive."""
        self.images += count * EXTENT_BYTES
        self.pieces += count
        self.content += content
        self.length += length

    def xattr(self, name: bytes, size: int, by: int) -> None:
        """size: bytes of the value."""
        self.images += by * packed(XATTR_BYTES + len(name) + size)

    def stripe(self, by: int) -> None:
        """The record of a data stripe."""
        self.images += by * STRIPE_BYTES


def _text(sums: tuple[int, ...]) -> str:
    return " ".join(map(str, sums))
