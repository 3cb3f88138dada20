"""The rows of the database against the log: what no image stands for a restore would not bring back (design R3, R4).

1. who replays the log says which images stand, newest first;
2. each table is asked, at one moment after a commit, for rows that name a group which does not tell them;
3. of these the ones that have not changed since are findings. The database is what the user sees: so the open group
   tells such a row again, as it is, and log and database agree when that is sealed.

A row that says it is older than its newest image is one of these too: the retirer would forget to tell it again.
"""

from collections.abc import Callable, Sequence

from coopfs.core.findings import About, Finding
from coopfs.core.records import Type, is_readable
from coopfs.core.stale import stale_by_image
from coopfs.errors import NotAsked
from coopfs.local.chain import Key
from coopfs.local.comparison import Comparison
from coopfs.local.log import Log
from coopfs.local.lostfound import Tell
from coopfs.local.metadata import Metadata
from coopfs.local.paths import files_in, path_of
from coopfs.local.retelling import Retelling
from coopfs.local.toldkeys import TABLES, ToldKeys, Untold, Walked
from coopfs.tasks.checking.asking import in_thread
from coopfs.tasks.checking.report import Report

Watch = Callable[[str, int, int], None]  # step, done, total


class ToldCheck:
    """tell: of a row that others may not know of. One object for one check; close it."""

    def __init__(self, log: Log, metadata: Metadata, tell: Tell) -> None:
        self._metadata = metadata
        self._comparison = Comparison(metadata)
        self._retelling = Retelling(metadata, log)
        self._tell = tell
        self._keys: ToldKeys | None = None
        self._why = ""  # the keys cannot be kept
        try:
            self._keys = ToldKeys(metadata.database.path)
        except NotAsked as why:
            self._why = str(why)

    async def hear(self, group: int, keys: Sequence[Key]) -> None:
        """Images that stand in this group; no older one is heard before."""
        told = self._keys
        if told is not None:
            try:
                await in_thread(told, lambda: told.note(group, keys), self._metadata.database)
            except NotAsked as why:
                self.close()
                self._why = str(why)

    async def run(self, walked: Walked, report: Report, watch: Watch, *, repair: bool) -> None:
        """Rows that are not told are found, and with `repair` told again. Commit before."""
        for number, type_ in enumerate(TABLES):
            watch("rows against the log", number, len(TABLES))
            for row in await self._ask(type_, walked, report):
                self._settle(row, report, repair=repair)
        watch("rows against the log", 1, 1)

    async def _ask(self, type_: Type, walked: Walked, report: Report) -> list[Untold]:
        told = self._keys
        try:
            if told is None:
                raise NotAsked(self._why)
            return await in_thread(told, lambda: told.untold(type_, walked), self._metadata.database)
        except NotAsked as why:
            report.note(f"not all rows of the database could be looked up in the log: {why}")
            return []

    def _settle(self, row: Untold, report: Report, *, repair: bool) -> None:
        """One step between two operations."""
        key = row.type, row.a, row.b
        group, image = self._comparison.row(*key)
        if group != row.group or image is None or self._comparison.is_touched(*key):
            return  # it has changed since, and what has changed is told
        repaired = repair and is_readable(image)  # or the whole log could not be read any more
        if repaired:
            self._retelling.tell(*key, row.group)
            for stale in stale_by_image(image):
                self._tell(*stale)
        report.add(Finding(About.LOG, self._text(row)), repaired=repaired)

    def _text(self, row: Untold) -> str:
        path = self._path(row)
        what = f"{row.type.name.lower()} {row.a}"
        if row.type in (Type.NAME, Type.EXTENT, Type.XATTR):
            what += f", {row.b}" if isinstance(row.b, int) else f", {row.b!r}".replace(" b", " ")
        how = "which is still to come" if row.is_to_come else "is missing from the log"
        where = "" if path is None else f": {path.decode(errors='backslashreplace')}"
        return f"{what} of group {row.group}{', ' if row.is_to_come else ' '}{how}{where}"

    def _path(self, row: Untold) -> bytes | None:
        """Of the file; of a stripe, a file of which it has content."""
        match row.type:
            case Type.STRIPE:
                ino = next(files_in(self._metadata, row.a), None)
                return None if ino is None else path_of(self._metadata, ino)
            case Type.NAME if isinstance(row.b, bytes):
                return path_of(self._metadata, row.a).rstrip(b"/") + b"/" + row.b
        return path_of(self._metadata, row.a)

    def close(self) -> None:
        if self._keys is not None:
            self._keys.close()
            self._keys = None
