"""The answers of the wire, one frozen dataclass each. Which request has which answer stands in core.messages."""

import struct
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from coopfs.core.stepping import Step
from coopfs.core.wire.message_map import U16, U32, U63, U64, Fields
from coopfs.core.wire.message_types import AGREEMENT_SIZES, ID_SIZE, SIGNATURE_SIZE, Wire, bounded
from coopfs.errors import ProtocolError
from coopfs.limits import (
    INVENTORY_PAGE,
    MAX_ADDRESSES,
    MAX_BLOCK_SIZE,
    MAX_MASTER,
    MAX_ROWS,
    MAX_TEXT,
    MIN_BLOCK_SIZE,
)
from coopfs.types import Master, Octets, Opened, Settlement, Slot, StepAnswer, StoredBlock, Welcome

_SLOT = struct.Struct(">IQI")  # row, version, length
MASTER_SLOTS = 2  # master blocks kept per disk


@dataclass(frozen=True, slots=True)
class Done:
    """Nothing to say but yes."""

    def wire(self) -> Wire:
        return {}, b""

    @classmethod
    def parse(cls, fields: Fields, body: Octets) -> Self:
        bounded(body, 0)
        return cls()


@dataclass(frozen=True, slots=True)
class OpenedStore:
    """To OPEN. store: the number of the open store in this connection, 0..2^32-1."""

    store: int
    opened: Opened

    def wire(self) -> Wire:
        opened = self.opened
        return {
            "store": self.store,
            "rows": opened.rows,
            "block_size": opened.block_size,
            "changes": opened.changes,
            "digest": opened.digest,
            "epoch": opened.epoch,
            "claimer": opened.claimer,
        }, b""

    @classmethod
    def parse(cls, fields: Fields, body: Octets) -> Self:
        bounded(body, 0)
        return cls(
            fields.whole("store", U32),
            Opened(
                rows=fields.whole("rows", MAX_ROWS),
                block_size=fields.whole("block_size", MAX_BLOCK_SIZE, low=MIN_BLOCK_SIZE),
                changes=fields.whole("changes", U64),
                digest=fields.octets("digest", ID_SIZE),
                epoch=fields.whole("epoch", U16),
                claimer=fields.octets("claimer", 0, ID_SIZE),
            ),
        )


@dataclass(frozen=True, slots=True)
class Got:
    """To GET: the block (its bytes are the body), or that the slot is empty."""

    block: StoredBlock | None

    def wire(self) -> Wire:
        if self.block is None:
            return {"empty": True}, b""
        return {"version": self.block.version}, self.block.data

    @classmethod
    def parse(cls, fields: Fields, body: Octets) -> Self:
        if fields.has("empty") and fields.truth("empty"):
            bounded(body, 0)
            return cls(None)
        return cls(StoredBlock(fields.whole("version", U64), bounded(body, MAX_BLOCK_SIZE)))


@dataclass(frozen=True, slots=True)
class Slots:
    """To INVENTORY: the body is an array of (row u32, version u64, length u32), big-endian, by ascending row."""

    PAGE_SIZE: ClassVar = INVENTORY_PAGE * _SLOT.size  # bytes
    slots: tuple[Slot, ...]

    def wire(self) -> Wire:
        return {}, b"".join(_SLOT.pack(slot.row, slot.version, slot.length) for slot in self.slots)

    @classmethod
    def parse(cls, fields: Fields, body: Octets) -> Self:
        if len(bounded(body, cls.PAGE_SIZE)) % _SLOT.size:
            raise ProtocolError(f"an inventory of {len(body)} bytes is not a whole number of {_SLOT.size}-byte slots")
        slots = tuple(Slot(*values) for values in _SLOT.iter_unpack(body))
        last = -1
        for slot in slots:
            if not last < slot.row < MAX_ROWS or slot.length > MAX_BLOCK_SIZE:
                raise ProtocolError(f"an inventory has row {slot.row} of {slot.length} bytes after row {last}")
            last = slot.row
        return cls(slots)


@dataclass(frozen=True, slots=True)
class Masters:
    """To MASTER_GET: counters and lengths in the map, the sealed master blocks one after the other in the body."""

    masters: tuple[Master, ...]

    def wire(self) -> Wire:
        return {
            "counters": [master.counter for master in self.masters],
            "lengths": [len(master.data) for master in self.masters],
        }, b"".join(master.data for master in self.masters)

    @classmethod
    def parse(cls, fields: Fields, body: Octets) -> Self:
        counters = fields.wholes("counters", MASTER_SLOTS, U64)
        lengths = fields.wholes("lengths", MASTER_SLOTS, MAX_MASTER)
        if len(counters) != len(lengths) or sum(lengths) != len(body):
            raise ProtocolError("the lengths of the master blocks do not fit what was sent")
        masters = []
        for counter, length in zip(counters, lengths, strict=True):
            masters.append(Master(counter, bytes(body[:length])))
            body = body[length:]
        return cls(tuple(masters))


@dataclass(frozen=True, slots=True)
class Agreed:
    """To AGREE: the inviter's signature over the agreement text, 64 bytes."""

    signature: bytes

    def wire(self) -> Wire:
        return {"signature": self.signature}, b""

    @classmethod
    def parse(cls, fields: Fields, body: Octets) -> Self:
        bounded(body, 0)
        return cls(fields.octets("signature", SIGNATURE_SIZE))


@dataclass(frozen=True, slots=True)
class Settled:
    """To AMEND: the agreement in force, with both signatures."""

    settlement: Settlement

    def wire(self) -> Wire:
        settlement = self.settlement
        return {"text": settlement.text, "mine": settlement.mine, "yours": settlement.yours}, b""

    @classmethod
    def parse(cls, fields: Fields, body: Octets) -> Self:
        bounded(body, 0)
        return cls(
            Settlement(
                text=fields.octets_between("text", *AGREEMENT_SIZES),
                mine=fields.octets("mine", SIGNATURE_SIZE),
                yours=fields.octets("yours", SIGNATURE_SIZE),
            )
        )


@dataclass(frozen=True, slots=True)
class Welcomed:
    """To OFFER: what an invitation would say."""

    welcome: Welcome

    def wire(self) -> Wire:
        return _welcome_map(self.welcome), b""

    @classmethod
    def parse(cls, fields: Fields, body: Octets) -> Self:
        bounded(body, 0)
        return cls(_parse_welcome(fields))


@dataclass(frozen=True, slots=True)
class Stepped:
    """To STEP: how far the other side is, and what an invitation would say, if there is one."""

    answer: StepAnswer

    def wire(self) -> Wire:
        welcome = self.answer.welcome
        return {"state": self.answer.state, **({} if welcome is None else _welcome_map(welcome))}, b""

    @classmethod
    def parse(cls, fields: Fields, body: Octets) -> Self:
        bounded(body, 0)
        state = fields.whole("state", max(Step))
        return cls(StepAnswer(state, _parse_welcome(fields) if fields.has("token") else None))


def _welcome_map(welcome: Welcome) -> dict[str, Any]:
    return {
        "token": welcome.token,
        "given": welcome.given,
        "taken": welcome.taken,
        "name": welcome.name,
        "addresses": welcome.addresses,
    }


def _parse_welcome(fields: Fields) -> Welcome:
    return Welcome(
        token=fields.octets("token", ID_SIZE),
        given=fields.whole("given", U63),
        taken=fields.whole("taken", U63),
        name=fields.text("name"),
        addresses=fields.names("addresses", MAX_ADDRESSES, MAX_TEXT),
    )


Answer = Done | OpenedStore | Got | Slots | Masters | Agreed | Settled | Welcomed | Stepped
