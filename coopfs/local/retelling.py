"""What an older group told last is told again: by the open group, as it is at that group's end (design R3)."""

from coopfs.core.records import Type
from coopfs.local.log import Log
from coopfs.local.metadata import Metadata


class Retelling:
    """For who retires the group that told it, and who wrote its row anew."""

    def __init__(self, metadata: Metadata, log: Log) -> None:
        self._metadata = metadata
        self._db = metadata.database
        self._log = log

    def tell(self, type_: Type, a: int, b: int | bytes, group: int) -> None:
        """Let the open group tell this key, if `group` told it last. Does nothing to a key that is gone."""
        metadata = self._metadata
        match type_:
            case Type.INODE:
                node = metadata.nodes.find(a)
                if node is not None and node.changed == group:
                    metadata.images.mark_inode(a)
            case Type.NAME if self._is_newest("names", "parent", "name", a, b, group):
                assert isinstance(b, bytes)
                metadata.names.changed_link(a, b)
            case Type.EXTENT if self._is_newest("extents", "ino", "offset", a, b, group):
                assert isinstance(b, int)
                if b < metadata.extents.graves.start(a):
                    self._stamp("extents", "offset", a, b)
                    metadata.images.mark_extent(a, b)
            case Type.XATTR if self._is_newest("xattrs", "ino", "name", a, b, group):
                assert isinstance(b, bytes)
                self._stamp("xattrs", "name", a, b)
                metadata.images.mark_xattr(a, b)
            case Type.STRIPE:
                record = self._log.tell_again(a, group, metadata.group)
                if record is not None:
                    metadata.images.tell_stripe(record)

    def _is_newest(self, table: str, first: str, second: str, a: int, b: int | bytes, group: int) -> bool:
        query = f"SELECT 1 FROM {table} WHERE {first} = ? AND {second} = ? AND changed = ?"
        return self._db.read(query, (a, b, group)).fetchone() is not None

    def _stamp(self, table: str, second: str, ino: int, b: int | bytes) -> None:
        self._db.write(f"UPDATE {table} SET changed = ? WHERE ino = ? AND {second} = ?", (self._metadata.group, ino, b))
