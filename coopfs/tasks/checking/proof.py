"""Proof that a store lacks a block which it had acked: it was asked, and answered (design R7)."""

from coopfs.local.log import Sealed
from coopfs.tasks.reading.fetcher import Fetcher
from coopfs.tasks.writing.column import Column
from coopfs.tasks.writing.ledger import Ledger
from coopfs.types import BlockStore


async def lacks(column: Column, stripe: Sealed, fetcher: Fetcher, ledger: Ledger) -> bool:
    """Whether the column's ack of this stripe is wrong, at the moment this returns. PeerError: no answer.

    Asked only of a column that is reached. What was put meanwhile, or belongs to another store by now, is no proof.
    """
    session = column.session
    if await fetcher.is_good(column, stripe.place, stripe.tag):
        return False
    return stands(column, stripe, session, ledger)


def stands(column: Column, stripe: Sealed, session: BlockStore | None, ledger: Ledger) -> bool:
    """Whether the column's ack of this stripe is still what it was when this session was asked."""
    now = ledger.log.get(stripe.id)
    same = now is not None and now.place == stripe.place and bool(now.acks >> column.number & 1)
    return same and not column.gone and column.session is session
