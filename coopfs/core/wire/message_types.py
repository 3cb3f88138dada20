"""What all messages share: their numbers, and how a claim stands in a map (design R16)."""

from enum import IntEnum
from typing import Any

from coopfs.core.agreement import LENGTH, LONGEST
from coopfs.core.wire.message_map import U16, U63, Fields
from coopfs.errors import ProtocolError
from coopfs.types import Claim, DiskId, Octets

ID_SIZE = 16  # bytes of a disk id, store id, claimer, token, incarnation or digest
SIGNATURE_SIZE = 64  # bytes, Ed25519
KEY_SIZE = 32  # bytes, a public Ed25519 key
AGREEMENT_SIZES = (LENGTH, LONGEST)  # bytes, the text of core/agreement


class MessageType(IntEnum):
    """The numbers are for ever; those without a dataclass are reserved and answered "unsupported"."""

    HELLO = 1
    OPEN = 2
    CLOSE = 3
    PUT = 4
    GET = 5
    READ_MANY = 6
    INVENTORY = 7
    CLAIM = 8
    MASTER_GET = 9
    MASTER_PUT = 10
    TRIM = 11
    RESIZE = 12
    GRANT = 13
    COMMIT = 14
    RANDOM_OPEN = 15
    RANDOM_READ = 16
    LOSS = 17
    AGREE = 18
    PING = 19
    GOODBYE = 20
    RENEW = 21
    LEAVE = 22
    RELAY_WAIT = 23
    RELAY_DIAL = 24
    RELAY_CALL = 25
    ADDRESSES = 26
    OFFER = 27
    AMEND = 28
    STEP = 29


Wire = tuple[dict[str, Any], Octets]  # map, body


def claim_map(claim: Claim) -> dict[str, Any]:
    return {
        "disk": claim.disk,
        "epoch": claim.epoch,
        "claimer": claim.claimer,
        "time": claim.time,
        "key": claim.signing_key,
        "signature": claim.signature,
    }


def parse_claim(fields: Fields) -> Claim:
    return Claim(
        disk=DiskId(fields.octets("disk", ID_SIZE)),
        epoch=fields.whole("epoch", U16, low=1),
        claimer=fields.octets("claimer", ID_SIZE),
        time=fields.whole("time", U63),
        signing_key=fields.octets("key", KEY_SIZE),
        signature=fields.octets("signature", SIGNATURE_SIZE),
    )


def bounded(body: Octets, size: int) -> Octets:
    """`body` if it has at most `size` bytes, else ProtocolError."""
    if len(body) > size:
        raise ProtocolError(f"a message body of {len(body)} bytes is larger than {size}")
    return body
