"""What partners tell each other of their addresses (coopfs-protocol(7), ADDRESSES)."""

from dataclasses import dataclass
from typing import ClassVar, Self

from coopfs.core.wire.message_map import Fields
from coopfs.core.wire.message_types import MessageType, Wire, bounded
from coopfs.limits import MAX_ADDRESS, MAX_ADDRESSES
from coopfs.types import Octets


@dataclass(frozen=True, slots=True)
class TellAddresses:
    """addresses: where who tells it can be reached, as candidates in order; seen: the host from which it sees the other
    side's connection come, "": it called, or it is through a relay."""

    TYPE: ClassVar = MessageType.ADDRESSES
    addresses: tuple[str, ...]
    seen: str = ""

    def wire(self) -> Wire:
        return {"addresses": self.addresses, "seen": self.seen or None}, b""

    @classmethod
    def parse(cls, fields: Fields, body: Octets) -> Self:
        bounded(body, 0)
        seen = fields.text("seen") if fields.has("seen") else ""
        return cls(fields.names("addresses", MAX_ADDRESSES, MAX_ADDRESS), seen)
