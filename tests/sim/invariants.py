"""What holds whenever all is quiet: every partner is up, nothing is under way, the open group is empty."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from coopfs.core.digest import add, slot_term, to_bytes
from coopfs.core.units import CHARGE
from coopfs.local.database import Database
from coopfs.local.disk import DATABASE
from coopfs.types import Kind, StoreId
from tests.memory import StoreContent
from tests.sim.owner import Owner
from tests.sim.trace import Violation

TABLES = {
    "inodes": "SELECT ino, mode, uid, gid, nlink, rdev, size, atime, mtime, ctime, parent, name, target, stored,"
    " changed FROM inodes WHERE nlink > 0 ORDER BY ino",
    "names": "SELECT parent, name, ino FROM names ORDER BY parent, name",
    "extents": "SELECT ino, offset, length, stripe, at, extents.stored, raw, skip, codec,"
    " CASE WHEN offset > 0 THEN extents.changed END"
    " FROM extents JOIN inodes USING (ino) WHERE nlink > 0 ORDER BY ino, offset",
    "xattrs": "SELECT xattrs.* FROM xattrs JOIN inodes USING (ino) WHERE nlink > 0 ORDER BY ino, xattrs.name",
    "stripes": "SELECT id, born, length, layout, slices, tag, row, version, changed FROM stripes"
    f" WHERE kind = {Kind.DATA:d} AND died IS NULL ORDER BY id",
    "live": f"SELECT stripe, sum({CHARGE}) FROM extents GROUP BY stripe ORDER BY stripe",
}


def check_replay(owner: Owner, directory: Path) -> None:
    """The database that a restore built in `directory` from the log alone is the owner's."""
    rebuilt = Database(directory / DATABASE)
    ours = owner.own.local.database
    try:
        for name, query in TABLES.items():
            if name == "live" and owner.own.local.metadata.nodes.orphans():
                continue  # what is unlinked and open is known here only
            _same(name, ours.read(query).fetchall(), rebuilt.read(query).fetchall())
        _same("live", ours.read(TABLES["live"]).fetchall(), _live(ours))
        totals = owner.own.local.metadata.totals
        _same("totals", [totals.images, totals.content, totals.pieces, totals.length], list(totals.count()))
    finally:
        rebuilt.close()


def _live(database: Database) -> list[Any]:
    query = f"SELECT id, live FROM stripes WHERE kind = {Kind.DATA:d} AND live > 0 ORDER BY id"
    return database.read(query).fetchall()


def _same(name: str, ours: list[Any], theirs: list[Any]) -> None:
    if ours != theirs:
        first = next((pair for pair in zip(ours, theirs, strict=False) if pair[0] != pair[1]), "lengths")
        raise Violation(f"replay of the log differs from the database in {name}: {first!r:.400}")


def _check_digests(owner: Owner, stores: Sequence[Mapping[StoreId, StoreContent]]) -> None:
    """The digest of a column is that of all it acked and all that is left there; and if it is the store's, then the
    store holds that and nothing else."""
    database, slots = owner.own.local.database, owner.own.ledger.slots
    known = "SELECT row, version FROM {} WHERE acks & ?"
    seats = owner.own.ledger.seats.of(owner.own.ledger.layout.id).seats
    for column, (place,) in enumerate(owner.own.places.columns):
        seat = seats[column]
        bit = 1 << seat
        here = [*database.read(known.format("stripes"), (bit,)), *database.read(known.format("remains"), (bit,))]
        if slots.digest(seat) != to_bytes(add(0, sum(slot_term(row, version) for row, version in here))):
            raise Violation(f"the digest of column {column} is not that of what it is said to have")
        store = stores[column][place.store]
        if slots.digest(seat) == store.digest():
            owner.world.trace.counts["digest"] += 1
            if sorted(here) != sorted((row, block.version) for row, block in store.blocks.items()):
                raise Violation(f"column {column} holds something else, with the same digest")


def have_masters(owner: Owner) -> bool:
    """Whether every partner has the newest master block (R14)."""
    columns = range(owner.own.ledger.layout.n)
    return all(owner.world.masters(number)[:1] == [owner.own.keeper.block] for number in columns)


async def check_cache(owner: Owner) -> None:
    """Nothing must stay here, nobody waits, and every byte can be read."""
    cache = owner.own.local.cache
    if owner.world.geometry.m and cache.dirty:
        raise Violation(f"all is complete, but {cache.dirty} bytes must stay")
    if not owner.own.committer.may_append(100_000):
        raise Violation("all is complete, and writers wait")
    for (ino,) in owner.own.local.database.read("SELECT ino FROM inodes ORDER BY ino").fetchall():
        if not await owner.read_file(ino):
            raise Violation(f"all is complete, but inode {ino} cannot be read")


async def check_checker(owner: Owner) -> None:
    """A check finds nothing where all is well."""
    report = await owner.own.checker.run(lambda step, done, total: None, deep=False, repair=False)
    if report.count or report.notes:
        raise Violation(f"a check finds damage in a disk that is well: {report.found[:3]} {report.notes[:3]}")


def check_ledger(owner: Owner) -> None:
    """What the ledger says of blocks, rows and acks is what the partners have."""
    ledger = owner.own.ledger
    full = ledger.seats.of(ledger.layout.id).mask
    places = list(ledger.log.places())
    stores = [site.host.stores for site in owner.world.sites]
    for id_, row, version, acks in places:
        if acks != full:
            raise Violation(f"all is quiet and stripe {id_} lacks columns: {acks:#b}")
        for column, (store,) in enumerate(owner.own.places.columns):
            stored = stores[column][store.store].blocks.get(row)
            if stored is None or stored.version != version:
                raise Violation(f"column {column} is said to have stripe {id_} in row {row}, and has {stored!r:.60}")
    _check_digests(owner, stores)
    if ledger.progress.pending:
        raise Violation(f"{ledger.progress.pending} stripes are pending, all are complete")
    rows = [row for _, row, _, _ in places]
    if len(set(rows)) != len(rows) or ledger.rows.free != ledger.rows.total - len(rows):
        raise Violation("rows that are free do not add up with those that are taken")
    if (ledger.progress.away, ledger.progress.margin()) != (0, ledger.layout.m):
        raise Violation(f"all is quiet, but A is {ledger.progress.away:#b}, the margin {ledger.progress.margin()}")
