"""From content to boxes and back: the whole way of one stripe (design section 3).

1. `draft`, `redraft`: n blocks of zeros, and views of where the content of a data stripe goes in them;
2. `code_data` / `code_meta`: what lies around the content, then m redundancy shards and the tag;
3. `box`: header and seal of one block, for one column's store at (row, version), in its place;
4. `unbox`: a stored block -> header and shard, authenticated;
5. `join`: any k shards of equal tag -> the k data shards, the tag checked again after decoding.

On the way out content is copied once, into its blocks: everything after that happens where it lies.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from coopfs.core import codec, header, meta, seal, stripe
from coopfs.core.geometry import CLEAR, HEADER, block_length, shard_lengths
from coopfs.core.header import Header
from coopfs.core.keys import DiskKeys
from coopfs.core.master import StorePlace
from coopfs.core.seal import Binding
from coopfs.core.stripe import Fragment, Plan
from coopfs.errors import NotAuthentic
from coopfs.types import BlockKind, Kind, Layout, Octets, Place

_SHARD = CLEAR + HEADER  # where the shard begins in a block


@dataclass(frozen=True, slots=True)
class Draft:
    """A data stripe without its content. content: one view for each shard, to be filled with what `how` puts there."""

    how: Plan
    blocks: tuple[bytearray, ...]

    @property
    def content(self) -> list[memoryview]:
        views = zip(_shards(self.blocks, self.how.shard_length), self.how.slices, strict=False)
        return [shard[:length] for shard, length in views]


@dataclass(frozen=True, slots=True)
class Coded:
    """A stripe ready to be sealed: n shards of shard_length bytes by column; slices (): a meta stripe.

    blocks: as long as they will be stored, each with its shard in place. `box` takes them away.
    """

    length: int
    shard_length: int
    slices: tuple[int, ...]
    blocks: tuple[bytearray, ...]
    tag: bytes

    @property
    def shards(self) -> list[memoryview]:
        """By column. Only of blocks that are not sealed yet."""
        return _shards(self.blocks, self.shard_length)


def draft(layout: Layout, fragments: Sequence[Fragment]) -> Draft:
    """A data stripe whose content are the fragments' bytes, one after the other."""
    how = stripe.plan(fragments, layout.k, layout.block_size)
    return Draft(how, _blank(layout, how.shard_length))


def redraft(layout: Layout, fragments: Sequence[Fragment]) -> Draft | None:
    """The draft of a stripe that was sealed before; None: its fragments do not fit, as files have longer names by now
    than those it was sealed with, which nobody here knows."""
    how = stripe.plan_if_fits(fragments, layout.k, layout.block_size)
    return None if how is None else Draft(how, _blank(layout, how.shard_length))


def code_data(layout: Layout, tag_key: bytes, filled: Draft) -> Coded:
    """The shards of a data stripe; its content is in place."""
    how = filled.how
    stripe.finish(how, _shards(filled.blocks, how.shard_length)[: layout.k])
    return _coded(layout, tag_key, sum(how.slices), how.slices, how.shard_length, filled.blocks)


def code_meta(layout: Layout, tag_key: bytes, payload: bytes) -> Coded:
    """The shards of a meta stripe."""
    needed = -(-len(payload) // layout.k)
    length = next(each for each in shard_lengths(layout.block_size) if each >= needed)
    return recode(layout, tag_key, len(payload), (), meta.shards_of(payload, layout.k, length))


def recode(layout: Layout, tag_key: bytes, length: int, slices: tuple[int, ...], data: Sequence[Octets]) -> Coded:
    """A stripe from its k data shards, as they were fetched back: repair seals it again at the old version."""
    blocks = _blank(layout, len(data[0]))
    for place, shard in zip(_shards(blocks, len(data[0])), data, strict=False):
        place[:] = shard
    return _coded(layout, tag_key, length, slices, len(data[0]), blocks)


def _coded(
    layout: Layout,
    tag_key: bytes,
    length: int,
    slices: tuple[int, ...],
    shard_length: int,
    blocks: tuple[bytearray, ...],
) -> Coded:
    shards = _shards(blocks, shard_length)
    data = shards[: layout.k]
    codec.encode_into(layout.k, layout.m, data, shards[layout.k :])
    return Coded(length, shard_length, slices, blocks, codec.tag(tag_key, data))


def _blank(layout: Layout, shard_length: int) -> tuple[bytearray, ...]:
    return tuple(bytearray(block_length(shard_length)) for _ in range(layout.n))


def _shards(blocks: Sequence[bytearray], length: int) -> list[memoryview]:
    return [memoryview(block)[_SHARD : _SHARD + length] for block in blocks]


def header_of(coded: Coded, kind: Kind, layout: Layout, end: Place, group: int) -> Header:
    """The header that all columns of this stripe carry. end: the newest END known written at sealing."""
    return Header(kind, layout.id, coded.length, coded.shard_length, end, group, coded.tag)


def box(keys: DiskKeys, store: StorePlace, column: int, place: Place, head: Header, block: bytearray) -> bytearray:
    """Seal the block of one column, its shard being in place. The same object.

    The gist of a block is its header. The plaintext is header, shard, and zeros. The shard follows from column, layout,
    and the k data shards; column and layout are in the binding, and the header has the data shards' tag. So two
    plaintexts with one binding and one header are two stripes with one tag, a keyed hash of 128 bits: for any two that
    mistakes with versions put into one place that is a chance of 2^-128, and who lacks the read key cannot look for
    such a pair. Hashing the shards again would cost as much as encrypting them twice.
    """
    encoded = head.encode()
    block[CLEAR:_SHARD] = encoded
    bound = binding(keys, store, head.layout, column, place)
    seal.seal_in_place(keys.box_keys(store.store, place.version), bound, block, encoded)
    return block


def unbox(
    keys: DiskKeys, store: StorePlace, layout: int, column: int, place: Place, data: Octets
) -> tuple[Header, memoryview]:
    """Header and shard of a stored block. NotAuthentic: not this disk's, store's, column's, row's or version's."""
    bound = binding(keys, store, layout, column, place)
    plaintext = seal.unseal(keys.box_keys(store.store, place.version), bound, data)
    head = header.decode(plaintext)
    if head.layout != layout:
        raise NotAuthentic("a block's header names another layout than its store")
    return head, memoryview(plaintext)[HEADER : HEADER + head.shard_length]


def binding(keys: DiskKeys, store: StorePlace, layout: int, column: int, place: Place) -> Binding:
    """What the block of this column at this place is bound to."""
    return Binding(BlockKind.BLOCK, keys.disk, layout, store.store, store.sealed_for, column, place.row, place.version)


def join(layout: Layout, tag_key: bytes, head: Header, shards: Mapping[int, Octets]) -> list[Octets]:
    """The k data shards from at least k shards by column, all of head's tag. NotAuthentic: they do not fit together."""
    if any(len(shard) != head.shard_length for shard in shards.values()):
        raise NotAuthentic("the shards of a stripe differ in length")
    data = codec.decode(layout.k, layout.m, shards)
    if codec.tag(tag_key, data) != head.tag:
        raise NotAuthentic("the decoded stripe does not have its tag")
    return data
