"""The invariants of a disk's database, each one question in SQL whose answer is what breaks it.

Whatever is committed is consistent in itself, and one statement sees one moment. So a question needs no care for what
operations do meanwhile: it is asked on a connection of its own, in a thread, and no two of them share a transaction.
While one is answered the write-ahead log cannot begin anew: 2 s for 10^6 files, and 12 s for all questions, measured on
a busy machine.
"""

import json
import sqlite3
import stat
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from coopfs.core.findings import (
    About,
    AddName,
    Adjust,
    AdjustTotals,
    Bury,
    DropExtents,
    DropXattrs,
    Finding,
    Lodge,
    RemoveName,
    Sum,
)
from coopfs.core.units import CHARGE
from coopfs.errors import NotAsked
from coopfs.limits import FINDINGS_MAX, ROOT_INO
from coopfs.local.database import PRIMARY, REMEDY
from coopfs.local.groups import State
from coopfs.local.totals import CONTENT, FACT, IMAGES
from coopfs.types import Kind

_IS_DIRECTORY = f"mode & {0o170000} = {stat.S_IFDIR}"
_DATA = f"{Kind.DATA:d}"

Row = Sequence[Any]


@dataclass(frozen=True, slots=True)
class LayoutBounds:
    """Of the stripes of a layout in force: id of it, rows of its stores, a mask of all bits that acks may have."""

    id: int
    rows: int
    acks: int


@dataclass(frozen=True, slots=True)
class Question:
    """sql: its rows break an invariant; tell: what such a row means. It may name `parameters`."""

    step: str
    sql: str
    tell: Callable[[Row], Finding]


def parameters(layouts: Iterable[LayoutBounds]) -> dict[str, str]:
    """What questions ask by, of the layouts in force."""
    return {"layouts": json.dumps([[bounds.id, bounds.rows, bounds.acks] for bounds in layouts])}


def _tree(text: str, fix: Callable[[Row], Any] = lambda row: None) -> Callable[[Row], Finding]:
    return lambda row: Finding(About.TREE, text.format(*map(_show, row)), fix(row))


def _sum(which: Sum, text: str) -> Callable[[Row], Finding]:
    """Of rows of an id, what is said, and what was counted."""

    def tell(row: Row) -> Finding:
        return Finding(About.ACCOUNTING, text.format(*row), Adjust(which, row[0], row[2] - row[1]))

    return tell


def _row(text: str) -> Callable[[Row], Finding]:
    return lambda row: Finding(About.ROWS, text.format(*row))


def _show(value: Any) -> str:
    return repr(value)[1:] if isinstance(value, bytes) else str(value)


def _totals(row: Row) -> Finding:
    said = [int(number) for number in str(row[0]).split()]
    images, content, pieces, length = (counted - before for counted, before in zip(row[1:], said, strict=True))
    text = f"the sums of the disk are off by {images} bytes of images, {content} of content, {pieces} extents"
    return Finding(About.ACCOUNTING, text, AdjustTotals(images, content, pieces, length))


_LINKS = f"""
WITH counted AS (SELECT ino, count(*) AS n FROM names GROUP BY ino),
     below AS (SELECT names.parent AS ino, count(*) AS n FROM names JOIN inodes USING (ino)
               WHERE {_IS_DIRECTORY} GROUP BY names.parent),
     links AS (SELECT inodes.ino, nlink, CASE
                   WHEN {_IS_DIRECTORY} AND (inodes.ino = {ROOT_INO} OR counted.n) THEN 2 + coalesce(below.n, 0)
                   ELSE coalesce(counted.n, 0) END AS true_links
               FROM inodes LEFT JOIN counted USING (ino) LEFT JOIN below USING (ino))
SELECT ino, nlink, true_links FROM links WHERE nlink != true_links AND true_links"""

