"""A disk of many rows: what its owner asks of the table of stripes, and one partner's store of it.

    python -m benchlib.manyrows DIRECTORY ROWS      # what the parent starts: one line of JSON

The table is made as if the rows had been filled over years, all acknowledged by all columns of 6+2 but the newest
1024, and 1 in 2048 a meta stripe. Then, each time in seconds of CPU, of rows for each, memory in bytes:

1. the disk is opened; what is asked for each group is asked;
2. all columns tell their inventories, page by page, and one of them is compared with the table;
3. one column is found empty: all it acked is taken back, and it is asked what it lacks;
4. a restore looks for the newest candidates in all inventories;
5. a new store for that column has nearly all of them; it is asked what this one lacks, and takes the column's place;
6. one group has killed many of them, which are released;
7. a partner opens its store, whose rows are all written, and tells its inventory.
"""

import json
import os
import resource
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import TypeVar

import trio

from coopfs.core import digest
from coopfs.core.ids import NO_IDS
from coopfs.core.inventory import Inventory
from coopfs.core.newest import Answers
from coopfs.core.quorum import Quorum
from coopfs.core.seats import seat
from coopfs.core.storeformat import ENTRY, PAGE, Entry, StoreHeader, checksum
from coopfs.limits import CLEANER_BATCH, INVENTORY_PAGE, KIB, MIN_BLOCK_SIZE, RELEASE_COMMIT, RELEASE_SLICE
from coopfs.local.acks import INCOMING
from coopfs.local.database import Database
from coopfs.local.disk import LocalDisk, create_disk
from coopfs.local.hosted.storefile import StoreFile, write_header
from coopfs.local.incoming import IncomingAcks
from coopfs.local.log import Log
from coopfs.local.slots import Slots
from coopfs.tasks.reshaping.incoming import Incoming
from coopfs.tasks.writing.ledger import Ledger
from coopfs.types import DiskId, Layout, Slot, StoreId, make_version

LAYOUT = Layout(1, 6, 2, 64 * KIB)
IN_A_GROUP = 32  # stripes
META_EVERY = 2048
COMPLETE = (1 << LAYOUT.n) - 1
UNDER_WAY = 1024  # of the newest stripes one column lacks
FIRST = make_version(1, 0)
COLUMN = 3
LOOKS = 100
DEAD = 200_000  # stripes that one group has killed

T = TypeVar("T")

STRIPES = (
    "WITH RECURSIVE counted(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM counted WHERE i < :rows) INSERT INTO stripes"
    " (id, kind, born, length, live, layout, slices, tag, row, version, end_row, end_version, grp, changed, acks)"
    f" SELECT i, 1 + 2 * (i % {META_EVERY} = 0), i / {IN_A_GROUP} + 1, 390000, 390000, 1,"
    f" x'96cdfdefcdfdefcdfdefcdfdefcdfdefcdfdef', randomblob(16), i - 1, {FIRST} + i, i, {FIRST} + i,"
    f" i / {IN_A_GROUP} + 1, i / {IN_A_GROUP} + 1, {COMPLETE} - (i > :rows - {UNDER_WAY}) FROM counted"
)
GROUPS = (
    "WITH RECURSIVE counted(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM counted WHERE i < :groups)"
    " INSERT INTO groups SELECT i, 3, i, i, 40, 12000000 FROM counted"
)


class Store:
    """The one that is compared."""

    gone = False

    def lacks(self) -> None:
        """What is in A is of no account here."""

    async def pause(self) -> None:
        """Nobody commits meanwhile."""
        await trio.lowlevel.checkpoint()


class Watch:
    """The figures, by name."""

    def __init__(self) -> None:
        self.found: dict[str, float] = {}

    def timed(self, name: str, work: Callable[[], T], among: int = 1) -> T:
        """among: rows that share what it took."""
        began = time.process_time()
        result = work()
        self.found[name] = (time.process_time() - began) / among
        return result

    def longest(self, name: str, steps: Iterable[Callable[[], object]]) -> None:
        """Of these, each of which holds up everybody else."""
        self.found[name] = 0.0
        for step in steps:
            before = self.found[name]
            self.timed(name, step)
            self.found[name] = max(before, self.found[name])

    def memory(self, name: str) -> None:
        """Most of this process until now."""
        self.found[name] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * KIB


def _make(directory: Path, rows: int) -> None:
    create_disk(directory, time.time_ns, 0, 0, {"epoch": 1, "k": LAYOUT.k, "shard_length": LAYOUT.block_size})
    local = LocalDisk(directory, time.time_ns)
    database, groups = local.database, rows // IN_A_GROUP + 1
    database.write("DELETE FROM groups")
    database.write(GROUPS.replace(":groups", str(groups)))
    database.write("INSERT INTO groups (id, state) VALUES (?, 0)", (groups + 1,))
    database.write(STRIPES.replace(":rows", str(rows)))
    for fact, value in {"barrier": groups, "sequence": rows, "next_stripe": rows + 1}.items():
        database.set_fact(fact, value)
    database.commit()
    database.checkpoint()
    local.close()


def _slots(rows: int) -> Iterator[list[Slot]]:
    for first in range(0, rows, INVENTORY_PAGE):
        yield [Slot(row, FIRST + row + 1, 65_000) for row in range(first, min(rows, first + INVENTORY_PAGE))]


