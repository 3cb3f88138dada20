"""Sealing: one block for one store, encrypted and authenticated (design R1).

Suite 1: AEGIS-256 for the box, keyed BLAKE3 for key derivation, nonce and tag. Chosen by measurement, one core:
AEGIS-256 seals 0.58-4.3 GB/s where XChaCha20-Poly1305 seals 0.36-1.25 on the same machine, and its 256-bit nonce
leaves room for a nonce made of the content; BLAKE3 hashes 3.4-6.3 GB/s where BLAKE2b hashes 0.3-1.0.

1. key and nonce key are derived from the disk's read key, the key id and the store id: no two stores share a key;
2. nonce = keyed hash(associated data + gist): same content, same bytes; other content, other nonce, whatever goes wrong
   with versions. The gist is what two plaintexts of one binding differ in: the plaintext itself, or the header of a
   block, for which `coding.box` says why;
3. box = clear part + AEGIS-256(plaintext, associated data).

PyNaCl's own functions would copy plaintext and box once more each, and clear the memory between: 0.20 ms for 256 KiB,
where the cipher takes 0.036. So libsodium is called through what they call it through.

Clear part, 48 bytes, big-endian: suite u8, reserved u8, key id u16, ciphertext length u32, version u64, nonce 32 bytes.
"""

import struct
from dataclasses import dataclass, field
from functools import lru_cache

from blake3 import blake3
from nacl._sodium import ffi, lib

from coopfs.core.geometry import AUTHENTICATOR, CLEAR
from coopfs.errors import NotAuthentic
from coopfs.types import BlockKind, DiskId, NodeKey, Octets, StoreId

SUITE = 1
NO_STORE = StoreId(bytes(16))  # of boxes that lie in no store: master blocks
NO_COLUMN = 0xFFFF

_CLEAR = struct.Struct(">BBHIQ32s")
_ASSOCIATED = struct.Struct(">BBH16sH16s32sHIQ")
assert _CLEAR.size == CLEAR


@dataclass(frozen=True, slots=True)
class Binding:
    """What a box is bound to besides its content: the associated data. sealed_for is the key of the partner that
    holds `store`; a vault may keep the box for it, so the holder is not named."""

    kind: BlockKind
    disk: DiskId
    layout: int
    store: StoreId
    sealed_for: NodeKey
    column: int
    row: int
    version: int

    def encode(self, key_id: int) -> bytes:
        """84 bytes: suite, kind, key id, disk, layout, store, sealed for, column, row, version."""
        store = (self.disk, self.layout, self.store, self.sealed_for, self.column)
        return _ASSOCIATED.pack(SUITE, self.kind, key_id, *store, self.row, self.version)


@dataclass(frozen=True, slots=True)
class BoxKeys:
    """The two keys of one store under one key id."""

    key_id: int
    box: bytes = field(repr=False)
    nonce: bytes = field(repr=False)


@lru_cache(maxsize=256)  # a layout of 62 columns in force and three more; every block asks
def derive_keys(read_key: bytes, key_id: int, store: StoreId) -> BoxKeys:
    """read_key: 32 bytes. Keys of 32 bytes each, different for every store and key id."""
    subject = struct.pack(">H", key_id) + store
    return BoxKeys(key_id, _derive(read_key, b"coopfs 0 box", subject), _derive(read_key, b"coopfs 0 nonce", subject))


def derive_tag_key(read_key: bytes, key_id: int) -> bytes:
    """The 32-byte key of stripe tags (R2): one for the disk, as all columns of a stripe carry the same tag."""
    return _derive(read_key, b"coopfs 0 tag", struct.pack(">H", key_id))


def _derive(read_key: bytes, purpose: bytes, subject: bytes) -> bytes:
    return blake3(bytes([len(purpose)]) + purpose + subject, key=read_key).digest()


def seal(keys: BoxKeys, binding: Binding, plaintext: bytes) -> bytes:
    """The box: CLEAR + len(plaintext) + AUTHENTICATOR bytes."""
    box = bytearray(CLEAR) + plaintext + bytes(AUTHENTICATOR)
    seal_in_place(keys, binding, box, plaintext)
    return bytes(box)


def seal_in_place(keys: BoxKeys, binding: Binding, box: bytearray, gist: bytes) -> None:
    """The plaintext lies in the middle of the box already; what is around it is overwritten. gist: no two plaintexts
    may share one under the same binding; of two bindings any may."""
    associated = binding.encode(keys.key_id)
    length = len(box) - CLEAR - AUTHENTICATOR
    nonce = blake3(associated, key=keys.nonce).update(gist).digest()
    _CLEAR.pack_into(box, 0, SUITE, 0, keys.key_id, length + AUTHENTICATOR, binding.version, nonce)
    text = ffi.from_buffer(box) + CLEAR
    lib.crypto_aead_aegis256_encrypt(
        *(text, ffi.NULL, text, length, associated, len(associated), ffi.NULL, nonce, keys.box)
    )


def unseal(keys: BoxKeys, binding: Binding, box: Octets) -> bytearray:
    """The plaintext. NotAuthentic: another suite or key, or any bit of box or binding differs."""
    if len(box) < CLEAR + AUTHENTICATOR:
        raise NotAuthentic("a block is too short to be one")
    suite, reserved, key_id, length, version, nonce = _CLEAR.unpack_from(box)
    if (suite, reserved, key_id, version) != (SUITE, 0, keys.key_id, binding.version) or length != len(box) - CLEAR:
        raise NotAuthentic("a block is of another suite, key, version or length than it should be")
    associated = binding.encode(key_id)
    text = bytearray(length - AUTHENTICATOR)
    sealed = ffi.from_buffer(box) + CLEAR
    if lib.crypto_aead_aegis256_decrypt(
        *(ffi.from_buffer(text), ffi.NULL, ffi.NULL, sealed, length, associated, len(associated), nonce, keys.box)
    ):
        raise NotAuthentic("a block does not authenticate")
    return text


def key_id_of(box: Octets) -> int:
    """The key id in the clear part: a claim until the box is unsealed. NotAuthentic: too short."""
    if len(box) < CLEAR:
        raise NotAuthentic("a block is too short to be one")
    key_id: int = _CLEAR.unpack_from(box)[2]
    return key_id


def version_of(box: Octets) -> int:
    """The version in the clear part: a claim until the box is unsealed. NotAuthentic: too short."""
    if len(box) < CLEAR:
        raise NotAuthentic("a block is too short to be one")
    version: int = _CLEAR.unpack_from(box)[4]
    return version
