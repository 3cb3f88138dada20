"""Data stripes as the filesystem sees them: born when the stage opens one, dead when no extent names it any more.

What happens to them on the way to the partners is the log's affair (log.py).
"""

from collections.abc import Sequence

import msgpack

from coopfs.core.stripe import Fragment
from coopfs.limits import BURIED_AT_ONCE, STRIPE_IDS
from coopfs.local.database import Database
from coopfs.local.images import Images
from coopfs.local.totals import Totals
from coopfs.types import Kind

_HEAD = 5  # bytes that tell the length of a msgpack array, at most


class Stripes:
    """Rows of data stripes, and the bytes that came to life or died since the last commit."""

    def __init__(self, database: Database, images: Images, totals: Totals) -> None:
        self._db = database
        self._images = images
        self._totals = totals
        self._next: int = database.fact("next_stripe", 1)
        self._taken = self._next  # ids below this are not used by anybody else, nor after a restart
        self._changed: dict[int, int] = {}  # stripe -> live bytes gained (lost: negative) since the last flush
        self.opened = 0  # data stripes, since the start

    def take_id(self) -> int:
        """A stripe id that was never used, for data or meta."""
        stripe = self._next
        self._next += 1
        if self._next > self._taken:
            self._taken = self._next + STRIPE_IDS
            self._db.set_fact("next_stripe", self._taken)
        return stripe

    def pass_over(self, stripe: int) -> None:
        """Give no id up to this one."""
        self._next = max(self._next, stripe + 1)

    def begin(self, stripe: int) -> None:
        """A new data stripe is born in the open group."""
        self._db.write(
            "INSERT INTO stripes (id, kind, born, length, live) VALUES (?, ?, ?, 0, 0)",
            (stripe, Kind.DATA, self._images.group),
        )
        self._totals.stripe(1)
        self.opened += 1

    def live(self, stripe: int, by: int) -> None:
        """So many bytes of it are named by extents more (negative: less) than before."""
        self._changed[stripe] = self._changed.get(stripe, 0) + by
        self._db.touch()

    def bury_empty(self) -> bool:
        """Let BURIED_AT_ONCE stripes die with the next commit that no extent names: a log may end between the death of
        a large file and that of its stripes. False: there was none."""
        query = (
            f"SELECT id FROM stripes WHERE kind = {Kind.DATA:d} AND died IS NULL AND row IS NOT NULL AND live <= 0"
            " LIMIT ?"
        )
        found = self._db.read(query, (BURIED_AT_ONCE,)).fetchall()
        for (stripe,) in found:
            self.live(stripe, 0)
        return bool(found)

    @property
    def pending(self) -> int:
        """Stripes of which bytes came to life or died since the last flush."""
        return len(self._changed)

    def flush(self, filling: int | None) -> list[int]:
        """Write live bytes and deaths into the transaction; the stripe being filled does not die.

        Returns stripes that lived and died within the open group: nobody will ever hear of them, their rows are gone,
        and their stage files go after the commit.
        """
        changed, self._changed = self._changed, {}
        never_sent = []
        for stripe, by in changed.items():
            live, born, died = self._db.write(
                "UPDATE stripes SET live = live + ? WHERE id = ? RETURNING live, born, died", (by, stripe)
            ).fetchone()
            assert live >= 0, f"stripe {stripe} has less than nothing that lives"
            if live or stripe == filling or died is not None:
                continue
            if born == self._images.group:
                self.forget(stripe)
                never_sent.append(stripe)
            else:
                self._db.write("UPDATE stripes SET died = ? WHERE id = ?", (self._images.group, stripe))
                self._totals.stripe(-1)
                self._images.mark_stripe_death(stripe)
        return never_sent

    def forget(self, stripe: int) -> None:
        """A stripe that was never sent goes."""
        self._totals.stripe(-1)
        self._db.write("DELETE FROM stripes WHERE id = ?", (stripe,))
        self._db.write("DELETE FROM fragments WHERE stripe = ?", (stripe,))

    def set_content(self, stripe: int, length: int, fragments: Sequence[Fragment]) -> None:
        """Note what a data stripe holds by now."""
        packed = msgpack.packb([_fields(f) for f in fragments])
        self._db.write("UPDATE stripes SET length = ? WHERE id = ?", (length, stripe))
        self._db.write("INSERT OR REPLACE INTO fragments VALUES (?, ?)", (stripe, packed))

    def fragments(self, stripe: int) -> list[Fragment]:
        """What a data stripe holds, in content order, as of the last commit."""
        row = self._db.read("SELECT list FROM fragments WHERE stripe = ?", (stripe,)).fetchone()
        return [] if row is None else [Fragment(*fields) for fields in msgpack.unpackb(row[0])]

    def count_fragments(self, stripe: int) -> int:
        """How many there are of them. A cache of 10 GB has millions, which a start must not read: a list begins with
        its length."""
        row = self._db.read("SELECT substr(list, 1, ?) FROM fragments WHERE stripe = ?", (_HEAD, stripe)).fetchone()
        if row is None:
            return 0
        head = msgpack.Unpacker()
        head.feed(row[0])
        return int(head.read_array_header())

    def length(self, stripe: int) -> int | None:
        """Content bytes of a stripe; None: there is no such stripe."""
        row = self._db.read("SELECT length FROM stripes WHERE id = ?", (stripe,)).fetchone()
        return None if row is None else int(row[0])

    def known(self, stripe: int) -> bool:
        return self._db.read("SELECT 1 FROM stripes WHERE id = ?", (stripe,)).fetchone() is not None

    @property
    def group(self) -> int:
        """The open one, in which new stripes are born."""
        return self._images.group

    def born(self, stripe: int) -> int:
        """The group in which a stripe that is there was opened."""
        return int(self._db.read("SELECT born FROM stripes WHERE id = ?", (stripe,)).fetchone()[0])

    def unsealed(self) -> list[tuple[int, int]]:
        """(id, length in bytes) of data stripes whose content may exist on this machine only."""
        return self._db.read("SELECT id, length FROM stripes WHERE row IS NULL AND kind = ?", (Kind.DATA,)).fetchall()


def _fields(f: Fragment) -> list[int | bytes]:
    plain: list[int | bytes] = [f.ino, f.offset, f.length, f.parent, f.name]
    return [*plain, f.codec, f.packed] if f.codec else plain
