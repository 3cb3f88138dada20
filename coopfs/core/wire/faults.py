"""Error answers: a code, a text for a person, and what the code carries; each comes back as the error it was."""

from enum import IntEnum
from typing import Any

from coopfs.core.wire.message_map import U16, U32, U64, Fields, pack_map, printable
from coopfs.core.wire.message_types import ID_SIZE
from coopfs.errors import (
    BlockRefused,
    CoopfsError,
    Fenced,
    NoAgreement,
    NotAuthentic,
    PartnerAway,
    PeerError,
    Refused,
    StoreGone,
)


class Code(IntEnum):
    """What went wrong. A code that the reader does not know is a plain refusal."""

    REFUSED = 1
    BLOCK_REFUSED = 2  # carries: version
    FENCED = 3  # carries: epoch, claimer
    NOT_AUTHENTIC = 4
    UNSUPPORTED = 5  # a message type that the answering side does not know
    UNABLE = 6  # the answering side has trouble of its own (a disk, a lock): ask again later
    STORE_GONE = 7
    NO_AGREEMENT = 8


class Unsupported(Refused):
    """The peer does not know this type of message."""


# The first class that fits, so the special come before the general. Trouble that is not the asking side's fault
# is UNABLE and comes back as PartnerAway: for the owner of a block a partner with a full disk is one that is not there.
_CODES: tuple[tuple[type[CoopfsError], Code], ...] = (
    (BlockRefused, Code.BLOCK_REFUSED),
    (Fenced, Code.FENCED),
    (Unsupported, Code.UNSUPPORTED),
    (NotAuthentic, Code.NOT_AUTHENTIC),
    (StoreGone, Code.STORE_GONE),
    (NoAgreement, Code.NO_AGREEMENT),
    (PartnerAway, Code.UNABLE),
    (PeerError, Code.REFUSED),
    (CoopfsError, Code.UNABLE),
)


def encode_error(error: CoopfsError) -> bytes:
    """The map of an error answer."""
    code = next(code for kind, code in _CODES if isinstance(error, kind))
    fields: dict[str, Any] = {"code": code, "text": printable(str(error))}
    if isinstance(error, BlockRefused):
        fields["version"] = error.stored_version
    if isinstance(error, Fenced):
        fields |= {"epoch": error.epoch, "claimer": error.claimer}
    return pack_map(fields)


def decode_error(fields: Fields) -> PeerError:
    """The typed error of an error answer; ProtocolError (raised) if the map is not one."""
    code, text = fields.whole("code", U32), fields.text("text")
    match code:
        case Code.BLOCK_REFUSED:
            return BlockRefused(text, fields.whole("version", U64))
        case Code.FENCED:
            return Fenced(text, fields.whole("epoch", U16, low=1), fields.octets("claimer", ID_SIZE))
        case Code.NOT_AUTHENTIC:
            return NotAuthentic(text)
        case Code.UNSUPPORTED:
            return Unsupported(text)
        case Code.UNABLE:
            return PartnerAway(text)
        case Code.STORE_GONE:
            return StoreGone(text)
        case Code.NO_AGREEMENT:
            return NoAgreement(text)
        case _:
            return Refused(text)
