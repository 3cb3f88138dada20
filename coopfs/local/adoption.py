"""A database that was rebuilt from the log becomes a writer's, in a new epoch (design R13).

Nothing is known yet of who holds what: acks come from the inventories that follow a claim. Until every stripe of the
state is safe again nothing is held, and nothing is written.
"""

from collections.abc import Sequence
from itertools import groupby
from operator import itemgetter
from pathlib import Path

import msgpack

from coopfs.core.columnstate import ColumnState
from coopfs.core.master import Wishes
from coopfs.local.database import Database
from coopfs.local.log import ALL_STRIPES
from coopfs.local.refillmark import RefillMark
from coopfs.local.rekeymark import RekeyMark
from coopfs.local.returning import Returning
from coopfs.local.rowmark import RowMark
from coopfs.types import Claim, Master, Place


def adopt(
    path: Path,
    group: int,
    end: Place,
    chain: bytes,
    time: int,
    claim: Claim,
    master: Master,
    columns: Sequence[ColumnState],
    wishes: Wishes,
) -> None:
    """Durable on return. group, end, chain, time (ns): of the state; master: sealed for this node; columns: of all
    layouts that it names, one after the other, in A until caught up, and for what else their states wait for;
    wishes: of the owner, that are still to come true."""
    database = Database(path)
    database.read("PRAGMA temp_store = FILE")  # sorting 10^7 extents would take a gigabyte
    try:
        facts: dict[str, int | bytes] = {
            "epoch": claim.epoch,
            "claimer": claim.claimer,
            "barrier": 0,
            "rehold": group,
            "end_version": end.version,
            "end_row": end.row,
            "chain": chain,
            "clock": time,
            "master_counter": master.counter,
            "master": master.data,
        }
        for key, value in facts.items():
            database.set_fact(key, value)
        RefillMark(database).move(ALL_STRIPES)
        RekeyMark(database).want_everything(wishes.key)
        RowMark(database).want(wishes.rows)
        Returning(database).add(wishes.returns)
        _note_fragments(database)
        for number, state in enumerate(columns):
            database.write("INSERT OR REPLACE INTO columns VALUES (?, NULL, ?)", (number, int(state)))
        database.commit()
        database.sync_wal()
    finally:
        database.close()


def _note_fragments(database: Database) -> None:
    """What lives of each data stripe, for the compactor; what died in it before is not known any more."""
    query = (
        "SELECT stripe, ino, offset, extents.length, coalesce(parent, 0), coalesce(name, x'') FROM extents"
        " JOIN inodes USING (ino) ORDER BY stripe, at"
    )
    for stripe, rows in groupby(database.read(query), key=itemgetter(0)):
        packed = msgpack.packb([list(row[1:]) for row in rows])
        database.write("INSERT OR REPLACE INTO fragments VALUES (?, ?)", (stripe, packed))
