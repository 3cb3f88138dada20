"""The names table and the xattrs table: thin, and telling `Images` what changed."""

from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterator
from math import inf
from typing import NamedTuple

from coopfs.limits import CACHED_NAMES, KEPT_PAGE, KEPT_PAGES
from coopfs.local.database import Database
from coopfs.local.images import Images
from coopfs.local.totals import Totals

Entry = tuple[int, bytes, int]  # cookie, name, ino


class _Page(NamedTuple):
    """The first entries with cookie > after: KEPT_PAGE of them, or all."""

    after: int
    entries: list[Entry]

    @property
    def end(self) -> float:
        """The cookie up to which it tells all."""
        return self.entries[-1][0] if len(self.entries) == KEPT_PAGE else inf


def _cookie(entry: Entry) -> int:
    return entry[0]


class Names:
    """Every name of the tree. The caller knows which of an inode's names is its first (that one lives in its image)."""

    def __init__(self, database: Database, images: Images, totals: Totals) -> None:
        self._db = database
        self._images = images
        self._totals = totals
        # What was asked for or changed last, absent names too: the kernel looks a name up before it creates it, or
        # removes it, and each of these asks again.
        self._known: dict[tuple[int, bytes], int | None] = {}
        self._pages: OrderedDict[int, _Page] = OrderedDict()  # directory -> where its last listing is

    def find(self, parent: int, name: bytes) -> int | None:
        """The inode of this name."""
        key = (parent, name)
        try:
            return self._known[key]
        except KeyError:
            row = self._db.read("SELECT ino FROM names WHERE parent = ? AND name = ?", key).fetchone()
            ino = None if row is None else row[0]
            self._note(key, ino)
            return ino

    def _note(self, key: tuple[int, bytes], ino: int | None) -> None:
        if len(self._known) >= CACHED_NAMES:
            self._known.clear()
        self._known[key] = ino

    def _change(self, parent: int, name: bytes, ino: int | None) -> None:
        """What a name means has changed in the table."""
        self._pages.pop(parent, None)
        self._note((parent, name), ino)

    def forget_known(self) -> None:
        """Ask the table again."""
        self._known.clear()
        self._pages.clear()

    def add(self, parent: int, name: bytes, ino: int) -> None:
        self._db.write(
            "INSERT INTO names (parent, name, ino, changed) VALUES (?, ?, ?, ?)",
            (parent, name, ino, self._images.group),
        )
        self._totals.name(name, 1)
        self._change(parent, name, ino)

    def remove(self, parent: int, name: bytes) -> None:
        self._db.write("DELETE FROM names WHERE parent = ? AND name = ?", (parent, name))
        self._totals.name(name, -1)
        self._change(parent, name, None)

    def move(self, parent: int, name: bytes, new_parent: int, new_name: bytes) -> None:
        """Rename onto a free name; the entry keeps its cookie, so that no listing shows it twice."""
        self._db.write(
            "UPDATE names SET parent = ?, name = ?, changed = ? WHERE parent = ? AND name = ?",
            (new_parent, new_name, self._images.group, parent, name),
        )
        self._totals.name(name, -1)
        self._totals.name(new_name, 1)
        self._pages.pop(new_parent, None)
        self._known.pop((new_parent, new_name), None)
        self._change(parent, name, None)

    def point(self, parent: int, name: bytes, ino: int) -> None:
        """Let an existing name mean another inode."""
        self._db.write(
            "UPDATE names SET ino = ?, changed = ? WHERE parent = ? AND name = ?",
            (ino, self._images.group, parent, name),
        )
        self._change(parent, name, ino)

    def restore(self, parent: int, name: bytes, ino: int, group: int) -> None:
        """Write a row anew as `group` told it; sums are put right by who counts them."""
        self._db.write(
            "INSERT INTO names (parent, name, ino, changed) VALUES (?, ?, ?, ?)"
            " ON CONFLICT (parent, name) DO UPDATE SET ino = excluded.ino, changed = excluded.changed",
            (parent, name, ino, group),
        )
        self._change(parent, name, ino)

    def changed_link(self, parent: int, name: bytes) -> None:
        """A name that is or was not the first one of its inode came or went, or is to be told again."""
        self._db.write("UPDATE names SET changed = ? WHERE parent = ? AND name = ?", (self._images.group, parent, name))
        self._images.mark_name(parent, name)

    def empty(self, parent: int) -> bool:
        return self._db.read("SELECT 1 FROM names WHERE parent = ? LIMIT 1", (parent,)).fetchone() is None

    def listing(self, parent: int, after: int) -> Iterator[Entry]:
        """The entries with cookie > after, by cookie; nothing may change meanwhile. Whoever lists a directory asks for
        some 25 at a time, and often comes back: a page is kept until a name of the directory changes."""
        while True:
            page = self._pages.get(parent)
            if page is None or not page.after <= after < page.end:
                page = _Page(after, self.page(parent, after, KEPT_PAGE))
                self._pages[parent] = page
                if len(self._pages) > KEPT_PAGES:
                    self._pages.popitem(last=False)
            first = bisect_right(page.entries, after, key=_cookie) if after > page.after else 0
            yield from page.entries[first:]
            if len(page.entries) < KEPT_PAGE:
                return
            after = page.entries[-1][0]

    def page(self, parent: int, after: int, limit: int) -> list[Entry]:
        """At most `limit` entries with cookie > after, by cookie."""
        return self._db.read(
            "SELECT cookie, name, ino FROM names WHERE parent = ? AND cookie > ? ORDER BY cookie LIMIT ?",
            (parent, after, limit),
        ).fetchall()


class Xattrs:
    """Extended attributes by inode and full name."""

    def __init__(self, database: Database, images: Images, totals: Totals) -> None:
        self._db = database
        self._images = images
        self._totals = totals

    def get(self, ino: int, name: bytes) -> bytes | None:
        row = self._db.read("SELECT value FROM xattrs WHERE ino = ? AND name = ?", (ino, name)).fetchone()
        return None if row is None else row[0]

    def set(self, ino: int, name: bytes, value: bytes) -> None:
        self._forget(ino, name)
        self._db.write("INSERT OR REPLACE INTO xattrs VALUES (?, ?, ?, ?)", (ino, name, value, self._images.group))
        self._totals.xattr(name, len(value), 1)
        self._images.mark_xattr(ino, name)

    def remove(self, ino: int, name: bytes) -> None:
        self._forget(ino, name)
        self._db.write("DELETE FROM xattrs WHERE ino = ? AND name = ?", (ino, name))
        self._images.mark_xattr(ino, name)

    def _forget(self, ino: int, name: bytes) -> None:
        row = self._db.read("SELECT length(value) FROM xattrs WHERE ino = ? AND name = ?", (ino, name)).fetchone()
        if row is not None:
            self._totals.xattr(name, row[0], -1)

    def names(self, ino: int) -> list[bytes]:
        return [name for (name,) in self._db.read("SELECT name FROM xattrs WHERE ino = ? ORDER BY name", (ino,))]

    def clear(self, ino: int) -> None:
        """A dead inode's attributes go; its burial covers their images."""
        gone = self._db.read("SELECT name, length(value) FROM xattrs WHERE ino = ?", (ino,)).fetchall()
        if not gone:
            return
        for name, size in gone:
            self._totals.xattr(name, size, -1)
        self._db.write("DELETE FROM xattrs WHERE ino = ?", (ino,))
