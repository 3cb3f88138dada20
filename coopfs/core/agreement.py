"""The agreement: what two nodes give each other, signed by both with their node keys (paper section 2.1, design
section 2).

The signed text is 113 bytes, or up to 242 with a promise of uptime, big-endian; one encoding only, so that both sign
the same bytes:

      0  magic           16 bytes  "coopfs agreement"
     16  version         u8        0 without a promise of uptime, 1 with one
     17  inviter         32 bytes  node key of the one who wrote the invitation
     49  acceptor        32 bytes  node key of the one who took it up
     81  inviter gives   u64       bytes of disk
     89  acceptor gives  u64       bytes of disk
     97  zero            8 bytes
    105  start           u64       seconds since 1970
    113  uptime          u8 length, then that many bytes of ASCII: the level (coopfs/levels) that each promises, in its
                         one text; version 1 only
"""

import struct
from dataclasses import dataclass

from nacl.exceptions import BadSignatureError
from nacl.signing import SigningKey, VerifyKey

from coopfs.errors import NotAuthentic, ProtocolError, UsageError
from coopfs.levels import MAX_UPTIME_TEXT, parse_uptime
from coopfs.types import NodeKey, Proposal

LENGTH = 113  # bytes without a promise
LONGEST = LENGTH + 1 + MAX_UPTIME_TEXT
SIGNATURE = 64  # bytes, Ed25519
MAX_GIVEN = (1 << 63) - 1  # bytes: a signed 64-bit integer, as files and SQLite count

_TEXT = struct.Struct(">16sB32s32sQQQQ")
_MAGIC = b"coopfs agreement"
_BARE, _PROMISING = 0, 1  # versions
assert _TEXT.size == LENGTH


@dataclass(frozen=True, slots=True)
class Agreement:
    """inviter, acceptor: node keys; *_gives: bytes; start: seconds since 1970; uptime: the level that each promises, as
    `str` of it, empty for none."""

    inviter: NodeKey
    acceptor: NodeKey
    inviter_gives: int
    acceptor_gives: int
    start: int
    uptime: str = ""

    def encode(self) -> bytes:
        """The text that both sign: 113 to 242 bytes."""
        text = _TEXT.pack(
            _MAGIC,
            _PROMISING if self.uptime else _BARE,
            self.inviter,
            self.acceptor,
            self.inviter_gives,
            self.acceptor_gives,
            0,
            self.start,
        )
        return text + bytes([len(self.uptime)]) + self.uptime.encode("ascii") if self.uptime else text


def decode(text: bytes) -> Agreement:
    """ProtocolError: not an agreement of this version, out of range, or not in the one encoding."""
    if not LENGTH <= len(text) <= LONGEST:
        raise ProtocolError(f"an agreement has {len(text)} bytes instead of {LENGTH} to {LONGEST}")
    magic, version, inviter, acceptor, inviter_gives, acceptor_gives, _, start = _TEXT.unpack_from(text)
    if magic != _MAGIC or version not in (_BARE, _PROMISING):
        raise ProtocolError("an agreement is of a version that this program cannot read")
    if max(inviter_gives, acceptor_gives, start) > MAX_GIVEN:
        raise ProtocolError("an agreement has a field out of range")
    uptime = check_promise(text[LENGTH + 1 :].decode("ascii", "replace"))
    agreement = Agreement(NodeKey(inviter), NodeKey(acceptor), inviter_gives, acceptor_gives, start, uptime)
    if agreement.encode() != text:
        raise ProtocolError("an agreement is not in its one encoding")
    return agreement


def check_promise(uptime: str) -> str:
    """A level of uptime in its one text, or nothing. ProtocolError: it is neither."""
    try:
        if uptime and str(parse_uptime(uptime)) == uptime:
            return uptime
    except UsageError as wrong:
        raise ProtocolError(f"an agreement is about an uptime that is none: {wrong}") from None
    if uptime:
        raise ProtocolError("an agreement is about an uptime that is not in its one text")
    return uptime


def of_proposal(inviter: NodeKey, acceptor: NodeKey, proposal: Proposal) -> Agreement:
    """The agreement that a proposal's signature is about. ProtocolError: a number is out of range."""
    if not all(0 <= value <= MAX_GIVEN for value in (proposal.given, proposal.taken, proposal.start)):
        raise ProtocolError("a proposal has a number out of range")
    uptime = check_promise(proposal.uptime)
    return Agreement(inviter, acceptor, proposal.taken, proposal.given, proposal.start, uptime)


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
