"""What a check found, put right in the database and the stage of this machine.

Each fix is one step between two operations (P1), looks again whether it still applies, and goes through those who keep
the books: what is removed here the log is told of, as if somebody had removed it.
"""

from coopfs.core.findings import (
    AddName,
    Adjust,
    AdjustTotals,
    Bury,
    DropExtents,
    DropXattrs,
    Fix,
    Lodge,
    RemoveFile,
    RemoveName,
    Sum,
)
from coopfs.local.lostfound import LostFound, Tell
from coopfs.local.metadata import Metadata
from coopfs.local.stage import Stage


class Repairs:
    """All changes belong to the transaction of the next commit. tell: of new names (lostfound)."""

    def __init__(self, metadata: Metadata, stage: Stage, tell: Tell) -> None:
        self._metadata = metadata
        self._lost = LostFound(metadata, tell, lambda: None)  # what is found is few, and rows are kept for deleting it
        self._db = metadata.database
        self._stage = stage

    def apply(self, fix: Fix) -> None:
        """Put it right, unless that is so already."""
        metadata = self._metadata
        match fix:
            case Adjust():
                self._adjust(fix)
            case AdjustTotals(images, content, pieces, length):
                metadata.totals.adjust(images, content, pieces, length)
                metadata.totals.save()
            case RemoveName(parent, name):
                if not self._leads(parent, name):
                    metadata.names.remove(parent, name)
                    metadata.images.mark_name(parent, name)
            case AddName(parent, name, ino):
                if not self._has_name(parent, name) and metadata.nodes.find(ino) is not None:
                    metadata.names.add(parent, name, ino)
            case Bury(ino):
                node = metadata.nodes.find(ino)
                if node is not None and node.nlink == 0:
                    metadata.bury(node)
            case Lodge(ino):
                node = metadata.nodes.find(ino)
                if node is not None and node.nlink and not self._is_named(ino):
                    self._lost.lodge(node)
            case DropExtents(ino):
                self._drop_extents(ino)
            case DropXattrs(ino):
                metadata.xattrs.clear(ino)
            case RemoveFile(stripe):
                self._stage.remove([stripe])

    def _adjust(self, fix: Adjust) -> None:
        metadata = self._metadata
        if fix.sum is Sum.LIVE:
            query = "SELECT 1 FROM stripes WHERE id = ? AND died IS NULL"
            if self._db.read(query, (fix.id,)).fetchone() is not None:
                metadata.stripes.live(fix.id, fix.by)
            return
        node = metadata.nodes.find(fix.id)
        if node is None:
            return
        if fix.sum is Sum.STORED:
            metadata.put(node._replace(stored=node.stored + fix.by))
        else:
            metadata.put(node._replace(nlink=node.nlink + fix.by))

    def _drop_extents(self, ino: int) -> None:
        """Those in stripes that are there go as if the file had been removed; the others are known to nobody."""
        if self._metadata.nodes.find(ino) is None:
            known = "SELECT 1 FROM stripes WHERE id = stripe AND died IS NULL"
            self._db.write(f"DELETE FROM extents WHERE ino = ? AND NOT EXISTS ({known})", (ino,))
            self._metadata.extents.clear(ino)

    def _has_name(self, parent: int, name: bytes) -> bool:
        query = "SELECT 1 FROM names WHERE parent = ? AND name = ?"
        return self._db.read(query, (parent, name)).fetchone() is not None

    def _is_named(self, ino: int) -> bool:
        return self._db.read("SELECT 1 FROM names WHERE ino = ? LIMIT 1", (ino,)).fetchone() is not None

    def _leads(self, parent: int, name: bytes) -> bool:
        """Whether a name leads to an inode, or is not there any more."""
        row = self._db.read("SELECT ino FROM names WHERE parent = ? AND name = ?", (parent, name)).fetchone()
        return row is None or self._metadata.nodes.find(row[0]) is not None
