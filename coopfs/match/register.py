"""The register: who has announced itself, until when, and which matches were reported. All of it can be told again."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from coopfs.core.announcement import Announcement, Known, follow
from coopfs.core.bond import BOND
from coopfs.core.matching import Pair, Spot, pairs_of
from coopfs.errors import Refused, Replayed
from coopfs.limits import MATCH_EXPIRY, MATCH_POOL, MATCH_RECENT
from coopfs.match.engines import Engine, Row, Transaction
from coopfs.types import NodeKey

TABLES = """
CREATE TABLE IF NOT EXISTS members (
    node BYTEA PRIMARY KEY,             -- node key, 32 bytes
    sequence BIGINT NOT NULL,           -- of its newest announcement
    incarnation BYTEA NOT NULL,
    former BYTEA NOT NULL,              -- its incarnations before, 16 bytes each
    storage INTEGER NOT NULL,           -- levels
    uptime TEXT NOT NULL,
    needs INTEGER NOT NULL,             -- partners that it lacks, and has
    partners INTEGER NOT NULL,
    place TEXT NOT NULL,                -- its site as it names it, for people
    site TEXT NOT NULL,                 -- as core.matching compares it
    subnets TEXT NOT NULL,              -- with a space between them
    system TEXT NOT NULL,
    lot DOUBLE PRECISION NOT NULL,      -- 0..1, drawn with each announcement: where a search begins
    heard BIGINT NOT NULL,              -- seconds since 1970
    expires BIGINT NOT NULL,
    signed BYTEA NOT NULL               -- the announcement
);
CREATE INDEX IF NOT EXISTS lacking ON members (storage, uptime, lot) WHERE needs > 0;
CREATE INDEX IF NOT EXISTS ending ON members (expires);
CREATE TABLE IF NOT EXISTS bonds (       -- between whose two members others may step
    storage INTEGER NOT NULL,           -- levels of the member
    uptime TEXT NOT NULL,
    bond BYTEA NOT NULL,                -- 8 bytes, core/bond
    node BYTEA NOT NULL,
    PRIMARY KEY (storage, uptime, bond, node)
);
CREATE INDEX IF NOT EXISTS bonded ON bonds (node);
CREATE TABLE IF NOT EXISTS matches (
    digest BYTEA PRIMARY KEY,           -- of the agreement, so that both sides may report it
    storage INTEGER NOT NULL,
    one TEXT NOT NULL,                  -- the sites, for people
    two TEXT NOT NULL,
    made BIGINT NOT NULL                -- seconds since 1970
);
CREATE INDEX IF NOT EXISTS newest ON matches (made);
"""
_KNOWN = "SELECT sequence, incarnation, former, signed FROM members WHERE node = ? AND expires > ?"
_ANNOUNCE = """
INSERT INTO members VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (node) DO UPDATE SET sequence = excluded.sequence, incarnation = excluded.incarnation,
    former = excluded.former, storage = excluded.storage, uptime = excluded.uptime, needs = excluded.needs,
    partners = excluded.partners, place = excluded.place, site = excluded.site, subnets = excluded.subnets,
    system = excluded.system, lot = excluded.lot, heard = excluded.heard, expires = excluded.expires,
    signed = excluded.signed