# In the order in which the repair of one helps the next.
QUESTIONS: tuple[Question, ...] = (
    Question(
        "names and inodes",
        "SELECT names.parent, names.name, names.ino FROM names LEFT JOIN inodes USING (ino) WHERE inodes.ino IS NULL",
        _tree("the name {1} in directory {0} leads to inode {2}, which is not there", lambda r: RemoveName(r[0], r[1])),
    ),
    Question(
        "names and inodes",
        "SELECT names.parent, names.name, names.ino FROM names LEFT JOIN inodes AS up ON up.ino = names.parent"
        f" WHERE up.ino IS NULL OR NOT up.{_IS_DIRECTORY}",
        _tree("the name {1} of inode {2} stands in {0}, which is no directory"),
    ),
    Question(
        "names and inodes",
        "SELECT inodes.parent, inodes.name, inodes.ino FROM inodes LEFT JOIN names"
        " ON names.parent = inodes.parent AND names.name = inodes.name"
        " WHERE inodes.name IS NOT NULL AND names.ino IS NULL",
        _tree("inode {2} has the name {1}, which is not in directory {0}", lambda r: AddName(r[0], r[1], r[2])),
    ),
    Question(
        "names and inodes",
        "SELECT inodes.parent, inodes.name, inodes.ino, names.ino FROM inodes JOIN names"
        " ON names.parent = inodes.parent AND names.name = inodes.name WHERE names.ino != inodes.ino",
        _tree("inode {2} has the name {1} in directory {0}, which leads to inode {3}"),
    ),
    Question(
        "names and inodes",
        f"{_LINKS} > 0",
        _sum(Sum.LINKS, "inode {0} says that it has {1} links, and has {2}"),
    ),
    Question(
        "names and inodes",
        f"{_LINKS} = 0",
        _tree("inode {0} should have {1} links, and has no name at all", lambda r: Lodge(r[0])),
    ),
    Question(
        "accounting",
        f"WITH kept AS (SELECT ino, sum({CHARGE}) AS bytes FROM extents GROUP BY ino)"
        " SELECT inodes.ino, stored, coalesce(bytes, 0) FROM inodes LEFT JOIN kept USING (ino)"
        " WHERE stored != coalesce(bytes, 0)",
        _sum(Sum.STORED, "inode {0} says that it keeps {1} bytes alive, and keeps {2}"),
    ),
    Question(
        "accounting",
        f"WITH kept AS (SELECT stripe, sum({CHARGE}) AS bytes FROM extents GROUP BY stripe)"
        " SELECT id, live, coalesce(bytes, 0) FROM stripes LEFT JOIN kept ON stripe = id"
        f" WHERE kind = {_DATA} AND died IS NULL AND live != coalesce(bytes, 0)",
        _sum(Sum.LIVE, "stripe {0} says that {1} bytes of it live, and {2} do"),
    ),
    Question(
        "orphans",
        "SELECT ino FROM inodes WHERE nlink = 0",
        _tree("inode {0} has no name, and nobody has it open", lambda r: Bury(r[0])),
    ),
    Question(
        "orphans",
        "SELECT DISTINCT extents.ino FROM extents LEFT JOIN inodes USING (ino) LEFT JOIN graves USING (ino)"
        " WHERE inodes.ino IS NULL AND graves.ino IS NULL",
        _tree("there are extents of inode {0}, which is not there", lambda r: DropExtents(r[0])),
    ),
    Question(
        "orphans",
        "SELECT DISTINCT xattrs.ino FROM xattrs LEFT JOIN inodes USING (ino) WHERE inodes.ino IS NULL",
        _tree("there are extended attributes of inode {0}, which is not there", lambda r: DropXattrs(r[0])),
    ),
    Question(
        "extents and stripes",
        "SELECT extents.ino, extents.offset, extents.stripe FROM extents LEFT JOIN stripes ON id = stripe"
        f" WHERE id IS NULL OR kind != {_DATA} OR died IS NOT NULL OR at < 0 OR at + extents.stored > stripes.length",
        _tree("inode {0} has an extent at {1} in stripe {2}, which is not there, or dead, or shorter"),
    ),
    Question(
        "extents and stripes",
        "SELECT ino, offset FROM (SELECT ino, offset,"
        " lag(offset + length) OVER (PARTITION BY ino ORDER BY offset) AS before FROM extents) WHERE offset < before",
        _tree("inode {0} has two extents that overlap at {1}"),
    ),
    Question(
        "rows",
        f"SELECT id, row FROM stripes WHERE kind = {_DATA} AND died IS NULL AND row IS NOT NULL AND live = 0",
        lambda row: Finding(
            About.ROWS, f"nothing lives of stripe {row[0]}, and it keeps row {row[1]}", Adjust(Sum.LIVE, row[0], 0)
        ),
    ),
    Question(
        "accounting",
        f"SELECT * FROM (SELECT (SELECT value FROM facts WHERE key = '{FACT}') AS said, ({IMAGES}) AS images,"
        f" content, pieces, length FROM ({CONTENT}))"
        " WHERE said != images || ' ' || content || ' ' || pieces || ' ' || length",
        _totals,
    ),
    Question(
        "rows",
        "SELECT row, count(*) FROM stripes WHERE row IS NOT NULL GROUP BY layout, row HAVING count(*) > 1",
        _row("row {0} is that of {1} stripes"),
    ),
    Question(
        "rows",
        "SELECT version, count(*) FROM stripes WHERE version IS NOT NULL GROUP BY version HAVING count(*) > 1",
        _row("version {0:#x} is that of {1} stripes"),
    ),
    Question(
        "rows",
        "WITH bounds AS MATERIALIZED (SELECT json_extract(value, '$[0]') AS layout,"
        " json_extract(value, '$[1]') AS rows, json_extract(value, '$[2]') AS mask FROM json_each(:layouts))"
        " SELECT id, row, version FROM stripes LEFT JOIN bounds USING (layout)"
        " WHERE (row IS NULL) != (version IS NULL) OR row < 0 OR row >= rows"
        " OR acks & ~mask OR (row IS NOT NULL AND mask IS NULL)"
        " OR version > (SELECT value FROM facts WHERE key = 'epoch') << 48"
        " | (SELECT value FROM facts WHERE key = 'sequence')",
        _row("stripe {0} has row {1}, version {2}, a layout or acks that cannot be"),
    ),
    Question(
        "log",
        f"SELECT id FROM stripes LEFT JOIN meta_keys ON stripe = id WHERE kind != {_DATA} AND died IS NULL"
        " AND stripe IS NULL",
        lambda row: Finding(About.LOG, f"the keys of meta stripe {row[0]} are not known"),
    ),
    Question(
        "log",
        f"SELECT * FROM (SELECT count(*) AS open FROM groups WHERE state = {State.OPEN:d}) WHERE open != 1",
        lambda row: Finding(About.LOG, f"{row[0]} groups are open"),
    ),
)


