"""A node's identity: one Ed25519 key, from which the static key of the wire is derived (design R16)."""

from dataclasses import dataclass, field

from nacl.bindings import (
    crypto_sign_ed25519_pk_to_curve25519,
    crypto_sign_ed25519_sk_to_curve25519,
    crypto_sign_seed_keypair,
)
from nacl.exceptions import CryptoError

from coopfs.errors import ProtocolError
from coopfs.types import NodeKey

SEED_SIZE = 32
NODE_KEY_SIZE = 32


@dataclass(frozen=True, slots=True)
class Identity:
    """A node key (public, 32 bytes) with the X25519 private key (32 bytes) that the wire uses for it."""

    key: NodeKey
    noise_private: bytes = field(repr=False)

    @classmethod
    def from_seed(cls, seed: bytes) -> "Identity":
        """`seed` is the 32 bytes kept in the home and in the recovery kit."""
        assert len(seed) == SEED_SIZE
        public, secret = crypto_sign_seed_keypair(seed)
        return cls(NodeKey(public), crypto_sign_ed25519_sk_to_curve25519(secret))


def noise_public(key: bytes) -> bytes:
    """The X25519 public key (32 bytes) that belongs to a node key from outside; ProtocolError if it is no such key.

    Points of small order and off the main subgroup are refused by the conversion.
    """
    if len(key) != NODE_KEY_SIZE:
        raise ProtocolError(f"a node key has {NODE_KEY_SIZE} bytes, the peer sent {len(key)}")
    try:
        return crypto_sign_ed25519_pk_to_curve25519(key)
    except CryptoError:
        raise ProtocolError("the peer sent a node key that is not a point of the curve") from None
