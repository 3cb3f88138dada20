"""POSIX access control lists: the form in which Linux passes them, and how they and the mode follow each other.

The extended attributes `system.posix_acl_access` (of anything but a symbolic link) and `system.posix_acl_default` (of
directories) hold u32 version 2, then entries of u16 tag, u16 permissions, u32 id, little endian, by ascending tag. An
id counts for named users and groups only and is 2^32-1 elsewhere. The rules are those of POSIX 1003.1e draft 17,
sections 23.1 and 23.3, as in acl(5).
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import IntEnum

from coopfs.errors import InvalidAcl

ACCESS = b"system.posix_acl_access"
DEFAULT = b"system.posix_acl_default"
NAMES = (ACCESS, DEFAULT)

VERSION = struct.pack("<I", 2)
NO_ID = (1 << 32) - 1
PERMISSIONS = 0o777  # the bits of a mode that an ACL replaces

_ENTRY = struct.Struct("<HHI")


class Tag(IntEnum):
    """Whom an entry is about."""

    OWNER = 0x01
    USER = 0x02
    OWNING_GROUP = 0x04
    GROUP = 0x08
    MASK = 0x10
    OTHER = 0x20


NAMED = (Tag.USER, Tag.GROUP)
ONCE = (Tag.OWNER, Tag.OWNING_GROUP, Tag.OTHER)


@dataclass(frozen=True, slots=True)
class Entry:
    """perm: r 4, w 2, x 1."""

    tag: Tag
    perm: int
    id: int = NO_ID


@dataclass(frozen=True, slots=True)
class Acl:
    """A list that `checked` let through."""

    entries: tuple[Entry, ...]

    @classmethod
    def decode(cls, value: bytes) -> "Acl":
        """The value of an extended attribute. InvalidAcl."""
        return checked(parse(value))

    def encode(self) -> bytes:
        """The value of an extended attribute."""
        return VERSION + b"".join(_ENTRY.pack(entry.tag, entry.perm, entry.id) for entry in self.entries)

    @property
    def mode(self) -> int:
        """The permission bits of a mode that this access ACL shows: the group's are the mask, if there is one."""
        perm = {entry.tag: entry.perm for entry in self.entries if entry.tag not in NAMED}
        return perm[Tag.OWNER] << 6 | perm.get(Tag.MASK, perm[Tag.OWNING_GROUP]) << 3 | perm[Tag.OTHER]

    @property
    def is_minimal(self) -> bool:
        """Whether the mode says all of it."""
        return len(self.entries) == len(ONCE)

    def with_mode(self, mode: int) -> "Acl":
        """After chmod."""
        return self._with(mode >> 6 & 7, mode >> 3 & 7, mode & 7)

    def inherited(self, mode: int) -> "Acl":
        """The access ACL of what is created with this mode where self is the default ACL: what both allow."""
        own = self.mode & mode
        return self._with(own >> 6 & 7, own >> 3 & 7, own & 7)

    def _with(self, owner: int, group: int, other: int) -> "Acl":
        new = {Tag.OWNER: owner, Tag.OWNING_GROUP if self._has_no_mask() else Tag.MASK: group, Tag.OTHER: other}
        return Acl(tuple(replace(entry, perm=new.get(entry.tag, entry.perm)) for entry in self.entries))

    def _has_no_mask(self) -> bool:
        return all(entry.tag is not Tag.MASK for entry in self.entries)


def parse(value: bytes) -> tuple[Entry, ...]:
    """The entries as they stand in the value of an extended attribute; none: the ACL is to be removed. InvalidAcl."""
    if not value:
        return ()
    if value[: len(VERSION)] != VERSION or len(value) % _ENTRY.size != len(VERSION):
        raise InvalidAcl("an ACL of another version, or cut off")
    return tuple(_entries(value[len(VERSION) :]))


def _entries(data: bytes) -> Iterator[Entry]:
    for tag, perm, id_ in _ENTRY.iter_unpack(data):
        try:
            kind = Tag(tag)
        except ValueError:
            raise InvalidAcl(f"an ACL entry has the unknown tag {tag}") from None
        yield Entry(kind, perm, id_ if kind in NAMED else NO_ID)


def checked(entries: tuple[Entry, ...]) -> Acl:
    """InvalidAcl: not by ascending tag, one of the three classes of a mode missing or given twice, named entries
    without a mask, or permissions and ids that do not exist."""
    tags = [entry.tag for entry in entries]
    if tags != sorted(tags):
        raise InvalidAcl("ACL entries are not in order")
    if any(tags.count(tag) != 1 for tag in ONCE) or tags.count(Tag.MASK) > 1:
        raise InvalidAcl("an ACL lacks owner, group or others, or has one twice")
    if Tag.MASK not in tags and any(tag in NAMED for tag in tags):
        raise InvalidAcl("an ACL with named entries lacks its mask")
    if any(entry.perm > 7 or (entry.tag in NAMED and entry.id == NO_ID) for entry in entries):
        raise InvalidAcl("an ACL entry has permissions or an id that do not exist")
    return Acl(entries)


@dataclass(frozen=True, slots=True)
class Birth:
    """What a new inode begins with. mode: with the bits above the permissions; xattrs: names and values of its ACLs."""

    mode: int
    xattrs: tuple[tuple[bytes, bytes], ...] = ()


def born(mode: int, umask: int, default: Acl | None, is_directory: bool) -> Birth:
    """What is created with `mode` in a directory with this default ACL, which counts instead of the umask."""
    if default is None:
        return Birth(mode & ~(umask & PERMISSIONS))
    access = default.inherited(mode)
    xattrs = [] if access.is_minimal else [(ACCESS, access.encode())]
    if is_directory:
        xattrs.append((DEFAULT, default.encode()))
    return Birth(mode & ~PERMISSIONS | access.mode, tuple(xattrs))