class Questioner:
    """A connection that only reads. Its methods wait: they are for a thread, one at a time."""

    def __init__(self, path: Path) -> None:
        uri = f"{path.absolute().as_uri()}?mode=ro"
        self._connection = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False)
        self._connection.execute("PRAGMA temp_store = FILE")  # sorting 10^7 rows would take a gigabyte

    def structure(self) -> list[Finding]:
        """What SQLite itself finds damaged; then no other question can be asked. NotAsked: as `ask`."""
        try:
            found = self._connection.execute(f"PRAGMA quick_check({FINDINGS_MAX})").fetchall()
        except sqlite3.DatabaseError as bad:
            return _damaged(bad)
        return [_damage(text) for (text,) in found if text != "ok"]

    def ask(self, question: Question, parameters: Mapping[str, str]) -> list[Finding]:
        """At most FINDINGS_MAX answers; none if it was interrupted. NotAsked: no room to sort in, or the like."""
        try:
            with closing(self._connection.execute(question.sql, parameters)) as rows:
                return [question.tell(row) for row in rows.fetchmany(FINDINGS_MAX)]
        except sqlite3.DatabaseError as bad:
            return _damaged(bad)

    def interrupt(self) -> None:
        """What is being asked ends: from any thread."""
        self._connection.interrupt()

    def close(self) -> None:
        self._connection.close()


def _damaged(bad: sqlite3.DatabaseError) -> list[Finding]:
    """Only these two say something of the file: a full disk for temporary files, say, says nothing of what is in it."""
    match bad.sqlite_errorcode & PRIMARY:
        case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB:
            return [_damage(str(bad))]
        case sqlite3.SQLITE_INTERRUPT:
            return []
    raise NotAsked(str(bad)) from bad


def _damage(text: str) -> Finding:
    return Finding(About.DATABASE, f"the database is damaged ({text}): {REMEDY}")
