"""Claims: who may write a disk (design R12, R16).

A claim names an epoch and a claimer and is signed with the disk signing key, so that nobody without that key can
claim epoch 65535. A host grants an epoch to one claimer only, and never goes back to a lower one. The signed text
is 90 bytes, big-endian:

     0  magic        16 bytes  "coopfs 0 claim", two NUL
    16  disk         16 bytes  the disk id: BLAKE3-128 of the signing key in context "coopfs 0 disk id"
    32  epoch        u16       1..65535
    34  claimer      16 bytes  random, drawn when the epoch is claimed
    50  time         u64       seconds since 1970, for people to read; not compared
    58  signing key  32 bytes  Ed25519
"""

import struct
from functools import lru_cache

from blake3 import blake3
from nacl.exceptions import BadSignatureError
from nacl.signing import SigningKey, VerifyKey

from coopfs.errors import Fenced, NotAuthentic
from coopfs.types import Claim, DiskId

CLAIMER = 16  # bytes
SIGNATURE = 64  # bytes, Ed25519
MAX_EPOCH = (1 << 16) - 1

_TEXT = struct.Struct(">16s16sH16sQ32s")
_MAGIC = b"coopfs 0 claim"
_DISK_CONTEXT = "coopfs 0 disk id"


@lru_cache(maxsize=256)  # every block's associated data names it
def disk_id(signing_key: bytes) -> DiskId:
    """The 16-byte id of the disk whose public signing key (32 bytes, Ed25519) this is."""
    return DiskId(blake3(signing_key, derive_key_context=_DISK_CONTEXT).digest(length=16))


def sign_claim(seed: bytes, epoch: int, claimer: bytes, time: int) -> Claim:
    """A claim of `epoch` (1..65535) by `claimer` (16 bytes) at `time` (seconds since 1970).

    seed: the 32-byte seed of the disk signing key.
    """
    assert 1 <= epoch <= MAX_EPOCH
    assert len(claimer) == CLAIMER
    key = SigningKey(seed)
    signing_key = bytes(key.verify_key)
    disk = disk_id(signing_key)
    signature = key.sign(_text(disk, epoch, claimer, time, signing_key)).signature
    return Claim(disk, epoch, claimer, time, signing_key, signature)


def verify_claim(claim: Claim) -> None:
    """NotAuthentic: out of range, not signed with its signing key, or that key is not the disk's."""
    well_formed = (
        1 <= claim.epoch <= MAX_EPOCH
        and 0 <= claim.time < 1 << 63
        and len(claim.claimer) == CLAIMER
        and len(claim.signature) == SIGNATURE
        and len(claim.signing_key) == 32
    )
    if not well_formed:
        raise NotAuthentic("a claim has a field out of range")
    if disk_id(claim.signing_key) != claim.disk:
        raise NotAuthentic("a claim is signed by a key that is not this disk's")
    text = _text(claim.disk, claim.epoch, claim.claimer, claim.time, claim.signing_key)
    try:
        VerifyKey(claim.signing_key).verify(text, claim.signature)
    except BadSignatureError:
        raise NotAuthentic("the signature of a claim does not verify") from None


def check_claim(granted: Claim | None, claim: Claim) -> bool:
    """Whether `claim` raises what is granted (False: it is the one granted). Fenced: lower, or the epoch is another
    claimer's.
    """
    if granted is None or claim.epoch > granted.epoch:
        return True
    if (claim.epoch, claim.claimer) == (granted.epoch, granted.claimer):
        return False
    raise Fenced(
        f"epoch {claim.epoch} is fenced: this disk was claimed for epoch {granted.epoch} by another writer",
        granted.epoch,
        granted.claimer,
    )


def check_writer(granted: Claim | None, session: Claim) -> None:
    """Fenced: the claim under which a session was opened is no longer the one granted."""
    assert granted is not None, "a session for writing was opened without a claim"
    if check_claim(granted, session):
        raise AssertionError("a session's claim was never granted")


def _text(disk: DiskId, epoch: int, claimer: bytes, time: int, signing_key: bytes) -> bytes:
    return _TEXT.pack(_MAGIC, disk, epoch, claimer, time, signing_key)
