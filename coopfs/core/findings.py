"""What a check finds, and what would put it right. Plain values: those who find and those who repair do not know each
other.

Fixes of sums are differences: operations go on while a check runs, and they change a sum and what it is the sum of by
the same amount, so a difference that was found is still right later.
"""

from dataclasses import dataclass
from enum import StrEnum


class About(StrEnum):
    """Which promise is broken; the words of --json."""

    DATABASE = "database"  # SQLite's own structure
    TREE = "tree"  # names, inodes, extents
    ACCOUNTING = "accounting"  # sums
    ROWS = "rows"  # places of stripes
    LOG = "log"  # the database differs from what partners would give back
    STAGE = "stage"  # content on this machine
    MASTER = "master"  # master blocks of partners
    BLOCKS = "blocks"  # what partners lack, or hold damaged
    CONTENT = "content"  # what nobody has any more


class Sum(StrEnum):
    """A number in the database that counts others."""

    LINKS = "links"  # of an inode: names, or of a directory 2 and its subdirectories
    STORED = "stored"  # of an inode: bytes that its extents keep alive
    LIVE = "live"  # of a stripe: the same


@dataclass(frozen=True, slots=True)
class Adjust:
    """A sum of the inode or stripe `id` is to be higher by this."""

    sum: Sum
    id: int
    by: int


@dataclass(frozen=True, slots=True)
class AdjustTotals:
    """The sums of the whole disk (local/totals) are to be higher by these."""

    images: int
    content: int
    pieces: int
    length: int


@dataclass(frozen=True, slots=True)
class RemoveName:
    """A name leads to no inode."""

    parent: int
    name: bytes


@dataclass(frozen=True, slots=True)
class AddName:
    """An inode's first name is not in its directory."""

    parent: int
    name: bytes
    ino: int


@dataclass(frozen=True, slots=True)
class Bury:
    """An inode has no name, and nobody has it open."""

    ino: int


@dataclass(frozen=True, slots=True)
class Lodge:
    """An inode should have a name, and has none: it gets one in lost+found."""

    ino: int


@dataclass(frozen=True, slots=True)
class DropExtents:
    """Extents of an inode that is not there."""

    ino: int


@dataclass(frozen=True, slots=True)
class DropXattrs:
    """Attributes of an inode that is not there."""

    ino: int


@dataclass(frozen=True, slots=True)
class RemoveFile:
    """A file of the stage that belongs to no stripe."""

    stripe: int


Fix = Adjust | AdjustTotals | RemoveName | AddName | Bury | Lodge | DropExtents | DropXattrs | RemoveFile


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong, in words; fix None: nothing here can put it right."""

    about: About
    text: str
    fix: Fix | None = None
