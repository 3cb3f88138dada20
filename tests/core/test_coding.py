"""Blocks: their bytes are fixed, and no two that differ share a nonce."""

from itertools import combinations

from blake3 import blake3

from coopfs.core import coding
from coopfs.core.geometry import CLEAR
from coopfs.core.header import Header
from coopfs.core.stripe import Fragment
from coopfs.types import Kind, Layout, Place, make_version
from tests.core.samples import KEYS, TAG_KEY, coded_data, store_place

LAYOUT = Layout(3, 2, 1, 16384)
PLACE = Place(make_version(1, 7), 5)
END = Place(make_version(1, 3), 2)
NONCE = slice(CLEAR - 32, CLEAR)


def blocks(content: bytes, end: Place = END, kind: Kind = Kind.DATA) -> list[bytes]:
    """The stored blocks of a stripe, by column."""
    coded = coded_data(LAYOUT, TAG_KEY, content, [Fragment(7, 0, len(content), 1, b"letter")])
    head: Header = coding.header_of(coded, kind, LAYOUT, end, 9)
    return [
        bytes(coding.box(KEYS, store_place(column + 1), column, PLACE, head, block))
        for column, block in enumerate(coded.blocks)
    ]


def test_golden_vectors() -> None:
    made = blocks(bytes(range(200)) * 40)
    assert [len(block) for block in made] == [8192] * 3
    assert [blake3(block).hexdigest() for block in made] == [
        "b6e99bdc17e69ac2de08b23481e5bd39ee34453879d9861f333f61e21ebddc55",
        "279032b688387e7a0e80dc9953da6103ad04c5cb64045441d68d1d0d95768bbc",
        "6258ee90da56f13e879bac4036021bdb97664f931b688b7715cbc4ca5889dc8d",
    ]
    assert (
        made[0][:CLEAR].hex()
        == "0100000100001fd00001000000000007bd228aad0dfab8af41cdf96dc57bb49d4ef3916326923b77e3ad2630574d0a25"
    )


def test_the_same_stripe_has_the_same_bytes() -> None:
    assert blocks(b"as it was" * 100) == blocks(b"as it was" * 100)


def test_blocks_of_one_place_that_differ_in_anything_have_other_nonces() -> None:
    """Content that differs in one bit of one shard, in what only the redundancy shows, or in the header alone."""
    content = bytes(8000)
    others = [b"\x01" + content[1:], content[:-1] + b"\x80", content + b"\0", content[:-1]]
    made = [
        blocks(content),
        *map(blocks, others),
        blocks(content, Place(END.version + 1, END.row)),
        blocks(content, kind=Kind.META),
    ]
    for one, other in combinations(made, 2):
        for column in range(LAYOUT.n):
            assert one[column][NONCE] != other[column][NONCE]