def _inventory(rows: int) -> Inventory:
    inventory = Inventory(2 * rows)
    for page in _slots(rows):
        inventory.add(page)
    return inventory


def owner(directory: Path, rows: int, watch: Watch) -> None:
    """Steps 1 to 6."""
    local = watch.timed("rows_open", lambda: LocalDisk(directory, time.time_ns))
    log, slots = Log(local.database, local.metadata.stripes.take_id), Slots(local.database)
    ledger = watch.timed(
        "rows_ledger",
        lambda: Ledger(log, slots, seat([LAYOUT], {}), LAYOUT.id, {LAYOUT.id: 2 * rows}, lambda ids: None, local.cache),
    )
    group = log.newest_sealed()
    watch.timed(
        "rows_group", lambda: (log.chain.of(group), log.chain.length(), log.chain.head(), log.dead_by(group, 1))
    )
    watch.timed("rows_sparsest", lambda: log.sparsest(200_000, group, 8))
    watch.memory("rows_memory")
    found = watch.timed("rows_inventory", lambda: _inventory(rows), rows)
    store = Store()
    watch.timed("rows_reconcile", partial(trio.run, ledger.reconcile, found, COLUMN, store), rows)
    answers = Answers(Quorum(LAYOUT.k, LAYOUT.m), dict.fromkeys(range(LAYOUT.n), found))
    watch.timed("rows_newest", partial(next, answers.places()))
    watch.memory("rows_memory_compared")
    del found, answers
    watch.timed("rows_lost", partial(trio.run, ledger.reconcile, Inventory(2 * rows), COLUMN, store), rows)
    watch.timed("rows_lacking", lambda: ledger.lacking(COLUMN, is_not, NO_IDS))
    watch.memory("rows_memory_lost")
    _fill(local.database, ledger, watch)
    _release(local.database, ledger, min(rows, DEAD), watch)
    local.close()


def is_not(id_: int) -> bool:
    """Nothing is under way."""
    return False


def _fill(database: Database, ledger: Ledger, watch: Watch) -> None:
    acks = IncomingAcks(database)
    database.write("UPDATE stripes SET acks = acks | ? WHERE id > ?", (1 << INCOMING, CLEANER_BATCH))
    coming = Incoming(COLUMN, ledger, acks, 0.0)
    watch.longest("rows_filling", (partial(coming.lacking, COLUMN, is_not, NO_IDS) for _ in range(LOOKS)))
    database.commit()
    database.checkpoint()
    ledger.set_away(1 << COLUMN)
    watch.timed("rows_place", coming.take_place)
    database.commit()
    watch.found["rows_place_log"] = database.wal_bytes()
    database.checkpoint()
    watch.longest("rows_learning", _learning(ledger))
    database.commit()
    database.checkpoint()


def _learning(ledger: Ledger) -> Iterator[Callable[[], object]]:
    after: int | None = 0

    def learn() -> None:
        nonlocal after
        assert after is not None
        after = ledger.learn(COLUMN, after)

    while after is not None:
        yield learn


def _release(database: Database, ledger: Ledger, dead: int, watch: Watch) -> None:
    database.write("UPDATE stripes SET died = ? WHERE id <= ?", (ledger.progress.barrier, dead))
    database.commit()
    database.checkpoint()
    slices, longest_log = -(-dead // RELEASE_SLICE), 0

    def release() -> None:
        nonlocal longest_log
        for number in range(slices):
            ledger.release()
            if number % RELEASE_COMMIT == 0:
                database.commit()
                longest_log = max(longest_log, database.wal_bytes())
                database.checkpoint()

    watch.timed("rows_release", release, dead)
    watch.found["rows_release_log"] = longest_log


def partner(directory: Path, rows: int, watch: Watch) -> None:
    """Step 7. The blocks are never written: the file is as sparse as the local disk lets it be."""
    path, header = directory / "store", StoreHeader(DiskId(bytes(16)), StoreId(bytes(16)), rows, MIN_BLOCK_SIZE)
    with path.open("wb") as file:
        file.truncate(header.size)
    write_header(path, header)
    with path.open("r+b") as file:
        file.seek(PAGE)
        content = checksum(bytes(5000))
        for page in _slots(rows):
            file.write(b"".join(Entry(s.version, s.row + 1, s.row, 5000, content).encode(header.store) for s in page))
    assert file.closed
    assert os.stat(path).st_size == header.size >= rows * ENTRY
    with watch.timed("store_open", lambda: StoreFile(path)) as store:
        watch.timed("store_inventory", lambda: _tell(store), rows)
        assert len(store.index.state()[1]) == digest.DIGEST
    watch.memory("store_memory")


def _tell(store: StoreFile) -> None:
    row = 0
    while page := store.inventory(row, INVENTORY_PAGE):
        row = page[-1].row + 1


def main(directory: Path, rows: int) -> dict[str, float]:
    """Owner and partner are processes of their own, whose memory is theirs."""
    _make(directory, rows)
    found: dict[str, float] = {}
    for side in (owner, partner):
        ours, theirs = os.pipe()
        child = os.fork()
        if not child:
            watch = Watch()
            side(directory, rows, watch)
            os.write(theirs, json.dumps(watch.found).encode())
            os._exit(0)
        os.close(theirs)
        with os.fdopen(ours, "rb") as told:
            found.update(json.loads(told.read()))
        os.waitpid(child, 0)
    return found


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]), int(sys.argv[2]))))
