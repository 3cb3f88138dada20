"""The master block: what a restore must know before it can read the first stripe (design R14, section 2.4).

A copy lies on every partner, in no stripe. Plaintext = signature 64 bytes | body; the body is a msgpack map with the
keys of `_body`; the signature is the disk signing key's, over "coopfs 0 master" + disk id + body. It is sealed for each
partner by itself: box kind MASTER, no store, no column, row 0, layout 0, version = the counter.

The counter is epoch(16).count(48), like versions; a partner keeps the two greatest.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import msgpack

from coopfs.core.fields import COUNT, ID, KEY, TEXT, U16, U64, Field, check, pick, unpack
from coopfs.core.keys import SIGNATURE, DiskKeys, KeyAge
from coopfs.core.seal import NO_COLUMN, NO_STORE, Binding, seal, unseal
from coopfs.errors import NotAuthentic
from coopfs.limits import (
    MASTER_ADDRESSES,
    MAX_ADDRESSES,
    MAX_BLOCK_SIZE,
    MAX_COLUMNS,
    MAX_FEATURES,
    MAX_KEY_IDS,
    MAX_LAYOUTS,
    MAX_MASTER,
    MAX_RETURNS,
    MAX_ROWS,
    MAX_STORES,
    MAX_TRUSTEES,
    MIN_BLOCK_SIZE,
)
from coopfs.types import BlockKind, Layout, Master, NodeKey, StoreId

_CONTEXT = b"coopfs 0 master"
PRIMARY, INCOMING, VAULT = "primary", "incoming", "vault"

_FIELDS = {
    "counter": U64,
    "claimer": ID,
    "keys": Field(tuple, 1, MAX_KEY_IDS),
    "features": Field(tuple, 0, MAX_FEATURES),
    "layouts": Field(tuple, 1, MAX_LAYOUTS),
    "floor": Field(tuple, 2, 2),
    "trustees": Field(tuple, 0, MAX_TRUSTEES, absent=True),
    "wishes": Field(dict, 0, MAX_FEATURES, absent=True),
}
_WISHES = {
    "key": U16,
    "rows": Field(int, 0, MAX_ROWS),
    "returns": Field(tuple, 0, MAX_RETURNS, absent=True),
}
_RETURN = (ID, KEY)
_LAYOUT = {
    "id": U16,
    "k": Field(int, 1, MAX_COLUMNS),
    "m": Field(int, 0, MAX_COLUMNS),
    "block": Field(int, MIN_BLOCK_SIZE, MAX_BLOCK_SIZE),
    "rows": Field(int, 1, MAX_ROWS),
    "columns": Field(tuple, 1, MAX_COLUMNS),
}
_KEY = (U16, U64)
_TRUSTEE = (KEY, TEXT, Field(tuple, 0, MAX_ADDRESSES))
_STORE = (ID, KEY, KEY, TEXT, Field(tuple, 0, MAX_ADDRESSES), TEXT)


@dataclass(frozen=True, slots=True)
class StorePlace:
    """One store of one column: who holds it, for whom it was sealed, where that node is, and its role."""

    store: StoreId
    sealed_for: NodeKey
    node: NodeKey
    name: str
    addresses: tuple[str, ...]
    role: str = PRIMARY


@dataclass(frozen=True, slots=True)
class LayoutPlaces:
    """A layout in force: rows of each store, and for each column, in order, its 1-3 stores."""

    layout: Layout
    rows: int
    columns: tuple[tuple[StorePlace, ...], ...]

    @property
    def primaries(self) -> tuple[StorePlace, ...]:
        """By column: the store that counts, and alone answers for it in a restore (R7)."""
        return tuple(_with_role(column, PRIMARY) for column in self.columns)

    @property
    def spares(self) -> tuple[tuple[int, StorePlace], ...]:
        """(column, store) of all others: what they hold can be read, what they lack says nothing."""
        return tuple((j, store) for j, column in enumerate(self.columns) for store in column if store.role != PRIMARY)

    @property
    def nodes(self) -> tuple[NodeKey, ...]:
        """Everybody who keeps a store, once."""
        return tuple(dict.fromkeys(store.node for column in self.columns for store in column))

    def spare(self, role: str) -> tuple[int, StorePlace] | None:
        """The one store of this role with its column, as one column is changed at a time; None: there is none."""
        return next(((j, store) for j, store in self.spares if store.role == role), None)

    def with_incoming(self, column: int, store: StorePlace) -> "LayoutPlaces":
        """A new store is filled for a column; one that was being filled before is given up."""
        return self._with(column, (self.primaries[column], replace(store, role=INCOMING)))

    def promoted(self, column: int, keep: bool) -> "LayoutPlaces":
        """The incoming store counts from now on. keep: the one before it may still be read, and told of this."""
        before, store = self.primaries[column], _with_role(self.columns[column], INCOMING)
        return self._with(column, (replace(store, role=PRIMARY), *([replace(before, role=VAULT)] if keep else [])))

    def settled(self, column: int) -> "LayoutPlaces":
        """The column has its primary store, and no other."""
        return self._with(column, (self.primaries[column],))

    def at(self, known: Mapping[NodeKey, tuple[str, ...]]) -> "LayoutPlaces":
        """With the partners where they are known to be, as far as that fits."""

        def at(store: StorePlace) -> StorePlace:
            addresses = known.get(store.node, ())
            while sum(map(len, addresses)) > MASTER_ADDRESSES:
                addresses = addresses[:-1]
            return replace(store, addresses=addresses or store.addresses)

        return replace(self, columns=tuple(tuple(map(at, stores)) for stores in self.columns))

    def _with(self, column: int, stores: tuple[StorePlace, ...]) -> "LayoutPlaces":
        return replace(self, columns=(*self.columns[:column], stores, *self.columns[column + 1 :]))


def _with_role(stores: tuple[StorePlace, ...], role: str) -> StorePlace:
    return next(store for store in stores if store.role == role)


@dataclass(frozen=True, slots=True)
class Floor:
    """An END known held: a restore never goes below it. version uint64; date in seconds since 1970."""

    version: int
    date: int


@dataclass(frozen=True, slots=True)
class Trustee:
    """A partner that holds the master block, and no column (paper section 2.4): who it is, and where."""

    node: NodeKey
    name: str
    addresses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the owner has asked for and not got yet, which whoever takes the disk over goes on with. key: id of the key
    with which what older ones sealed is to be written again; rows: that each store is to have; 0: nothing is wished.
    returns: stores of layouts that are gone, which are still to be given back, and who has them."""

    key: int = 0
    rows: int = 0
    returns: tuple[tuple[StoreId, NodeKey], ...] = ()


