"""The agreement: what two nodes give each other, signed by both with their node keys (paper section 2.1, design
section 2).

The signed text is 113 bytes, big-endian; one encoding only, so that both sign the same bytes:

      0  magic           16 bytes  "coopfs agreement"
     16  version         u8        0
     17  inviter         32 bytes  node key of the one who wrote the invitation
     49  acceptor        32 bytes  node key of the one who took it up
     81  inviter gives   u64       bytes of disk
     89  acceptor gives  u64       bytes of disk
     97  uptime          f64       per cent of the time that each promises to be reachable; 0: no promise
    105  start           u64       seconds since 1970
"""

import struct
from dataclasses import dataclass

from nacl.exceptions import BadSignatureError
from nacl.signing import SigningKey, VerifyKey

from coopfs.errors import NotAuthentic, ProtocolError
from coopfs.types import NodeKey, Proposal

LENGTH = 113  # bytes
SIGNATURE = 64  # bytes, Ed25519
MAX_GIVEN = (1 << 63) - 1  # bytes: a signed 64-bit integer, as files and SQLite count

_TEXT = struct.Struct(">16sB32s32sQQdQ")
_MAGIC = b"coopfs agreement"
_VERSION = 0
assert _TEXT.size == LENGTH


@dataclass(frozen=True, slots=True)
class Agreement:
    """inviter, acceptor: node keys; *_gives: bytes; uptime: per cent, 0 = no promise; start: seconds since 1970."""

    inviter: NodeKey
    acceptor: NodeKey
    inviter_gives: int
    acceptor_gives: int
    start: int
    uptime: float = 0.0

    def encode(self) -> bytes:
        """The text that both sign: 113 bytes."""
        return _TEXT.pack(
            _MAGIC,
            _VERSION,
            self.inviter,
            self.acceptor,
            self.inviter_gives,
            self.acceptor_gives,
            self.uptime,
            self.start,
        )


def decode(text: bytes) -> Agreement:
    """ProtocolError: not an agreement of this version, out of range, or not in the one encoding."""
    if len(text) != LENGTH:
        raise ProtocolError(f"an agreement has {len(text)} bytes instead of {LENGTH}")
    magic, version, inviter, acceptor, inviter_gives, acceptor_gives, uptime, start = _TEXT.unpack(text)
    if magic != _MAGIC or version != _VERSION:
        raise ProtocolError("an agreement is of a version that this program cannot read")
    # NaN fails both comparisons; -0.0 is caught by encoding again.
    if not (0.0 <= uptime <= 100.0) or max(inviter_gives, acceptor_gives, start) > MAX_GIVEN:
        raise ProtocolError("an agreement has a field out of range")
    agreement = Agreement(NodeKey(inviter), NodeKey(acceptor), inviter_gives, acceptor_gives, start, uptime + 0.0)
    if agreement.encode() != text:
        raise ProtocolError("an agreement is not in its one encoding")
    return agreement


def of_proposal(inviter: NodeKey, acceptor: NodeKey, proposal: Proposal) -> Agreement:
    """The agreement that a proposal's signature is about. ProtocolError: a number is out of range."""
    if not all(0 <= value <= MAX_GIVEN for value in (proposal.given, proposal.taken, proposal.start)):
        raise ProtocolError("a proposal has a number out of range")
    return Agreement(inviter, acceptor, proposal.taken, proposal.given, proposal.start)


def sign(seed: bytes, agreement: Agreement) -> bytes:
    """64 bytes, by the node whose identity seed (32 bytes) this is."""
    return SigningKey(seed).sign(agreement.encode()).signature


def verify(agreement: Agreement, signer: NodeKey, signature: bytes) -> None:
    """NotAuthentic: this is not `signer`'s signature of the agreement."""
    if len(signature) != SIGNATURE or len(signer) != 32:
        raise NotAuthentic("a signature of an agreement has the wrong length")
    try:
        VerifyKey(signer).verify(agreement.encode(), signature)
    except BadSignatureError:
        raise NotAuthentic("the signature of an agreement does not verify") from None
