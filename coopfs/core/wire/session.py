"""A session, pure: what two nodes make of each other's HELLO, and which messages may follow (design R16).

    HELLO settled -> a standing: PARTNER (everything), READER (nothing that changes the other side),
                        STRANGER (agreeing, leaving)

Both sides compute the same from the same two HELLOs, so no answer is needed. Whom the key makes a reader or a stranger
finds out by being refused.
"""

from dataclasses import dataclass
from enum import Enum

from coopfs.core.wire.message_types import MessageType
from coopfs.core.wire.messages import Request
from coopfs.core.wire.node_requests import Hello
from coopfs.core.wire.store_requests import Open
from coopfs.errors import NoAgreement, ProtocolError, Refused


class Standing(Enum):
    """What the other side may ask for."""

    PARTNER = "partner"
    READER = "reader"
    STRANGER = "stranger"


_CARE = frozenset({MessageType.PING, MessageType.GOODBYE})
_READING = _CARE | {
    MessageType.OPEN,
    MessageType.CLOSE,
    MessageType.GET,
    MessageType.INVENTORY,
    MessageType.MASTER_GET,
}
_WRITING = frozenset(
    {
        MessageType.PUT,
        MessageType.RESIZE,
        MessageType.CLAIM,
        MessageType.MASTER_PUT,
        MessageType.GRANT,
        MessageType.AMEND,
        MessageType.ADDRESSES,
    }
)
_AGREEING = frozenset({MessageType.AGREE, MessageType.RENEW, MessageType.LEAVE, MessageType.OFFER, MessageType.STEP})

ALLOWED: dict[Standing, frozenset[MessageType]] = {
    Standing.PARTNER: _READING | _WRITING | _AGREEING,
    Standing.READER: _READING,
    Standing.STRANGER: _CARE | _AGREEING,
}
_REFUSALS = {
    Standing.READER: "only reading is possible: the other side was let in to read, or has features not known here",
    Standing.STRANGER: "no agreement with this node: a stranger may only offer to become a partner",
}


@dataclass(frozen=True, slots=True)
class Session:
    """What was settled. version: the protocol version to speak; remote: the other side's HELLO."""

    version: int
    standing: Standing
    remote: Hello

    def refusal(self, request: Request) -> Refused | None:
        """What to answer if the standing does not allow this request. ProtocolError for a second HELLO."""
        if request.TYPE is MessageType.HELLO:
            raise ProtocolError("the peer said HELLO twice")
        changes = isinstance(request, Open) and (request.opening.claim or request.opening.create) is not None
        if request.TYPE in ALLOWED[self.standing] and not (changes and self.standing is Standing.READER):
            return None
        refusal = NoAgreement if self.standing is Standing.STRANGER else Refused
        return refusal(_REFUSALS[self.standing])


def _features(hello: Hello) -> frozenset[str]:
    return frozenset(hello.compatible + hello.read_compatible + hello.incompatible)


def _unknown(names: tuple[str, ...], other: Hello) -> list[str]:
    return [name for name in names if name not in _features(other)]


def negotiate(mine: Hello, theirs: Hello, standing: Standing) -> Session:
    """standing: what the peer's key gives it. ProtocolError: no common version, or a feature that one
    side needs and the other does not name; the same error, seen from the other end, on the other side."""
    if theirs.highest < theirs.lowest:
        raise ProtocolError(f"the peer's protocol versions {theirs.lowest}..{theirs.highest} are no range")
    version = min(mine.highest, theirs.highest)
    if version < max(mine.lowest, theirs.lowest):
        raise ProtocolError(
            f"no common protocol version: this node speaks {mine.lowest}..{mine.highest},"
            f" the peer {theirs.lowest}..{theirs.highest}; update the older one"
        )
    if needed := _unknown(theirs.incompatible, mine):
        raise ProtocolError(f"the peer needs features that this node does not have: {', '.join(needed)}")
    if needed := _unknown(mine.incompatible, theirs):
        raise ProtocolError(f"this node needs features that the peer does not have: {', '.join(needed)}")
    half = _unknown(theirs.read_compatible, mine) + _unknown(mine.read_compatible, theirs)
    if standing is Standing.PARTNER and half:
        standing = Standing.READER
    return Session(version, standing, theirs)
