"""The log's side of the database: groups on their way out, stripes with their rows, versions and acks (R3, R5, R7).

Facts kept here: `epoch`, `barrier` (newest group held), `end_row`, `end_version` (the
newest END known written), `chain` (32 bytes, after the newest meta stripe sealed).
Groups count from 1.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import msgpack

from coopfs.core.columnstate import ColumnState
from coopfs.core.meta import FIRST_CHAIN
from coopfs.core.records import Stripe, Type, encode
from coopfs.limits import ROOT_INO, STRIPE_BYTES
from coopfs.local.acks import ACKS, Acks
from coopfs.local.chain import Chain, Key
from coopfs.local.database import Database
from coopfs.local.groups import State
from coopfs.local.payloads import Payloads
from coopfs.local.versions import Versions
from coopfs.types import Kind, Place, Version

# SQLite uses the index of a part of a table where a query says the same in the same words, without parameters.
_LIVE_DATA = f"kind = {Kind.DATA:d} AND died IS NULL AND row IS NOT NULL"

ALL_STRIPES = 1 << 62  # above every stripe id
ALL_GROUPS = 1 << 62  # above every group

_COLUMNS = "id, kind, born, died, layout, length, slices, tag, row, version, end_row, end_version, acks"


@dataclass(frozen=True, slots=True)
class Sealed:
    """A stripe with its place, as its row in the table has it. length in bytes; acks: a bit for each seat
    whose column has it (core/seats).

    end: what its header names; None after a takeover, until one of its blocks was read.
    """

    id: int
    kind: Kind
    born: int
    died: int | None
    layout: int
    length: int
    slices: tuple[int, ...]
    tag: bytes
    place: Place
    end: Place | None
    acks: int

    @property
    def record(self) -> Stripe:
        """What the log says of a data stripe."""
        return Stripe(self.id, self.place, self.layout, self.length, self.slices, self.tag, self.born)


class Log:
    """All changes belong to the transaction of the caller's next commit."""

    def __init__(self, database: Database, new_stripe_id: Callable[[], int]) -> None:
        self.payloads = Payloads(database)
        self._db = database
        self.versions = Versions(database)
        self.new_stripe_id = new_stripe_id
        self.acks = Acks(database)
        self.chain = Chain(database)

    # --- groups ---------------------------------------------------------------------------------------------------

    def groups(self, state: State) -> list[int]:
        """The groups in this state, oldest first."""
        return [g for (g,) in self._db.read("SELECT id FROM groups WHERE state = ? ORDER BY id", (state,))]

    def closed_after(self, group: int) -> int | None:
        """The oldest closed group after this one that has no meta stripes yet."""
        query = "SELECT id FROM groups WHERE id > ? AND state = ? ORDER BY id LIMIT 1"
        row = self._db.read(query, (group, State.CLOSED)).fetchone()
        return None if row is None else row[0]

    def newest_sealed(self) -> int:
        """The newest group all of whose stripes have a place; 0: none."""
        query = "SELECT coalesce(max(id), 0) FROM groups WHERE state >= ?"
        return int(self._db.read(query, (State.SEALED,)).fetchone()[0])

    def set_state(self, group: int, state: State) -> None:
        self._db.write("UPDATE groups SET state = ? WHERE id = ?", (state, group))

    def closed_at(self, group: int) -> int:
        """Wall seconds at the boundary of a closed group."""
        (seconds,) = self._db.read("SELECT closed_at FROM groups WHERE id = ?", (group,)).fetchone()
        return int(seconds)

    def images(self, group: int) -> Iterator[tuple[Key | None, bytes]]:
        """The encoded records of a closed group, in key order; the key of those that are images, None for those that
        are never told again."""
        query = "SELECT type, a, b, stands, image FROM open_images WHERE grp = ? ORDER BY type, a, b"
        for type_, a, b, stands, image in self._db.read(query, (group,)):
            yield ((type_, a, b) if stands else None), image

    def drop_images(self, group: int) -> None:
        """Its meta stripes are sealed: the images stand in their payloads."""
        self._db.write("DELETE FROM open_images WHERE grp = ?", (group,))

    def stripe_records(self, group: int) -> Iterator[tuple[Key | None, bytes]]:
        """The records of the stripes born in a group, as `images`: taken when its meta stripes are sealed, as they
        are at its end (R5)."""
        born = f"SELECT {_COLUMNS} FROM stripes WHERE born = ? AND kind = ? AND (died IS NULL OR died > born)"
        for row in self._db.read(born, (group, Kind.DATA)).fetchall():
            record = _sealed(row).record
            yield (Type.STRIPE, record.id, 0), encode(record)

    def content_bytes(self) -> int:
        """Content bytes of all data stripes."""
        query = "SELECT coalesce(sum(length), 0) FROM stripes WHERE kind = ?"
        return int(self._db.read(query, (Kind.DATA,)).fetchone()[0])

    def bytes_after(self, barrier: int) -> int:
        """Content bytes of all groups newer than this one."""
        return int(self._db.read("SELECT coalesce(sum(bytes), 0) FROM groups WHERE id > ?", (barrier,)).fetchone()[0])

    # --- stripes --------------------------------------------------------------------------------------------------

    def unsealed_of(self, group: int) -> list[tuple[int, int, int | None]]:
        """(id, content bytes, layout) of the data stripes of a closed group that have no place yet, in content order.
        layout None: the one in use."""
        query = (
            "SELECT id, length, layout FROM stripes WHERE born = ? AND kind = ? AND row IS NULL AND length > 0"
            " ORDER BY id"
        )
        return self._db.read(query, (group, Kind.DATA)).fetchall()

    def keep_layout(self, layout: int) -> None:
        """Another layout is about to be used: what was filled for this one, and has no place yet, is sealed in it."""
        query = "UPDATE stripes SET layout = ? WHERE kind = ? AND row IS NULL AND layout IS NULL"
        self._db.write(query, (layout, Kind.DATA))

    def get(self, id_: int) -> Sealed | None:
        """A stripe, None while it is not sealed."""
        row = self._db.read(f"SELECT {_COLUMNS} FROM stripes WHERE id = ? AND row IS NOT NULL", (id_,)).fetchone()
        return None if row is None else _sealed(row)

    def is_sealed(self, id_: int, up_to: int = ALL_GROUPS) -> bool:
        """Whether a stripe has a place, and not lost it again to the death that was held; and was born in the group
        `up_to`, or before."""
        query = "SELECT 1 FROM stripes WHERE id = ? AND row IS NOT NULL AND born <= ?"
        return self._db.read(query, (id_, up_to)).fetchone() is not None

    def count_by_layout(self, ids: Sequence[int]) -> dict[int, int]:
        """How many of these stripes are sealed, for each layout that any of them has."""
        query = (
            "SELECT layout, count(*) FROM stripes WHERE id IN (SELECT value FROM json_each(?)) AND row IS NOT NULL"
            " GROUP BY layout"
        )
        return dict(self._db.read(query, (json.dumps(ids),)).fetchall())

    def born_in(self, after: int, up_to: int) -> list[int]:
        """The stripes that were born in the groups after one, up to another."""
        query = "SELECT id FROM stripes WHERE born > ? AND born <= ?"
        return [id_ for (id_,) in self._db.read(query, (after, up_to))]

    def born_after(self, group: int) -> list[int]:
        """The sealed stripes that were born in groups after this one, which are few while groups become held."""
        query = "SELECT id FROM stripes WHERE born > ? AND row IS NOT NULL ORDER BY id"
        return [id_ for (id_,) in self._db.read(query, (group,))]

    def is_data(self, id_: int) -> bool:
        """Whether a stripe is one of content, and sealed."""
        query = "SELECT 1 FROM stripes WHERE id = ? AND kind = ? AND row IS NOT NULL"
        return self._db.read(query, (id_, Kind.DATA)).fetchone() is not None

    def newest_data(self, limit: int, below: int = ALL_STRIPES) -> list[int]:
        """Data stripes that live and are sealed, with ids below this one, newest first."""
        query = f"SELECT id FROM stripes WHERE {_LIVE_DATA} AND id < ? ORDER BY id DESC LIMIT ?"
        return [id_ for (id_,) in self._db.read(query, (below, limit))]

    def places(self, after: int = 0, limit: int = -1) -> list[tuple[int, int, int, int]]:
        """(id, row, version, acks) of the sealed stripes after this one, by ascending id; in acks, bit INCOMING too.
        limit -1: of all."""
        query = "SELECT id, row, version, acks FROM stripes WHERE id > ? AND row IS NOT NULL ORDER BY id LIMIT ?"
        return self._db.read(query, (after, limit)).fetchall()

    def rows_taken(self, layout: int) -> Iterator[int]:
        """In the stores of this layout."""
        query = "SELECT row FROM stripes WHERE layout = ? AND row IS NOT NULL"
        return (row for (row,) in self._db.read(query, (layout,)))

    def unsealed(self) -> int:
        """Stripes that have no row yet, each of which will take one of the layout in use."""
        query = "SELECT count(*) FROM stripes WHERE row IS NULL AND layout IS NULL"
        return int(self._db.read(query).fetchone()[0])

    def image_lengths(self, group: int) -> Iterator[int]:
        """Bytes of each record of a closed group, in the order in which they are told."""
        query = "SELECT length(image) FROM open_images WHERE grp = ? ORDER BY type, a, b"
        for (length,) in self._db.read(query, (group,)):
            yield length
        query = "SELECT count(*) FROM stripes WHERE born = ? AND kind = ?"
        for _ in range(self._db.read(query, (group, Kind.DATA)).fetchone()[0]):
            yield STRIPE_BYTES

    def next_version(self) -> Version:
        """A version greater than all before; durable with the next commit, before anything is sent under it."""
        return self.versions.next()

    @property
    def epoch(self) -> int:
        return self.versions.epoch

    @property
    def newest_version(self) -> Version:
        """The greatest version that this home ever gave, or leapt over."""
        return self.versions.newest

    def set_named_end(self, id_: int, end: Place) -> None:
        """What a stripe's header names was read from one of its blocks."""
        self._db.write("UPDATE stripes SET end_row = ?, end_version = ? WHERE id = ?", (end.row, end.version, id_))

    def seal_data(self, stripe: Sealed) -> None:
        """Give a data stripe its place, once (R5)."""
        assert stripe.end is not None
        self.versions.sealed(stripe.place.version)
        self._db.write(
            "UPDATE stripes SET layout = ?, slices = ?, tag = ?, row = ?, version = ?, end_row = ?, end_version = ?,"
            " grp = born, changed = born WHERE id = ? AND row IS NULL",
            (
                stripe.layout,
                msgpack.packb(stripe.slices),
                stripe.tag,
                stripe.place.row,
                stripe.place.version,
                stripe.end.row,
                stripe.end.version,
                stripe.id,
            ),
        )

    def add_meta(self, stripe: Sealed, payload: bytes, keys: Sequence[Key]) -> None:
        """A new meta stripe with its place and payload. keys: of the images in it, not of tombstones and truncates."""
        assert stripe.end is not None
        self.versions.sealed(stripe.place.version)
        self._db.write(
            "INSERT INTO stripes"
            " (id, kind, born, length, live, layout, slices, tag, row, version, end_row, end_version, grp)"
            " VALUES (?, ?, ?, ?, 0, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                stripe.id,
                stripe.kind,
                stripe.born,
                stripe.length,
                stripe.layout,
                msgpack.packb(()),
                stripe.tag,
                stripe.place.row,
                stripe.place.version,
                stripe.end.row,
                stripe.end.version,
                stripe.born,
            ),
        )
        self.payloads.add(stripe.id, payload)
        self._db.write("INSERT INTO meta_keys VALUES (?, ?)", (stripe.id, msgpack.packb(keys)))

    def dead_data(self) -> int:
        """Dead data stripes whose rows are not free yet."""
        query = "SELECT count(*) FROM stripes WHERE died IS NOT NULL AND kind = ? AND row IS NOT NULL"
        return int(self._db.read(query, (Kind.DATA,)).fetchone()[0])

    def live_data(self) -> tuple[int, int]:
        """(data stripes that live and have a place, content bytes of them that extents name)."""
        query = f"SELECT count(*), coalesce(sum(live), 0) FROM stripes WHERE {_LIVE_DATA}"
        stripes, live = self._db.read(query).fetchone()
        return int(stripes), int(live)

    def sparsest(self, most: int, barrier: int, limit: int) -> list[tuple[int, int, int]]:
        """(id, length, live bytes) of the data stripes, held, in which least lives, and at most `most` bytes."""
        query = (
            f"SELECT id, length, live FROM stripes WHERE {_LIVE_DATA} AND born <= ? AND live <= ? ORDER BY live LIMIT ?"
        )
        return self._db.read(query, (barrier, most, limit)).fetchall()

    def tell_again(self, id_: int, group: int, now: int) -> Stripe | None:
        """The record of a data stripe that lives, if `group` told it last: the open group `now` tells it again."""
        query = "UPDATE stripes SET changed = ? WHERE id = ? AND changed = ? AND died IS NULL"
        if self._db.write(query, (now, id_, group)).rowcount == 0:
            return None
        stripe = self.get(id_)
        assert stripe is not None
        return stripe.record

    def died_in(self, group: int) -> Iterator[int]:
        """The stripes that a group killed: one deletion may have been of a terabyte."""
        return (id_ for (id_,) in self._db.read("SELECT id FROM stripes WHERE died = ?", (group,)))

    def dead_by(self, barrier: int, limit: int) -> list[tuple[int, int, int, int | None, int, int]]:
        """(stripe id, kind, layout, row, version, acks) of stripes whose death is held: their rows may be used again.
        Those that died first come first."""
        query = (
            "SELECT id, kind, layout, row, version, acks FROM stripes WHERE died IS NOT NULL AND died <= ?"
            " ORDER BY died LIMIT ?"
        )
        return self._db.read(query, (barrier, limit)).fetchall()

    def forget(self, ids: Sequence[int]) -> None:
        """Dead stripes, after their rows were given back."""
        self._db.write_many("DELETE FROM stripes WHERE id = ?", [(i,) for i in ids])
        self._db.write_many("DELETE FROM fragments WHERE stripe = ?", [(i,) for i in ids])
        self.payloads.forget(ids)

    # --- facts of the whole log -----------------------------------------------------------------------------------

    @property
    def barrier(self) -> int:
        return int(self._db.fact("barrier", 0))

    @property
    def rehold(self) -> int:
        """The group found by a takeover that is not finished: it, and one more, must be held before anything else is
        done. 0: all is well."""
        return int(self._db.fact("rehold", 0))

    def held_again(self) -> None:
        """The takeover is finished."""
        self._db.set_fact("rehold", 0)

    def set_barrier(self, group: int) -> None:
        assert group >= self.barrier
        self._db.set_fact("barrier", group)

    @property
    def next_ino(self) -> int:
        """Greater than every inode number of the groups closed so far."""
        return int(self._db.fact("next_ino", ROOT_INO + 1))

    @property
    def next_stripe(self) -> int:
        """Greater than every stripe id of the groups closed so far."""
        return int(self._db.fact("next_stripe", 1))

    @property
    def end(self) -> Place:
        """The newest END known written; Place(0, 0) if none."""
        return Place(int(self._db.fact("end_version", 0)), int(self._db.fact("end_row", 0)))

    def end_of(self, group: int) -> Place:
        """The END of a group that is sealed."""
        query = "SELECT version, row FROM stripes WHERE born = ? AND kind = ?"
        version, row = self._db.read(query, (group, Kind.END)).fetchone()
        return Place(version, row)

    def set_end(self, place: Place) -> None:
        self._db.set_fact("end_version", place.version)
        self._db.set_fact("end_row", place.row)

    @property
    def tag_chain(self) -> bytes:
        return bytes(self._db.fact("chain", FIRST_CHAIN))

    def set_tag_chain(self, chain: bytes) -> None:
        self._db.set_fact("chain", chain)

    # --- columns --------------------------------------------------------------------------------------------------

    def columns(self) -> dict[int, tuple[int | None, ColumnState]]:
        """Seat of a column -> (unreachable since, wall seconds; its state)."""
        rows = self._db.read("SELECT number, unreachable_since, state FROM columns")
        return {number: (since, ColumnState(state)) for number, since, state in rows}

    def set_column(self, number: int, unreachable_since: int | None, state: ColumnState) -> None:
        self._db.write("INSERT OR REPLACE INTO columns VALUES (?, ?, ?)", (number, unreachable_since, int(state)))


def _sealed(columns: Sequence[Any]) -> Sealed:
    id_, kind, born, died, layout, length, slices, tag, row, version, end_row, end_version, acks = columns
    place, end = Place(version, row), None if end_version is None else Place(end_version, end_row)
    cut = tuple(msgpack.unpackb(slices))
    return Sealed(id_, Kind(kind), born, died, layout, length, cut, tag, place, end, acks & ACKS)
