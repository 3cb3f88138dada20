"""Fixed keys and small disks that the tests of the formats share."""

from collections.abc import Sequence
from typing import Any

from coopfs.core import coding
from coopfs.core.coding import Coded
from coopfs.core.keys import KeyAge, make_keys
from coopfs.core.master import Floor, LayoutPlaces, MasterBlock, StorePlace
from coopfs.core.meta import FIRST_CHAIN, MetaHead
from coopfs.core.records import Extent, Inode, Name, Record, Stripe, Tombstone, Truncate, Type, Xattr
from coopfs.core.seal import Binding
from coopfs.core.stripe import Fragment
from coopfs.types import BlockKind, DiskId, Layout, NodeKey, Place, StoreId, make_version

SECRET = bytes(range(32))  # of its first read key
KEYS = make_keys(SECRET, bytes(range(32, 64)))
TAG_KEY = KEYS.tag_key(0)
STORE = StoreId(bytes(range(64, 80)))
PARTNER = NodeKey(bytes(range(80, 112)))
PLACE = Place(make_version(1, 7), 5)
LAYOUT = Layout(3, 2, 1, 256 * 1024)

BINDING = Binding(
    kind=BlockKind.BLOCK,
    disk=KEYS.disk,
    layout=LAYOUT.id,
    store=STORE,
    sealed_for=PARTNER,
    column=2,
    row=PLACE.row,
    version=PLACE.version,
)
OTHER_BINDINGS: dict[str, Any] = {
    "kind": BlockKind.MASTER,
    "disk": DiskId(bytes(16)),
    "layout": 4,
    "store": StoreId(bytes(16)),
    "sealed_for": NodeKey(bytes(32)),
    "column": 1,
    "row": 6,
    "version": make_version(1, 8),
}

HEAD = MetaHead(
    place=PLACE,
    group=12,
    index=1,
    head=Place(make_version(1, 2), 0),
    previous=(Place(make_version(1, 6), 4), Place(make_version(1, 2), 0)),
    whole_chain=(),
    chain=FIRST_CHAIN,
    time=1_700_000_000_123_456_789,
    held=10,
    away=0b100,
    next_ino=77,
    next_stripe=33,
)

RECORDS: list[Record] = [
    Inode(1, 0o040755, 0, 0, 3, 0, 0, 1, 2, 3),
    Inode(
        *(7, 0o100644, 1000, 1000, 2, 0, 5000, -1, 1_700_000_000_000_000_000, 3, 1, b"caf\xc3\xa9 \xff"),
        extent=Extent(7, 0, 4096, 9, 100, 4096, 4096),
    ),
    Inode(8, 0o120777, 0, 0, 1, 0, 6, 1, 2, 3, 1, b"link", b"target"),
    Name(1, b"second", 7),
    Extent(7, 4096, 904, 9, 4196, 904, 904),
    Xattr(7, b"user.note", b"\x00\xff"),
    Truncate(7, 5000),
    Stripe(9, PLACE, 3, 5000, (4000, 1000), bytes(range(16)), 12),
    Tombstone((Type.INODE, 6)),
    Tombstone((Type.NAME, 1, b"gone")),
    Tombstone((Type.EXTENT, 7, 8192)),
    Tombstone((Type.XATTR, 7, b"user.old")),
    Tombstone((Type.STRIPE, 4)),
]


def store_place(number: int) -> StorePlace:
    """The store of partner `number`."""
    node = NodeKey(bytes([number]) * 32)
    return StorePlace(StoreId(bytes([number]) * 16), node, node, f"p{number}", (f"192.0.2.{number}:4000",))


MASTER = MasterBlock(
    counter=make_version(1, 3),
    claimer=bytes(range(16)),
    keys=(KeyAge(1, 0),),
    features=(),
    layouts=(LayoutPlaces(LAYOUT, 1000, tuple((store_place(j),) for j in range(1, 4))),),
    floor=Floor(make_version(1, 2), 1_700_000_000),
)


def each(name: str, *values: object) -> list[dict[str, Any]]:
    """One change of a map for each value."""
    return [{name: value} for value in values]


def flipped(data: bytes, bit: int) -> bytes:
    """data with one bit changed."""
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def coded_data(layout: Layout, tag_key: bytes, content: bytes, fragments: Sequence[Fragment]) -> Coded:
    """A data stripe of this content, the fragments' bytes one after the other."""
    draft = coding.draft(layout, fragments)
    for view in draft.content:
        view[:], content = content[: len(view)], content[len(view) :]
    assert not content
    return coding.code_data(layout, tag_key, draft)
