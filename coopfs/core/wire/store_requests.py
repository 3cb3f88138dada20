"""The requests about one store, each mirroring a method of types.BlockStore, and OPEN that leads to them.

`wire` is the one encoding of a message, `parse` its one decoding: a map (keys as below, documented in
coopfs-protocol(7)) and a body. What `parse` lets through is inside every bound.
"""

from dataclasses import dataclass
from typing import ClassVar, Self

from coopfs.core.wire.message_map import U32, U64, Fields
from coopfs.core.wire.message_types import ID_SIZE, MessageType, Wire, bounded, claim_map, parse_claim
from coopfs.limits import INVENTORY_PAGE, MAX_BLOCK_SIZE, MAX_REQUESTS, MAX_ROWS
from coopfs.types import DiskId, Octets, Opening, StoreId, StoreSpec


@dataclass(frozen=True, slots=True)
class Open:
    """Partner.open. With a claim it is for writing; with rows and block_size the store is made if missing
    (which sizes are possible is for the partner to say)."""

    TYPE: ClassVar = MessageType.OPEN
    opening: Opening

    def wire(self) -> Wire:
        opening = self.opening
        create = opening.create
        return {
            "disk": opening.disk,
            "store": opening.store,
            "claim": claim_map(opening.claim) if opening.claim else None,
            "create": {"rows": create.rows, "block_size": create.block_size} if create else None,
        }, b""

    @classmethod
    def parse(cls, fields: Fields, body: Octets) -> Self:
        bounded(body, 0)
        create = None
        if fields.has("create"):
            spec = fields.fields("create")
            create = StoreSpec(
                rows=spec.whole("rows", U32),
                block_size=spec.whole("block_size", U32),
            )
        return cls(
            Opening(
                disk=DiskId(fields.octets("disk", ID_SIZE)),
                store=StoreId(fields.octets("store", ID_SIZE)),
                claim=parse_claim(fields.fields("claim")) if fields.has("claim") else None,
                create=create,
            )
        )


@dataclass(frozen=True, slots=True)
class Close:
    """BlockStore.close. store: the number that OPEN's answer gave, here and in the next three."""

    TYPE: ClassVar = MessageType.CLOSE
    store: int

    def wire(self) -> Wire:
        return {"store": self.store}, b""

    @classmethod
    def parse(cls, fields: Fields, body: Octets) -> Self:
        bounded(body, 0)
        return cls(fields.whole("store", U32))


@dataclass(frozen=True, slots=True)
class Put:
    """BlockStore.put; the block is the body. more: puts to this store that follow at once, so that the partner can wait
    for them and store the run together."""

    TYPE: ClassVar = MessageType.PUT
    store: int
    row: int
    version: int
    data: Octets
    more: int = 0

    def wire(self) -> Wire:
        place = {"store": self.store, "row": self.row, "version": self.version}
        return {**place, "more": self.more or None}, self.data

    @classmethod
    def parse(cls, fields: Fields, body: Octets) -> Self:
        return cls(
            store=fields.whole("store", U32),
            row=fields.whole("row", U32),
            version=fields.whole("version", U64),
            data=bounded(body, MAX_BLOCK_SIZE),
            more=fields.whole("more", MAX_REQUESTS) if fields.has("more") else 0,
        )


@dataclass(frozen=True, slots=True)
class Get:
    """BlockStore.get."""

    TYPE: ClassVar = MessageType.GET
    store: int
    row: int

    def wire(self) -> Wire:
        return {"store": self.store, "row": self.row}, b""

    @classmethod
    def parse(cls, fields: Fields, body: Octets) -> Self:
        bounded(body, 0)
        return cls(fields.whole("store", U32), fields.whole("row", U32))


@dataclass(frozen=True, slots=True)
class Resize:
    """BlockStore.grow."""

    TYPE: ClassVar = MessageType.RESIZE
    store: int
    rows: int

    def wire(self) -> Wire:
        return {"store": self.store, "rows": self.rows}, b""

    @classmethod
    def parse(cls, fields: Fields, body: Octets) -> Self:
        bounded(body, 0)
        return cls(store=fields.whole("store", U32), rows=fields.whole("rows", MAX_ROWS))


@dataclass(frozen=True, slots=True)
class Inventory:
    """BlockStore.inventory; limit 1..INVENTORY_PAGE."""

    TYPE: ClassVar = MessageType.INVENTORY
    store: int
    first_row: int
    limit: int

    def wire(self) -> Wire:
        return {"store": self.store, "first_row": self.first_row, "limit": self.limit}, b""

    @classmethod
    def parse(cls, fields: Fields, body: Octets) -> Self:
        bounded(body, 0)
        return cls(
            store=fields.whole("store", U32),
            first_row=fields.whole("first_row", U32),
            limit=fields.whole("limit", INVENTORY_PAGE, low=1),
        )
