"""The requests between a node and a relay (coopfs-protocol(7), RELAYS). A node that is asked one of them refuses it."""

from dataclasses import dataclass
from typing import ClassVar, Self

from coopfs.core.wire.message_map import Fields
from coopfs.core.wire.message_types import KEY_SIZE, MessageType, Wire, bounded
from coopfs.types import NodeKey, Octets


@dataclass(frozen=True, slots=True)
class WaitForCall:
    """To a relay: this connection waits for somebody who calls the node."""

    TYPE: ClassVar = MessageType.RELAY_WAIT

    def wire(self) -> Wire:
        return {}, b""

    @classmethod
    def parse(cls, fields: Fields, body: Octets) -> Self:
        bounded(body, 0)
        return cls()


@dataclass(frozen=True, slots=True)
class DialNode:
    """To a relay: join this connection with one on which `node` waits. After the answer all bytes are of the two
    nodes."""

    TYPE: ClassVar = MessageType.RELAY_DIAL
    node: NodeKey

    def wire(self) -> Wire:
        return {"node": self.node}, b""

    @classmethod
    def parse(cls, fields: Fields, body: Octets) -> Self:
        bounded(body, 0)
        return cls(NodeKey(fields.octets("node", KEY_SIZE)))


@dataclass(frozen=True, slots=True)
class Call:
    """From a relay, on a connection that waits: somebody calls. After the answer all bytes are of the two nodes."""

    TYPE: ClassVar = MessageType.RELAY_CALL

    def wire(self) -> Wire:
        return {}, b""

    @classmethod
    def parse(cls, fields: Fields, body: Octets) -> Self:
        bounded(body, 0)
        return cls()
