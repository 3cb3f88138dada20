"""The announcement: what a node tells matching servers of itself, and they tell other nodes (paper, section 2.1).

It is signed with the node key, so that neither a server nor another node can alter or invent one; a server can only
hide it. 64 bytes of Ed25519 signature stand before the signed text: "coopfs 0 announce", then a msgpack list

    node key, incarnation, name, addresses, site, system, storage level, uptime level, needs, partners, time, sequence

and, if there are any, its bonds (core/bond),
in the shortest encoding, which is the only one accepted. A newer announcement of a node has a higher sequence; its time
must be near the reader's. Whoever runs a copy of a node is found out by its incarnation, which comes back after another
one has taken its place.
"""

from dataclasses import dataclass
from typing import Any

import msgpack
from nacl.exceptions import BadSignatureError
from nacl.signing import SigningKey, VerifyKey

from coopfs import limits
from coopfs.core.bond import BOND
from coopfs.core.fields import COUNT, ID, KEY, Field, check, unpack
from coopfs.core.invitation import check_contact
from coopfs.errors import ClockApart, NotAuthentic, ProtocolError, Replayed, TwinIdentity, UsageError
from coopfs.levels import MAX_UPTIME_TEXT, STORAGE_LEVELS, Uptime, parse_uptime
from coopfs.types import NodeKey

SIGNATURE = 64  # bytes, Ed25519
INCARNATION = 16  # bytes
_MAGIC = b"coopfs 0 announce"
_FIELDS = (
    KEY,
    ID,
    Field(str, 1, 64),
    Field(tuple, 1, limits.MAX_ADDRESSES),
    Field(str, 0, limits.MAX_SITE),
    Field(str, 1, limits.MAX_SITE),
    Field(int, 0, STORAGE_LEVELS - 1),
    Field(str, 1, MAX_UPTIME_TEXT),
    Field(int, 0, limits.MAX_WANTED),
    Field(int, 0, limits.MAX_WANTED),
    COUNT,
    COUNT,
    Field(tuple, 1, limits.MAX_BONDS),
)


@dataclass(frozen=True, slots=True)
class Announcement:
    """node: who; incarnation: 16 random bytes of this running daemon; name, addresses: how to call and reach it; site:
    where it stands, in its owner's words, "" if not said; system: its operating system; storage: level of what it swaps
    with each partner; uptime: what it promises and asks for; needs, partners: how many it lacks, and has; time: seconds
    since 1970; sequence: higher with each announcement of this node; bonds: of the agreements between whose two sides
    others may step, 8 bytes each, ascending.
    """

    node: NodeKey
    incarnation: bytes
    name: str
    addresses: tuple[str, ...]
    site: str
    system: str
    storage: int
    uptime: Uptime
    needs: int
    partners: int
    time: int
    sequence: int
    bonds: tuple[bytes, ...] = ()

    def encode(self) -> bytes:
        """The text that is signed."""
        who = (self.node, self.incarnation, self.name, self.addresses, self.site, self.system)
        what = (self.storage, str(self.uptime), self.needs, self.partners, self.time, self.sequence)
        packed: bytes = msgpack.packb(who + what + ((self.bonds,) if self.bonds else ()))
        return _MAGIC + packed


def sign(seed: bytes, announcement: Announcement) -> bytes:
    """Signature and text, at most MAX_ANNOUNCEMENT bytes; seed: the node's identity seed, 32 bytes."""
    signed = SigningKey(seed).sign(announcement.encode())
    assert len(signed) <= limits.MAX_ANNOUNCEMENT
    return bytes(signed)


def verify(signed: bytes) -> Announcement:
    """What a node has signed. ProtocolError: no announcement of this version, out of bounds, or not in the one
    encoding. NotAuthentic: not signed by the node that it names."""
    announcement = _decode(signed)
    try:
        VerifyKey(announcement.node).verify(signed[SIGNATURE:], signed[:SIGNATURE])
    except BadSignatureError:
        raise NotAuthentic("the signature of an announcement does not verify: it is forged or was altered") from None
    return announcement