@dataclass(frozen=True, slots=True)
class MasterBlock:
    """counter: epoch(16).count(48); claimer: 16 bytes, of the claim it was written under; keys: in use, oldest first;
    features: names that a reader must know."""

    counter: int
    claimer: bytes
    keys: tuple[KeyAge, ...]
    features: tuple[str, ...]
    layouts: tuple[LayoutPlaces, ...]
    floor: Floor
    trustees: tuple[Trustee, ...] = ()
    wishes: Wishes = Wishes()


def seal_master(keys: DiskKeys, block: MasterBlock, partner: NodeKey) -> Master:
    """The copy for one partner, sealed with the oldest key in use: so whoever has a kit from before a newer key
    can read that there is one."""
    body = msgpack.packb(_body(block), use_bin_type=True)
    plaintext = keys.sign(_CONTEXT + keys.disk + body) + body
    box = seal(keys.master_keys(block.keys[0].id), _binding(keys, partner, block.counter), plaintext)
    assert len(box) <= MAX_MASTER
    return Master(block.counter, box)


def open_master(keys: DiskKeys, stored: Master, partner: NodeKey) -> MasterBlock:
    """The block from one partner's copy. NotAuthentic: altered, another disk's or partner's, sealed with a key that is
    not here, or of a newer format."""
    if len(stored.data) > MAX_MASTER:
        raise NotAuthentic("a master block is larger than any")
    plaintext = bytes(unseal(keys.master_keys_of(stored.data), _binding(keys, partner, stored.counter), stored.data))
    signature, body = plaintext[:SIGNATURE], plaintext[SIGNATURE:]
    keys.verify(_CONTEXT + keys.disk + body, signature)
    try:
        block = _block(unpack(body, MAX_COLUMNS + MAX_FEATURES))
    except ValueError as bad:
        raise NotAuthentic(f"a master block is of a format that this version cannot read: {bad}") from None
    if block.features:  # none is defined yet
        raise NotAuthentic(f"this disk needs a newer version, one that knows: {', '.join(block.features)}")
    if block.counter != stored.counter:
        raise NotAuthentic("a master block does not have the counter it is stored under")
    return block


