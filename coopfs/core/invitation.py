"""The invitation: what one owner hands another by mail or telephone so that their nodes become partners.

As text: the prefix "COOPFS0-", then base32 (core/base32.py) with a checksum. Whoever holds the code can use it,
once, before it expires. The bytes, big-endian:

     0  version     u8        0 without a promise of uptime, 1 with one
     1  inviter     32 bytes  node key
    33  token       16 bytes  random; names this invitation to the inviter
    49  given       u64       bytes that the inviter gives
    57  taken       u64       bytes that the inviter takes
    65  name        u8 length, then that many bytes of ASCII
     .  addresses   u8 count, then each as u8 length and that many bytes of ASCII, see core/candidates.py
     .  uptime      u8 length, then that many bytes of ASCII: the level that both promise; version 1 only
"""

import struct
from dataclasses import dataclass

from coopfs import limits
from coopfs.config import check_name
from coopfs.core import base32
from coopfs.core.agreement import MAX_GIVEN, check_promise
from coopfs.core.candidates import check_candidate
from coopfs.errors import ProtocolError, Refused, UsageError
from coopfs.sizes import format_size
from coopfs.types import NodeKey, Proposal

TOKEN = 16  # bytes
PREFIX = "COOPFS0"

_FIXED = struct.Struct(">B32s16sQQ")
_BARE, _PROMISING = 0, 1  # versions
_MISTYPED = "this is not an invitation code, or it is mistyped or cut short: copy the whole line again"


@dataclass(frozen=True, slots=True)
class Invitation:
    """inviter: node key; token: 16 bytes; given, taken: bytes, as seen by the inviter; name, addresses: how to call
    and reach it; uptime: the level that both promise, empty for none.
    """

    inviter: NodeKey
    token: bytes
    given: int
    taken: int
    name: str
    addresses: tuple[str, ...]
    uptime: str = ""

    def encode(self) -> str:
        """One line of text, about 170 characters."""
        assert len(self.addresses) <= limits.MAX_ADDRESSES
        version = _PROMISING if self.uptime else _BARE
        parts = [_FIXED.pack(version, self.inviter, self.token, self.given, self.taken), _short(self.name)]
        parts.append(bytes([len(self.addresses)]))
        parts.extend(_short(address) for address in self.addresses)
        if self.uptime:
            parts.append(_short(self.uptime))
        return f"{PREFIX}-{base32.encode(b''.join(parts))}"


def decode(code: str) -> Invitation:
    """UsageError: mistyped, cut short, or not an invitation of this version."""
    text, prefix = base32.normalise(code), base32.normalise(PREFIX)
    data = base32.decode(text.removeprefix(prefix)) if text.startswith(prefix) else None
    if data is None:
        raise UsageError(_MISTYPED)
    # The checksum has passed: from here on a fault is another version's, or a forger's.
    if len(data) < _FIXED.size or data[0] not in (_BARE, _PROMISING):
        raise UsageError("this invitation code is of a version that this program cannot read: ask for a new one")
    version, inviter, token, given, taken = _FIXED.unpack_from(data)
    try:
        name, rest = _take_short(data[_FIXED.size :])
        count, rest = rest[0], rest[1:]
        addresses = []
        for _ in range(count):
            address, rest = _take_short(rest)
            addresses.append(address)
        uptime, rest = _take_short(rest) if version == _PROMISING else ("", rest)
        check_promise(uptime)
    except (IndexError, UnicodeDecodeError, ProtocolError):
        raise UsageError("this invitation code is damaged: ask for a new one") from None
    if rest or max(given, taken) > MAX_GIVEN or bool(uptime) != (version == _PROMISING):
        raise UsageError("this invitation code is damaged: ask for a new one")
    check_contact(name, tuple(addresses))
    return Invitation(NodeKey(inviter), token, given, taken, name, tuple(addresses), uptime)


def check_contact(name: str, addresses: tuple[str, ...]) -> None:
    """UsageError: not a name, not addresses, or more than MAX_ADDRESSES of them."""
    check_name(name)
    if len(addresses) > limits.MAX_ADDRESSES:
        raise UsageError(f"{len(addresses)} addresses are more than the {limits.MAX_ADDRESSES} that one node may have")
    for address in addresses:
        check_candidate(address)


def check_proposal(given: int, taken: int, uptime: str, proposal: Proposal) -> None:
    """Refused: the proposal is not about the sizes and the uptime that the inviter wrote (`given`, `taken`: bytes, as
    seen by the inviter).
    """
    if proposal.given < taken:
        raise Refused(f"offers {format_size(proposal.given)}, {format_size(taken)} needed: that was the invitation")
    if proposal.given != taken or proposal.taken != given:
        raise Refused(
            f"the invitation was for {format_size(given)} against {format_size(taken)}, "
            f"not {format_size(proposal.taken)} against {format_size(proposal.given)}"
        )
    if proposal.uptime != uptime:
        raise Refused(f"the invitation promises an uptime of {uptime or 'nothing'}, not of {proposal.uptime or 'none'}")
    try:
        check_contact(proposal.name, proposal.addresses)
    except UsageError as error:
        raise Refused(str(error)) from None


def _short(text: str) -> bytes:
    data = text.encode("ascii")
    assert len(data) <= limits.MAX_ADDRESS
    return bytes([len(data)]) + data


def _take_short(data: bytes) -> tuple[str, bytes]:
    """The text and what follows it. IndexError: there is less."""
    end = 1 + data[0]
    if len(data) < end:
        raise IndexError
    return data[1:end].decode("ascii"), data[end:]
