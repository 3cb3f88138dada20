"""The keys of one disk (design R1): who can read it, who can write it, and what follows from them."""

from dataclasses import dataclass, field

from nacl.exceptions import BadSignatureError
from nacl.signing import SigningKey, VerifyKey

from coopfs.core.claims import disk_id
from coopfs.core.seal import BoxKeys, derive_keys, derive_tag_key
from coopfs.errors import NotAuthentic
from coopfs.types import DiskId, StoreId

SIGNATURE = 64  # bytes, Ed25519


@dataclass(frozen=True, slots=True)
class DiskKeys:
    """read_key: 32 bytes, opens every block; signing_seed: 32 bytes, signs claims, masters and ENDs (None: read only);
    signing_key: 32 bytes, public, hashes to the disk id; key_id: counts rekeyings, from 1."""

    read_key: bytes = field(repr=False)
    signing_seed: bytes | None = field(repr=False)
    signing_key: bytes
    key_id: int = 1

    @property
    def disk(self) -> DiskId:
        return disk_id(self.signing_key)

    @property
    def tag_key(self) -> bytes:
        return derive_tag_key(self.read_key, self.key_id)

    def box_keys(self, store: StoreId) -> BoxKeys:
        return derive_keys(self.read_key, self.key_id, store)

    def sign(self, message: bytes) -> bytes:
        """64 bytes. Only for holders of the signing seed."""
        assert self.signing_seed is not None
        return SigningKey(self.signing_seed).sign(message).signature

    def verify(self, message: bytes, signature: bytes) -> None:
        """NotAuthentic: not signed with this disk's signing key."""
        try:
            VerifyKey(self.signing_key).verify(message, signature)
        except (BadSignatureError, ValueError):
            raise NotAuthentic("a signature is not of this disk's signing key") from None


def make_keys(read_key: bytes, signing_seed: bytes) -> DiskKeys:
    """The keys of a new disk from 2 x 32 random bytes."""
    return DiskKeys(read_key, signing_seed, bytes(SigningKey(signing_seed).verify_key))
