"""From content to boxes and back: the whole way of one stripe (design section 3).

1. `code_data` / `code_meta`: content or payload -> k data shards, m redundancy shards, tag;
2. `box`: header + shard + pad, sealed for one column's store at (row, version);
3. `unbox`: a stored block -> header and shard, authenticated;
4. `join`: any k shards of equal tag -> the k data shards, the tag checked again after decoding.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from coopfs.core import codec, header, meta, seal, stripe
from coopfs.core.geometry import AUTHENTICATOR, CLEAR, HEADER, block_length, shard_lengths
from coopfs.core.header import Header
from coopfs.core.keys import DiskKeys
from coopfs.core.master import StorePlace
from coopfs.core.seal import Binding
from coopfs.core.stripe import Fragment
from coopfs.errors import NotAuthentic
from coopfs.types import BlockKind, Kind, Layout, Octets, Place


@dataclass(frozen=True, slots=True)
class Coded:
    """A stripe ready to be sealed: n shards of shard_length bytes by column; slices (): a meta stripe."""

    length: int
    shard_length: int
    slices: tuple[int, ...]
    shards: tuple[Octets, ...]
    tag: bytes


def code_data(layout: Layout, tag_key: bytes, content: bytes, fragments: Sequence[Fragment]) -> Coded:
    """The shards of a data stripe: `content` is the fragments' bytes one after the other."""
    how = stripe.plan(fragments, layout.k, layout.block_size)
    return _coded(layout, tag_key, len(content), how.slices, stripe.build(content, how))


def code_meta(layout: Layout, tag_key: bytes, payload: bytes) -> Coded:
    """The shards of a meta stripe."""
    needed = -(-len(payload) // layout.k)
    length = next(each for each in shard_lengths(layout.block_size) if each >= needed)
    return _coded(layout, tag_key, len(payload), (), meta.shards_of(payload, layout.k, length))


def recode(layout: Layout, tag_key: bytes, length: int, slices: tuple[int, ...], data: Sequence[Octets]) -> Coded:
    """A stripe from its k data shards, fetched back: what repair seals again at the old version."""
    return _coded(layout, tag_key, length, slices, data)


def _coded(layout: Layout, tag_key: bytes, length: int, slices: tuple[int, ...], data: Sequence[Octets]) -> Coded:
    shards = (*data, *codec.encode(layout.k, layout.m, data))
    return Coded(length, len(data[0]), slices, shards, codec.tag(tag_key, data))


def header_of(coded: Coded, kind: Kind, layout: Layout, end: Place, group: int) -> Header:
    """The header that all columns of this stripe carry. end: the newest END known written at sealing."""
    return Header(kind, layout.id, coded.length, coded.shard_length, end, group, coded.tag)


def box(keys: DiskKeys, store: StorePlace, column: int, place: Place, head: Header, shard: Octets) -> bytes:
    """The block of one column, a multiple of BLOCK_ROUNDING bytes."""
    encoded = head.encode()
    pad = block_length(len(shard)) - CLEAR - AUTHENTICATOR - len(encoded) - len(shard)
    plaintext = b"".join((encoded, shard, bytes(pad)))
    return seal.seal(keys.box_keys(store.store), binding(keys, store, head.layout, column, place), plaintext)


def unbox(
    keys: DiskKeys, store: StorePlace, layout: int, column: int, place: Place, data: bytes
) -> tuple[Header, bytes]:
    """Header and shard of a stored block. NotAuthentic: not this disk's, store's, column's, row's or version's."""
    plaintext = seal.unseal(keys.box_keys(store.store), binding(keys, store, layout, column, place), data)
    head = header.decode(plaintext)
    if head.layout != layout:
        raise NotAuthentic("a block's header names another layout than its store")
    return head, plaintext[HEADER : HEADER + head.shard_length]


def binding(keys: DiskKeys, store: StorePlace, layout: int, column: int, place: Place) -> Binding:
    """What the block of this column at this place is bound to."""
    return Binding(BlockKind.BLOCK, keys.disk, layout, store.store, store.sealed_for, column, place.row, place.version)


def join(layout: Layout, tag_key: bytes, head: Header, shards: Mapping[int, bytes]) -> list[Octets]:
    """The k data shards from at least k shards by column, all of head's tag. NotAuthentic: they do not fit together."""
    if any(len(shard) != head.shard_length for shard in shards.values()):
        raise NotAuthentic("the shards of a stripe differ in length")
    data = codec.decode(layout.k, layout.m, shards)
    if codec.tag(tag_key, data) != head.tag:
        raise NotAuthentic("the decoded stripe does not have its tag")
    return data
