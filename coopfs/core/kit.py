"""The recovery kit: a text that can be printed, and typed back line by line (design R14).

It holds the disks' keys, this node's identity and its partners' addresses: total power over the backup. Its data, which
core/kitlines.py cuts into lines, are a msgpack map; core/kitseal.py puts another around it for a passphrase.

The map (unknown keys are ignored): f format; n name and i identity seed of the node; d disks, each [read keys, signing
seed, signing key, floor version, floor date], the read keys each [key id, secret], the seed nil in a kit that can only
read, the signing key nil in one that can write; p partners, each [node key, name, addresses]; t date.
"""

from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import msgpack

from coopfs.core.fields import COUNT, KEY, TEXT, U16, U64, Field, check, pick, unpack
from coopfs.core.keys import DiskKeys, ReadKey, keys_of
from coopfs.core.kitlines import from_lines, to_lines
from coopfs.core.kitseal import FORMAT as SEALED_FORMAT
from coopfs.core.kitseal import Cost, SealedKit, read, seal
from coopfs.core.master import Floor
from coopfs.errors import KitError
from coopfs.limits import MAX_ADDRESSES, MAX_KEY_IDS, MAX_KIT, MAX_KIT_DISKS, MAX_KIT_PARTNERS
from coopfs.types import NodeKey

FORMAT = 0

_FIELDS = {
    "n": TEXT,
    "i": KEY,
    "d": Field(tuple, 1, MAX_KIT_DISKS),
    "p": Field(tuple, 0, MAX_KIT_PARTNERS),
    "t": COUNT,
}
_READ_KEY = (U16, KEY)
_DISK = (Field(tuple, 1, MAX_KEY_IDS), KEY._replace(absent=True), KEY._replace(absent=True), U64, COUNT)
_PARTNER = (KEY, TEXT, Field(tuple, 0, MAX_ADDRESSES))


@dataclass(frozen=True, slots=True)
class KitPartner:
    """A partner as the kit names it."""

    node: NodeKey
    name: str
    addresses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class KitDisk:
    """One disk: its keys, and an END known held when the kit was made (a restore never goes below it)."""

    keys: DiskKeys
    floor: Floor


@dataclass(frozen=True, slots=True)
class Kit:
    """identity: the node's 32-byte seed; date: seconds since 1970; name: the node's own."""

    name: str
    identity: bytes = field(repr=False)
    disks: tuple[KitDisk, ...]
    partners: tuple[KitPartner, ...]
    date: int

    @property
    def read_only(self) -> bool:
        """Whether it lacks the signing keys; its identity is then a reader's, not the node's."""
        return all(disk.keys.signing_seed is None for disk in self.disks)


def to_text(kit: Kit, day: str) -> str:
    """The printable kit. day: its date as people write it."""
    names = ", ".join(p.name for p in kit.partners)
    head = [
        f"# coopfs recovery kit of {kit.name}, {day}",
        f"# Partners: {names}",
        "# Keep this secret: whoever has it can read the backup, but not change it."
        if kit.read_only
        else "# Keep this secret and away from the machine: whoever has it can read and replace the backup.",
        "# To get everything back:  coopfs restore mount THIS-FILE MOUNTPOINT",
    ]
    return "\n".join(head + to_lines(_encode(kit))) + "\n"


def to_sealed_text(kit: Kit, day: str, passphrase: str, salt: bytes, cost: Cost) -> str:
    """The same, worthless without the passphrase. salt: 16 random bytes, never used before."""
    head = [
        f"# coopfs recovery kit of {kit.name}, {day}, sealed with a passphrase",
        "# Keep it away from the machine, and the passphrase away from it.",
        "# To get everything back:  coopfs restore mount THIS-FILE MOUNTPOINT",
    ]
    return "\n".join(head + to_lines(seal(_encode(kit), passphrase, salt, cost))) + "\n"


def from_text(text: str) -> Kit | SealedKit:
    """The kit from its text, as printed or as typed. KitError: names the line that is wrong, missing or twice there."""
    if len(text) > MAX_KIT:
        raise KitError("this is not a recovery kit: it is far too long")
    data = from_lines(text)
    try:
        decoded = unpack(data, MAX_KIT_PARTNERS)
        (version,) = pick(decoded, {"f": COUNT})
        return read(decoded) if version == SEALED_FORMAT else _kit(decoded)
    except ValueError as bad:
        raise KitError(f"this recovery kit is of a format that this version cannot read: {bad}") from None


def open_kit(sealed: SealedKit, passphrase: str) -> Kit:
    """The kit inside. KitError: it is another passphrase."""
    try:
        return _kit(unpack(sealed.open(passphrase), MAX_KIT_PARTNERS))
    except ValueError as bad:
        raise KitError(f"this recovery kit is of a format that this version cannot read: {bad}") from None


def _encode(kit: Kit) -> bytes:
    fields: dict[str, Any] = {
        "f": FORMAT,
        "n": kit.name,
        "i": kit.identity,
        "d": [_disk_values(d) for d in kit.disks],
        "p": [[p.node, p.name, p.addresses] for p in kit.partners],
        "t": kit.date,
    }
    return msgpack.packb(fields, use_bin_type=True)  # type: ignore[no-any-return]


def _kit(decoded: Any) -> Kit:
    (version,) = pick(decoded, {"f": COUNT})
    if version != FORMAT:
        raise ValueError(f"format {version}")
    name, identity, disks, partners, date = pick(decoded, _FIELDS)
    return Kit(name, identity, tuple(_disk(d) for d in disks), tuple(_partner(p) for p in partners), date)


def _disk_values(disk: KitDisk) -> list[Any]:
    keys = disk.keys
    public = keys.signing_key if keys.signing_seed is None else None  # 32 bytes less to type: it follows from the seed
    read_keys = [[key.id, key.secret] for key in keys.secrets]
    return [read_keys, keys.signing_seed, public, disk.floor.version, disk.floor.date]


def _disk(decoded: Any) -> KitDisk:
    read_keys, seed, public, version, date = check(decoded, _DISK)
    if (seed is None) == (public is None):
        raise ValueError("one of signing seed and signing key expected")
    secrets = tuple(ReadKey(*check(key, _READ_KEY)) for key in read_keys)
    if any(b.id <= a.id for a, b in pairwise(secrets)):
        raise ValueError("read keys that do not follow each other")
    keys = DiskKeys(secrets, None, public) if seed is None else keys_of(secrets, seed)
    return KitDisk(keys, Floor(version, date))


def _partner(decoded: Any) -> KitPartner:
    node, name, addresses = check(decoded, _PARTNER)
    check(addresses, (TEXT,) * len(addresses))
    return KitPartner(NodeKey(node), name, addresses)
