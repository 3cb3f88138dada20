"""The keys of one disk (design R1): who can read it, who can write it, and what follows from them.

There is one read key for each time that the disk was given a new one, and not all are still needed. Which of them a
stripe is sealed with follows from its version: versions grow, and each key has a first one. So a repair seals an old
stripe again as it was, byte for byte, whatever key is the newest (R15).
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from nacl.exceptions import BadSignatureError
from nacl.signing import SigningKey, VerifyKey

from coopfs.core.claims import disk_id
from coopfs.core.seal import NO_STORE, BoxKeys, derive_keys, derive_tag_key, key_id_of
from coopfs.errors import KeyMissing, NotAuthentic
from coopfs.types import DiskId, Octets, StoreId

SIGNATURE = 64  # bytes, Ed25519
READ_KEY = 32  # bytes
FIRST_KEY = 1  # id of a new disk's key


@dataclass(frozen=True, slots=True)
class ReadKey:
    """Opens blocks. id: u16, counts the disk's keys from FIRST_KEY; secret: 32 bytes."""

    id: int
    secret: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class KeyAge:
    """The key of this id seals all stripes from version `first` on, up to the next key's."""

    id: int
    first: int


@dataclass(slots=True)
class DiskKeys:
    """secrets: the read keys that this home or kit has, by ascending id; signing_seed: 32 bytes, signs claims, masters
    and ENDs (None: read only); signing_key: 32 bytes, public, hashes to the disk id.

    ages: which keys are in use, by ascending id and version, as the newest master block says: none before one was read.
    They and the secrets change while a disk is in use (`know`, `age`), and everybody who was given these keys sees it.
    """

    secrets: tuple[ReadKey, ...]
    signing_seed: bytes | None = field(repr=False)
    signing_key: bytes
    ages: tuple[KeyAge, ...] = field(default=(), compare=False)

    @property
    def disk(self) -> DiskId:
        return disk_id(self.signing_key)

    @property
    def newest(self) -> int:
        """Id of the newest key here, whether it is in use or not."""
        return self.secrets[-1].id

    def know(self, secrets: Iterable[ReadKey]) -> None:
        """These are the read keys from now on."""
        self.secrets = tuple(secrets)

    def age(self, ages: tuple[KeyAge, ...]) -> None:
        """A master block says that these are in use."""
        self.ages = ages

    def lacking(self) -> tuple[int, ...]:
        """Ids of keys that are in use, and not here: a kit is older than they are."""
        here = {key.id for key in self.secrets}
        return tuple(age.id for age in self.ages if age.id not in here)

    def id_at(self, version: int) -> int:
        """Id of the key of stripes of this version. KeyMissing: it is older than all keys in use."""
        for age in reversed(self.ages):
            if age.first <= version:
                return age.id
        raise KeyMissing("a stripe is older than every key of the disk that is in use")

    def opens(self, version: int) -> bool:
        """Whether the key of stripes of this version is here."""
        try:
            self._secret(self.id_at(version))
        except KeyMissing:
            return False
        return True

    def box_keys(self, store: StoreId, version: int) -> BoxKeys:
        """Of the blocks of this version in one store. KeyMissing: they need a key that is not here."""
        return self._of(self.id_at(version), store)

    def tag_key(self, version: int) -> bytes:
        """Of the tags of stripes of this version. KeyMissing: they need a key that is not here."""
        id_ = self.id_at(version)
        return derive_tag_key(self._secret(id_), id_)

    def master_keys(self, id_: int) -> BoxKeys:
        """Of master blocks that were sealed with the key of this id. KeyMissing: it is not here."""
        return self._of(id_, NO_STORE)

    def master_keys_of(self, box: Octets) -> BoxKeys:
        """Of a master block's box. NotAuthentic: too short; KeyMissing: it needs a key that is not here."""
        return self.master_keys(key_id_of(box))

    def _of(self, id_: int, store: StoreId) -> BoxKeys:
        return derive_keys(self._secret(id_), id_, store)

    def _secret(self, id_: int) -> bytes:
        for key in self.secrets:
            if key.id == id_:
                return key.secret
        if id_ > self.newest:
            raise KeyMissing(f"it is sealed with key {id_} of the disk, which is newer than this kit: use a newer one")
        raise KeyMissing(f"it is sealed with key {id_} of the disk, which is not here")

    def with_secrets(self, secrets: Iterable[ReadKey]) -> "DiskKeys":
        """The same with other read keys."""
        return replace(self, secrets=tuple(secrets))

    def readers(self) -> "DiskKeys":
        """The same for who may only read."""
        return replace(self, signing_seed=None)

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


def keys_of(secrets: Iterable[ReadKey], signing_seed: bytes) -> DiskKeys:
    """The keys of a disk that this home or kit can write; a master block says which are in use."""
    return DiskKeys(tuple(secrets), signing_seed, bytes(SigningKey(signing_seed).verify_key))


def make_keys(read_key: bytes, signing_seed: bytes) -> DiskKeys:
    """The keys of a new disk from 2 x 32 random bytes."""
    keys = keys_of((ReadKey(FIRST_KEY, read_key),), signing_seed)
    keys.age((KeyAge(FIRST_KEY, 0),))
    return keys