def _binding(keys: DiskKeys, partner: NodeKey, counter: int) -> Binding:
    return Binding(BlockKind.MASTER, keys.disk, 0, NO_STORE, partner, NO_COLUMN, 0, counter)


def _body(b: MasterBlock) -> dict[str, Any]:
    return {
        "counter": b.counter,
        "claimer": b.claimer,
        "keys": [[key.id, key.first] for key in b.keys],
        "features": b.features,
        "layouts": [
            {
                "id": places.layout.id,
                "k": places.layout.k,
                "m": places.layout.m,
                "block": places.layout.block_size,
                "rows": places.rows,
                "columns": [
                    [[s.store, s.sealed_for, s.node, s.name, s.addresses, s.role] for s in column]
                    for column in places.columns
                ],
            }
            for places in b.layouts
        ],
        "floor": [b.floor.version, b.floor.date],
    } | _seldom(b)


def _seldom(b: MasterBlock) -> dict[str, Any]:
    """What is left out if there is nothing of it."""
    trustees = {"trustees": [[t.node, t.name, t.addresses] for t in b.trustees]} if b.trustees else {}
    if b.wishes == Wishes():
        return trustees
    returns = {"returns": b.wishes.returns} if b.wishes.returns else {}
    return trustees | {"wishes": {"key": b.wishes.key, "rows": b.wishes.rows} | returns}


def _block(decoded: Any) -> MasterBlock:
    counter, claimer, keys, features, layouts, floor, trustees, wishes = pick(decoded, _FIELDS)
    ages = tuple(KeyAge(*check(key, _KEY)) for key in keys)
    if any(b.id <= a.id or b.first <= a.first for a, b in pairwise(ages)):
        raise ValueError("keys that do not follow each other")
    check(features, (TEXT,) * len(features))
    places = tuple(_layout(each) for each in layouts)
    held_by = tuple(map(_trustee, trustees or ()))
    wanted = Wishes() if wishes is None else _wishes(wishes)
    return MasterBlock(counter, claimer, ages, features, places, Floor(*check(floor, (U64, COUNT))), held_by, wanted)


def _wishes(decoded: Any) -> Wishes:
    key, rows, returns = pick(decoded, _WISHES)
    owed = (check(each, _RETURN) for each in returns or ())
    return Wishes(key, rows, tuple((StoreId(store), NodeKey(node)) for store, node in owed))


def _trustee(decoded: Any) -> Trustee:
    node, name, addresses = check(decoded, _TRUSTEE)
    check(addresses, (TEXT,) * len(addresses))
    return Trustee(NodeKey(node), name, addresses)


def _layout(decoded: Any) -> LayoutPlaces:
    id_, k, m, block_size, rows, columns = pick(decoded, _LAYOUT)
    layout = Layout(id_, k, m, block_size)
    check(columns, (Field(tuple, 1, MAX_STORES),) * layout.n)
    places = LayoutPlaces(layout, rows, tuple(tuple(_store(store) for store in column) for column in columns))
    if any(sum(store.role == PRIMARY for store in column) != 1 for column in places.columns):
        raise ValueError("a column without one primary store")
    return places


def _store(decoded: Any) -> StorePlace:
    store, sealed_for, node, name, addresses, role = check(decoded, _STORE)
    check(addresses, (TEXT,) * len(addresses))
    if role not in (PRIMARY, INCOMING, VAULT):
        raise ValueError(f"role {role}")
    return StorePlace(StoreId(store), NodeKey(sealed_for), NodeKey(node), name, addresses, role)
