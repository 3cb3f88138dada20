"""What a start finds in the stage directory, compared with what the database names, and entered into the books.

1. content that was not sealed must be there, whole, or there is no start;
2. a file whose group is far above the newest one of the database says that this is an old one: no start either;
3. what the database names is charged to the cache, cut to what it should be, if no more than that was synced;
4. of what it does not name, files without an index were never synced, and go;
5. the others are strays.

A stray was written, synced, and not promised to anybody yet when the last process ended, as a rule. But where the
database is an old one, as its log was lost or is torn, it may be all there is of what was promised. So it stays until
partners have shown that they know no more than the database does (tasks/writing/strays); a takeover finds it.
"""

import errno
from collections.abc import Iterable
from pathlib import Path

from coopfs.core.cache import Cache, charge_of
from coopfs.errors import StateError
from coopfs.limits import GROUPS_AHEAD
from coopfs.local.contents import Contents
from coopfs.local.database import REMEDY
from coopfs.local.filling import end_file
from coopfs.local.stageindex import index_size, read_index
from coopfs.local.stripes import Stripes


def take_stock(contents: Contents, stripes: Stripes, cache: Cache) -> set[int]:
    """Enter all files into the cache's books. Returns the stripes whose files were written to: they are to be synced.

    Content that was sealed may be missing: it was evicted. StateError: content that has still to be sent is missing
    or short, or newer than the database.
    """
    found = contents.scan()
    _require_unsent(contents, stripes, dict(found))
    _refuse_newer(contents, stripes, (stripe for stripe, _ in found))
    unsynced: set[int] = set()
    for stripe, size in found:
        length = stripes.length(stripe)
        if length is not None:
            cache.charge(stripe, _cut(contents, stripes, stripe, size, length, unsynced))
        elif contents.is_fetched(stripe) or read_index(contents.path(stripe)) is None:
            contents.remove(stripe)
        else:
            stripes.pass_over(stripe)  # the file of a new one with this id would take its place
            cache.charge_stray(stripe, size)
    return unsynced


def _require_unsent(contents: Contents, stripes: Stripes, sizes: dict[int, int]) -> None:
    for stripe, length in stripes.unsealed():
        path = contents.path(stripe)
        if stripe not in sizes:
            raise StateError(f"the stage file {path} is missing: {REMEDY}")
        if sizes[stripe] < length:
            raise StateError(f"the stage file {path} is shorter than the database says: {REMEDY}")
        stripes.live(stripe, 0)  # the one that was being filled may die now


def _refuse_newer(contents: Contents, stripes: Stripes, found: Iterable[int]) -> None:
    for stripe in found:
        if not contents.is_fetched(stripe) and not stripes.known(stripe):
            path = contents.path(stripe)
            index = read_index(path)
            if index is not None and index.group > stripes.group + GROUPS_AHEAD:
                raise StateError(f"the stage file {path} is newer than the database, which is an old one: {REMEDY}")


def _cut(contents: Contents, stripes: Stripes, stripe: int, size: int, length: int, unsynced: set[int]) -> int:
    """Take away what a file has behind its content and its index: it was being filled, or a power loss has undone the
    cut. Returns its bytes."""
    if contents.is_fetched(stripe):
        return contents.cut(stripe, size, length)
    if charge_of(size) == charge_of(length):
        return size
    path, right = contents.path(stripe), length + index_size(stripes.count_fragments(stripe))
    if charge_of(size) <= charge_of(right) or _tells_of_more(path, length):
        return size
    try:
        end_file(path, stripe, stripes.born(stripe), length, stripes.fragments(stripe))
    except OSError as bad:
        if bad.errno != errno.EIO:
            raise
        return size  # a bad sector behind the content costs room, and nothing else
    unsynced.add(stripe)
    return right


def _tells_of_more(path: Path, length: int) -> bool:
    """Whether more was synced than the database names, which may be an old one: it stays, as strays do."""
    index = read_index(path)
    return index is not None and sum(piece.stored for piece in index.pieces) > length