def _decode(signed: bytes) -> Announcement:
    if len(signed) > limits.MAX_ANNOUNCEMENT:
        raise ProtocolError(f"an announcement of {len(signed)} bytes is longer than {limits.MAX_ANNOUNCEMENT}")
    text = signed[SIGNATURE:]
    if not text.startswith(_MAGIC):
        raise ProtocolError("this is no announcement, or one of a version that this program cannot read")
    try:
        values = unpack(text[len(_MAGIC) :], len(_FIELDS))
        is_short = type(values) is tuple and len(values) < len(_FIELDS)
        who, what, bonds = _sorted_out(check(values, _FIELDS[:-1] if is_short else _FIELDS))
        node, incarnation, name, addresses, site, system = who
        storage, uptime, needs, partners, time, sequence = what
        if not all(type(address) is str for address in addresses):
            raise ValueError("an address is no text")
        check_contact(name, addresses)
        level = parse_uptime(uptime)
    except (ValueError, UsageError) as bad:
        raise ProtocolError(f"an announcement cannot be read: {bad}") from None
    announcement = Announcement(
        NodeKey(node),
        incarnation,
        name,
        addresses,
        site,
        system,
        storage,
        level,
        needs,
        partners,
        time,
        sequence,
        bonds,
    )
    if announcement.encode() != text:
        raise ProtocolError("an announcement is not in its one encoding")
    return announcement


def _sorted_out(values: tuple[Any, ...]) -> tuple[tuple[Any, ...], tuple[Any, ...], tuple[bytes, ...]]:
    """Who announces, what, and its bonds. ValueError: those are no bonds, or not in order."""
    bonds = values[12] if len(values) > 12 else ()
    if any(type(bond) is not bytes or len(bond) != BOND for bond in bonds) or list(bonds) != sorted(set(bonds)):
        raise ValueError("these are no bonds")
    return values[:6], values[6:12], bonds


def check_time(announcement: Announcement, now: int) -> None:
    """now: seconds since 1970. ClockApart: more than MATCH_SKEW from the announcement's."""
    apart = announcement.time - now
    if abs(apart) > limits.MATCH_SKEW:
        raise ClockApart(
            f"the announcing node's clock is {_words(abs(apart))} {'ahead of' if apart > 0 else 'behind'} this one: "
            "set the clock that is wrong"
        )


def _words(seconds: int) -> str:
    minutes = seconds // 60
    return f"{minutes // 1440} days" if minutes >= 2880 else f"{minutes // 60} h {minutes % 60} min"


@dataclass(frozen=True, slots=True)
class Known:
    """What is remembered of a member to judge its next announcement. former: its incarnations before this one, the
    newest first, 16 bytes each."""

    sequence: int
    incarnation: bytes
    former: bytes
    signed: bytes


def follow(known: Known | None, announcement: Announcement, signed: bytes) -> bytes | None:
    """The former incarnations to remember with this announcement; None: it is the one that is known.

    Replayed: a newer one is known. TwinIdentity: its incarnation had been followed by another one, which a restart
    cannot do.
    """
    if known is None:
        return b""
    if known.signed == signed:
        return None
    former = [known.former[at : at + INCARNATION] for at in range(0, len(known.former), INCARNATION)]
    if announcement.incarnation in former:
        raise TwinIdentity(
            "another machine announces itself with this node's identity: one of the two is a copy, which must stop, or "
            "take over with the recovery kit"
        )
    if announcement.sequence <= known.sequence:
        raise Replayed("a newer announcement of this node is known: this one is an old copy, or its clock was put back")
    if announcement.incarnation == known.incarnation:
        return known.former
    return b"".join([known.incarnation, *former][: limits.FORMER_INCARNATIONS])
