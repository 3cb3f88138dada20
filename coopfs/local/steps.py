"""Steps between two partners that this node takes part in (tables `step` and `bids` of node.sqlite): as one of the two,
at most one at a time; and as the newcomer, at most one."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from coopfs.core.stepping import Step
from coopfs.local.nodedb import NodeDatabase
from coopfs.types import NodeKey


@dataclass(frozen=True, slots=True)
class MemberStep:
    """As one of the two. id, token: 16 bytes, of the step and of the newcomer's invitation; fellow: the other one;
    name: of the newcomer; since: when it asked, or agreed, in seconds since 1970."""

    id: bytes
    newcomer: NodeKey
    fellow: NodeKey
    name: str
    token: bytes
    step: Step
    since: int


@dataclass(frozen=True, slots=True)
class Asked:
    """One of the two that this node asks."""

    key: NodeKey
    name: str
    addresses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Bids:
    """As the newcomer. id: 16 bytes, of the step; since: seconds since 1970."""

    id: bytes
    since: int
    one: Asked
    two: Asked

    @property
    def both(self) -> tuple[Asked, Asked]:
        return self.one, self.two

    def fellow_of(self, asked: Asked) -> NodeKey:
        """The other one."""
        return self.two.key if asked is self.one else self.one.key


def load(database: NodeDatabase) -> MemberStep | None:
    """StateError."""
    with database.reading() as connection:
        row = connection.execute("SELECT id, newcomer, fellow, name, token, state, since FROM step").fetchone()
    if row is None:
        return None
    id_, newcomer, fellow, name, token, state, since = row
    return MemberStep(id_, NodeKey(newcomer), NodeKey(fellow), name, token, Step(state), since)


def save(database: NodeDatabase, step: MemberStep | None) -> None:
    """None: there is none any more. HomeError, StateError."""
    with database.transaction() as connection:
        connection.execute("DELETE FROM step")
        if step is not None:
            values = (step.id, step.newcomer, step.fellow, step.name, step.token, int(step.step), step.since)
            connection.execute("INSERT INTO step VALUES (?, ?, ?, ?, ?, ?, ?)", values)


def load_bids(database: NodeDatabase) -> Bids | None:
    """StateError."""
    with database.reading() as connection:
        rows: Sequence[tuple[bytes, int, bytes, str, str]] = connection.execute(
            "SELECT id, since, member, name, addresses FROM bids ORDER BY member"
        ).fetchall()
    if len(rows) != 2:
        return None
    one, two = (Asked(NodeKey(member), name, tuple(json.loads(where))) for _, _, member, name, where in rows)
    return Bids(rows[0][0], rows[0][1], one, two)


def save_bids(database: NodeDatabase, bids: Bids | None) -> None:
    """None: there are none any more. HomeError, StateError."""
    with database.transaction() as connection:
        connection.execute("DELETE FROM bids")
        for asked in () if bids is None else bids.both:
            assert bids is not None
            values = (bids.id, bids.since, asked.key, asked.name, json.dumps(asked.addresses))
            connection.execute("INSERT INTO bids VALUES (?, ?, ?, ?, ?)", values)