WHERE members.sequence < excluded.sequence OR members.expires <= excluded.heard
"""
_SPOT = "SELECT node, site, subnets, system FROM members"
_BONDED = """
SELECT bond, members.node, site, subnets, system FROM bonds JOIN members ON members.node = bonds.node
WHERE bonds.storage = ? AND bonds.uptime = ? AND expires > ?
"""
_LACKING = f"{_SPOT} WHERE storage = ? AND uptime = ? AND needs > 0 AND expires > ?"


@dataclass(frozen=True, slots=True)
class Heard:
    """An announcement as it came. signed: its bytes; spot: where it stands; now: seconds since 1970; lot: 0..1, its
    place in the register; start: 0..1, where a search of it begins."""

    announcement: Announcement
    signed: bytes
    spot: Spot
    now: int
    lot: float
    start: float


Pick = Callable[[Sequence[Spot], Sequence[Spot]], Sequence[Spot]]  # from a crowd, beside the partners there are
PickPairs = Callable[[Sequence[Pair], Sequence[Spot]], Sequence[Pair]]


class Register:
    """On any engine."""

    def __init__(self, engine: Engine, members_max: int) -> None:
        """members_max: beyond them new ones are refused, known ones are served on."""
        self._engine = engine
        self._members_max = members_max
        self._count = 0  # as of the last `expire`

    async def announce(self, heard: Heard) -> None:
        """Replayed, TwinIdentity; Refused: the register is full."""
        await self._engine.run(lambda transaction: self._announce(transaction, heard))

    def _announce(self, transaction: Transaction, heard: Heard) -> None:
        said, spot = heard.announcement, heard.spot
        found = transaction.rows(_KNOWN, said.node, heard.now)
        known = Known(*_plain(found[0])) if found else None
        former = follow(known, said, heard.signed)
        if former is None:
            return
        if known is None and self._count >= self._members_max:
            raise Refused(f"this server has {self._count} members, the most that it takes: use another one as well")
        values = (
            *(said.node, said.sequence, said.incarnation, former, said.storage, str(said.uptime)),
            *(said.needs, said.partners, said.site, spot.site, " ".join(spot.subnets), spot.system),
            *(heard.lot, heard.now, heard.now + MATCH_EXPIRY, heard.signed),
        )
        if transaction.change(_ANNOUNCE, *values) == 0:
            raise Replayed("a newer announcement of this node has just come")
        _tie(transaction, said)
        self._count += known is None

    async def search(self, heard: Heard, partners: Sequence[NodeKey], pick: Pick) -> Sequence[bytes]:
        """Announce who asks, and the signed announcements of those picked from at most MATCH_POOL members of its levels
        that lack partners, from a random one on. One trip to the thread, in which `pick` runs too. Errors as
        `announce`."""
        return await self._engine.run(lambda transaction: self._search(transaction, heard, partners, pick))

    def _search(
        self, transaction: Transaction, heard: Heard, partners: Sequence[NodeKey], pick: Pick
    ) -> Sequence[bytes]:
        self._announce(transaction, heard)
        crowd = _lacking(transaction, heard)
        chosen = [spot.node for spot in pick(crowd, _of(transaction, _SPOT, partners))]
        signed = _signed(transaction, chosen)
        return [signed[node] for node in chosen]

    async def pairs(self, heard: Heard, partners: Sequence[NodeKey], pick: PickPairs) -> Sequence[tuple[bytes, bytes]]:
        """The same for members of its levels that are partners of each other, and let others step between them."""
        return await self._engine.run(lambda transaction: self._pairs(transaction, heard, partners, pick))

    def _pairs(
        self, transaction: Transaction, heard: Heard, partners: Sequence[NodeKey], pick: PickPairs
    ) -> Sequence[tuple[bytes, bytes]]:
        self._announce(transaction, heard)
        crowd = pairs_of(_bonded(transaction, heard))
        chosen = pick(crowd, _of(transaction, _SPOT, partners))
        signed = _signed(transaction, [spot.node for pair in chosen for spot in pair])
        return [(signed[one.node], signed[two.node]) for one, two in chosen]

    async def spots(self, nodes: Sequence[NodeKey]) -> Sequence[Spot]:
        """Of those of these nodes that are members."""
        return await self._engine.run(lambda transaction: _of(transaction, _SPOT, nodes))

    async def note_match(self, digest: bytes, storage: int, nodes: tuple[NodeKey, NodeKey], made: int) -> None:
        """Refused: one of the two is no member."""

        def work(transaction: Transaction) -> None:
            rows = transaction.rows("SELECT node, place FROM members WHERE node IN (?, ?)", *nodes)
            places = {bytes(node): place for node, place in rows}
            if any(node not in places for node in nodes):
                raise Refused("a match is reported of nodes that are not both members here")
            statement = "INSERT INTO matches VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
            transaction.change(statement, digest, storage, places[nodes[0]], places[nodes[1]], made)

        await self._engine.run(work)

    async def expire(self, now: int) -> None:
        """Forget who has not announced itself in time, and all but the newest matches."""

        def work(transaction: Transaction) -> int:
            ended = "SELECT node FROM members WHERE expires <= ?"
            transaction.change(f"DELETE FROM bonds WHERE node IN ({ended})", now)
            transaction.change("DELETE FROM members WHERE expires <= ?", now)
            newest = f"SELECT digest FROM matches ORDER BY made DESC, digest LIMIT {MATCH_RECENT}"
            transaction.change(f"DELETE FROM matches WHERE digest NOT IN ({newest})")
            ((count,),) = transaction.rows("SELECT count(*) FROM members")
            return int(count)

        self._count = await self._engine.run(work)

    async def levels(self, now: int) -> list[Row]:
        """(storage level, uptime level, members, of them lacking partners, partners lacked, partners had) by level."""
        query = """
        SELECT storage, uptime, count(*), sum(CASE WHEN needs > 0 THEN 1 ELSE 0 END), sum(needs), sum(partners)
        FROM members WHERE expires > ? GROUP BY storage, uptime ORDER BY storage, uptime
        """
        return await self._engine.run(lambda transaction: transaction.rows(query, now))

    async def sites(self, now: int) -> int:
        """How many sites the members are at."""
        query = "SELECT count(DISTINCT site) FROM members WHERE expires > ?"
        ((count,),) = await self._engine.run(lambda transaction: transaction.rows(query, now))
        return int(count)

    async def newest_members(self, now: int, limit: int) -> list[Row]:
        """(node key, site in its words, system, storage, uptime, needs, partners, heard), who was heard last first."""
        query = f"""
        SELECT node, place, system, storage, uptime, needs, partners, heard
        FROM members WHERE expires > ? ORDER BY expires DESC, node LIMIT {limit}
        """
        return await self._engine.run(lambda transaction: transaction.rows(query, now))

    async def matches(self) -> list[Row]:
        """(storage level, site, site, made), the newest first."""
        query = f"SELECT storage, one, two, made FROM matches ORDER BY made DESC, digest LIMIT {MATCH_RECENT}"
        return await self._engine.run(lambda transaction: transaction.rows(query))


def _tie(transaction: Transaction, said: Announcement) -> None:
    """Its bonds are these from now on; they seldom change."""
    levels = said.storage, str(said.uptime)
    known = transaction.rows("SELECT storage, uptime, bond FROM bonds WHERE node = ?", said.node)
    if {(storage, uptime, bytes(bond)) for storage, uptime, bond in known} == {(*levels, each) for each in said.bonds}:
        return
    transaction.change("DELETE FROM bonds WHERE node = ?", said.node)
    for bond in said.bonds:
        transaction.change("INSERT INTO bonds VALUES (?, ?, ?, ?)", *levels, bond, said.node)


def _bonded(transaction: Transaction, heard: Heard) -> list[tuple[bytes, Spot]]:
    """(bond, member) of its levels by bond, at most MATCH_POOL from a random one on: bonds are random themselves."""
    levels = heard.announcement.storage, str(heard.announcement.uptime)
    start = int(heard.start * ((1 << 8 * BOND) - 1)).to_bytes(BOND, "big")
    found = transaction.rows(f"{_BONDED} AND bond >= ? ORDER BY bond LIMIT {MATCH_POOL}", *levels, heard.now, start)
    if left := MATCH_POOL - len(found):
        query = f"{_BONDED} AND bond < ? ORDER BY bond LIMIT {left}"
        found += transaction.rows(query, *levels, heard.now, start)
    return [(bytes(bond), _spot(row)) for bond, *row in found]


def _signed(transaction: Transaction, nodes: Sequence[NodeKey]) -> dict[bytes, bytes]:
    rows = _among(transaction, "SELECT node, signed FROM members", nodes)
    return {bytes(node): bytes(signed) for node, signed in rows}


def _lacking(transaction: Transaction, heard: Heard) -> list[Spot]:
    levels = heard.announcement.storage, str(heard.announcement.uptime)
    query = f"{_LACKING} AND lot >= ? ORDER BY lot LIMIT {MATCH_POOL}"
    found = transaction.rows(query, *levels, heard.now, heard.start)
    if left := MATCH_POOL - len(found):
        query = f"{_LACKING} AND lot < ? ORDER BY lot LIMIT {left}"
        found += transaction.rows(query, *levels, heard.now, heard.start)
    return [_spot(row) for row in found]


def _of(transaction: Transaction, query: str, nodes: Sequence[NodeKey]) -> list[Spot]:
    return [_spot(row) for row in _among(transaction, query, nodes)]


def _among(transaction: Transaction, query: str, nodes: Sequence[NodeKey]) -> list[Row]:
    """What the query finds of these nodes."""
    marks = ", ".join("?" for _ in nodes)
    return transaction.rows(f"{query} WHERE node IN ({marks})", *nodes) if nodes else []


def _spot(row: Row) -> Spot:
    node, site, subnets, system = row
    return Spot(NodeKey(bytes(node)), site, tuple(subnets.split()), system)


def _plain(row: Row) -> tuple[int, bytes, bytes, bytes]:
    sequence, incarnation, former, signed = row
    return int(sequence), bytes(incarnation), bytes(former), bytes(signed)
