"""A passphrase around a recovery kit: Argon2id makes the key, the suite's cipher does the rest.

The sealed kit is again a msgpack map: f format 1; o passes and m KiB of memory of Argon2id, s its salt; b the box. The
salt is new for every kit, and so is the key; so the nonce may be zero. What the passphrase costs stands in the kit,
since machines grow, and is bounded: a stranger's kit must not take this machine's memory.
"""

import unicodedata
from dataclasses import dataclass, field
from typing import Any

import msgpack
from nacl.bindings import (
    crypto_aead_aegis256_decrypt,
    crypto_aead_aegis256_encrypt,
    crypto_aead_aegis256_NPUBBYTES,
)
from nacl.exceptions import CryptoError
from nacl.pwhash import argon2id

from coopfs.core.fields import ID, Field, pick
from coopfs.errors import KitError, UsageError
from coopfs.limits import KIB, KIT_MEMORY, KIT_PASSES, MAX_KIT, MAX_KIT_MEMORY, MAX_KIT_PASSES, MAX_PASSPHRASE

FORMAT = 1
SALT = 16  # bytes
_KEY = 32  # bytes
_CONTEXT = b"coopfs 0 kit"
_NONCE = bytes(crypto_aead_aegis256_NPUBBYTES)
_FIELDS = {
    "o": Field(int, 1, MAX_KIT_PASSES),
    "m": Field(int, argon2id.MEMLIMIT_MIN // KIB, MAX_KIT_MEMORY),
    "s": ID,
    "b": Field(bytes, 1, MAX_KIT),
}


@dataclass(frozen=True, slots=True)
class Cost:
    """What one try of a passphrase costs. passes: 1..MAX_KIT_PASSES over memory: KiB."""

    passes: int = KIT_PASSES
    memory: int = KIT_MEMORY


@dataclass(frozen=True, slots=True)
class SealedKit:
    """A kit that needs its passphrase."""

    cost: Cost
    salt: bytes
    box: bytes = field(repr=False)

    def open(self, passphrase: str) -> bytes:
        """The map of the kit. Takes as long as its cost says. KitError: it is another passphrase."""
        key = _key(passphrase, self.salt, self.cost)
        try:
            return crypto_aead_aegis256_decrypt(self.box, _CONTEXT, _NONCE, key)
        except CryptoError:
            raise KitError("this is not the passphrase of this kit (the kit itself is not damaged)") from None


def seal(data: bytes, passphrase: str, salt: bytes, cost: Cost) -> bytes:
    """The map of a sealed kit around that of a kit. salt: SALT random bytes, never used before."""
    assert len(salt) == SALT
    box = crypto_aead_aegis256_encrypt(data, _CONTEXT, _NONCE, _key(passphrase, salt, cost))
    fields = {"f": FORMAT, "o": cost.passes, "m": cost.memory, "s": salt, "b": box}
    return msgpack.packb(fields, use_bin_type=True)  # type: ignore[no-any-return]


def read(decoded: Any) -> SealedKit:
    """From its decoded map. ValueError: a value is missing, of another type, or beyond what may be asked of us."""
    passes, memory, salt, box = pick(decoded, _FIELDS)
    return SealedKit(Cost(passes, memory), salt, box)


def check_passphrase(text: str) -> str:
    """The passphrase as it is used: composed (NFC), as another keyboard may type it otherwise. UsageError: empty, too
    long, or with control characters."""
    composed = unicodedata.normalize("NFC", text)
    if not composed.isprintable() or not 0 < len(composed.encode()) <= MAX_PASSPHRASE:
        raise UsageError(f"a passphrase has 1 to {MAX_PASSPHRASE} bytes and no control characters")
    return composed


def _key(passphrase: str, salt: bytes, cost: Cost) -> bytes:
    text = check_passphrase(passphrase).encode()
    try:
        return argon2id.kdf(_KEY, text, salt, cost.passes, cost.memory * KIB)
    except CryptoError:
        raise KitError(f"the passphrase needs {cost.memory // KIB} MiB of memory, which this machine lacks") from None
