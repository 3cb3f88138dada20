"""The recovery kit: a text that can be printed, and typed back line by line (design R14).

It holds the disks' keys, this node's identity and its partners' addresses: total power over the backup. The data is a
msgpack map, cut into lines of 25 bytes:

    NN  XXXXX XXXXX XXXXX XXXXX XXXXX XXXXX XXXXX XXXXX  CCCC

NN counts from 1; X is Crockford base32 (no I, L, O, U; small letters and look-alikes are understood); CCCC, 20 bits of
BLAKE3 over line number and data, tells which line was mistyped. The last line may be shorter. Its data ends in 8 bytes
of BLAKE3 over all before, so that a missing page or pages of two kits are seen. Lines that start with # are for people.

The map (unknown keys are ignored): f format; n name and i identity seed of the node; d disks, each [read key, signing
seed, signing key, floor version, floor date], the seed nil in a kit that can only read, the key nil in one that can
write; p partners, each [node key, name, addresses]; t date.
"""

import re
from dataclasses import dataclass, field
from typing import Any

import msgpack
from blake3 import blake3

from coopfs.core.fields import COUNT, KEY, TEXT, U64, Field, check, pick, unpack
from coopfs.core.keys import DiskKeys, make_keys
from coopfs.core.master import Floor
from coopfs.errors import KitError
from coopfs.limits import MAX_ADDRESSES, MAX_KIT, MAX_KIT_DISKS, MAX_KIT_PARTNERS
from coopfs.types import NodeKey

FORMAT = 0
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_LINE = 25  # bytes: 40 letters, about what an eye keeps its place in
_CHECK_LETTERS = 4
_DIGEST = 8  # bytes over the whole kit
_LOOKALIKES = str.maketrans({"O": "0", "I": "1", "L": "1"})

_FIELDS = {
    "n": TEXT,
    "i": KEY,
    "d": Field(tuple, 1, MAX_KIT_DISKS),
    "p": Field(tuple, 0, MAX_KIT_PARTNERS),
    "t": COUNT,
}
_DISK = (KEY, KEY._replace(absent=True), KEY._replace(absent=True), U64, COUNT)
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


def to_text(kit: Kit, day: str) -> str:
    """The printable kit. day: its date as people write it."""
    fields: dict[str, Any] = {
        "f": FORMAT,
        "n": kit.name,
        "i": kit.identity,
        "d": [_disk_values(d) for d in kit.disks],
        "p": [[p.node, p.name, p.addresses] for p in kit.partners],
        "t": kit.date,
    }
    data = msgpack.packb(fields, use_bin_type=True)
    data += blake3(data).digest(_DIGEST)
    names = ", ".join(p.name for p in kit.partners)
    head = [
        f"# coopfs recovery kit of {kit.name}, {day}",
        f"# Partners: {names}",
        "# Keep this secret and away from the machine: whoever has it can read and replace the backup.",
        "# To get everything back:  coopfs restore mount THIS-FILE MOUNTPOINT",
    ]
    lines = [_line(number, data[at : at + _LINE]) for number, at in enumerate(range(0, len(data), _LINE), 1)]
    return "\n".join(head + lines) + "\n"


def from_text(text: str) -> Kit:
    """The kit from its text, as printed or as typed. KitError: names the line that is wrong, missing or twice there."""
    if len(text) > MAX_KIT:
        raise KitError("this is not a recovery kit: it is far too long")
    pieces: list[bytes] = []
    for line in text.splitlines():
        if line.strip() and not line.lstrip().startswith("#"):
            if pieces and len(pieces[-1]) < _LINE:
                raise KitError(f"line {len(pieces)} of the recovery kit ends too early: only the last one may be short")
            pieces.append(_read_line(line, len(pieces) + 1))
    if not pieces:
        raise KitError("this is not a recovery kit: it has no data lines")
    whole = b"".join(pieces)
    data, digest = whole[:-_DIGEST], whole[-_DIGEST:]
    if blake3(data).digest(_DIGEST) != digest:
        raise KitError(
            f"the recovery kit is not whole: lines after {len(pieces)} are missing, or its lines are of different kits"
        )
    try:
        return _kit(unpack(data, MAX_KIT_PARTNERS))
    except ValueError as bad:
        raise KitError(f"this recovery kit is of a format that this version cannot read: {bad}") from None


def _kit(decoded: Any) -> Kit:
    (version,) = pick(decoded, {"f": COUNT})
    if version != FORMAT:
        raise ValueError(f"format {version}")
    name, identity, disks, partners, date = pick(decoded, _FIELDS)
    return Kit(name, identity, tuple(_disk(d) for d in disks), tuple(_partner(p) for p in partners), date)


def _disk_values(disk: KitDisk) -> list[Any]:
    keys = disk.keys
    public = keys.signing_key if keys.signing_seed is None else None  # 32 bytes less to type: it follows from the seed
    return [keys.read_key, keys.signing_seed, public, disk.floor.version, disk.floor.date]


def _disk(decoded: Any) -> KitDisk:
    read_key, seed, public, version, date = check(decoded, _DISK)
    if (seed is None) == (public is None):
        raise ValueError("one of signing seed and signing key expected")
    keys = DiskKeys(read_key, None, public) if seed is None else make_keys(read_key, seed)
    return KitDisk(keys, Floor(version, date))


def _partner(decoded: Any) -> KitPartner:
    node, name, addresses = check(decoded, _PARTNER)
    check(addresses, (TEXT,) * len(addresses))
    return KitPartner(NodeKey(node), name, addresses)


def _line(number: int, data: bytes) -> str:
    letters = _letters(int.from_bytes(data, "big"), _letters_of(len(data)))
    groups = " ".join(letters[i : i + 5] for i in range(0, len(letters), 5))
    return f"{number:02d}  {groups}  {_check(number, data)}"


def _read_line(line: str, expected: int) -> bytes:
    number_text, *words = line.split()
    if not re.fullmatch("[0-9]{1,4}", number_text) or not words:
        raise KitError(f"line {expected} of the recovery kit does not start with its number")
    number = int(number_text)
    if number != expected:
        raise KitError(f"line {expected} of the recovery kit is missing or out of order: line {number} stands there")
    letters = "".join(words).upper().translate(_LOOKALIKES)
    if not re.fullmatch(f"[{_ALPHABET}]+", letters):
        raise KitError(f"line {number} of the recovery kit has a letter that does not occur in kits")
    body, check_letters = letters[:-_CHECK_LETTERS], letters[-_CHECK_LETTERS:]
    length = len(body) * 5 // 8
    if not 0 < length <= _LINE or len(body) != _letters_of(length):
        raise KitError(f"line {number} of the recovery kit has letters too many or too few")
    value = 0
    for letter in body:
        value = value << 5 | _ALPHABET.index(letter)
    if value >> length * 8 or check_letters != _check(number, value.to_bytes(length, "big")):
        raise KitError(f"line {number} of the recovery kit is mistyped: its checksum does not match")
    return value.to_bytes(length, "big")


def _letters_of(length: int) -> int:
    return -(-length * 8 // 5)


def _check(number: int, data: bytes) -> str:
    digest = blake3(number.to_bytes(2, "big") + data).digest(4)
    return _letters(int.from_bytes(digest, "big") >> 12, _CHECK_LETTERS)


def _letters(value: int, count: int) -> str:
    return "".join(_ALPHABET[value >> 5 * i & 31] for i in reversed(range(count)))
