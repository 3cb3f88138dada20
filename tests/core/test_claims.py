"""Claims: the signed text, and who is granted an epoch."""

from dataclasses import replace

import pytest

from coopfs.core.claims import check_claim, check_writer, disk_id, sign_claim, verify_claim
from coopfs.errors import Fenced, NotAuthentic
from coopfs.types import Claim, DiskId

SEED = bytes(range(32))
CLAIMER = bytes(range(16, 32))
CLAIM = sign_claim(SEED, 258, CLAIMER, 1_800_000_000)


def test_golden_claim() -> None:
    assert CLAIM.signing_key.hex() == "03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8"
    assert CLAIM.disk.hex() == "dc169b8887855ce4fdc16e0a10b1fa74"
    assert CLAIM.signature.hex() == (
        "58693df1704f82e769b2589c8e271fa7392569d7438ff4700511119d6f835b91a5478463faf7efdddd5e80a7f3b6acf2"
        "77a82790d9da1830666374a07303fc09"
    )


def test_a_genuine_claim_verifies() -> None:
    verify_claim(CLAIM)


@pytest.mark.parametrize(
    "forged",
    [
        replace(CLAIM, epoch=259),
        replace(CLAIM, epoch=0),
        replace(CLAIM, epoch=65536),
        replace(CLAIM, claimer=bytes(16)),
        replace(CLAIM, claimer=bytes(15)),
        replace(CLAIM, time=1),
        replace(CLAIM, time=-1),
        replace(CLAIM, time=1 << 63),
        replace(CLAIM, disk=DiskId(bytes(16))),
        replace(CLAIM, signing_key=bytes(32)),
        replace(CLAIM, signing_key=b""),
        replace(CLAIM, signing_key=bytes(32), disk=disk_id(bytes(32))),
        replace(CLAIM, signature=bytes(64)),
        replace(CLAIM, signature=bytes(63)),
    ],
)
def test_a_forged_claim_is_not_authentic(forged: Claim) -> None:
    with pytest.raises(NotAuthentic):
        verify_claim(forged)


def test_an_epoch_is_granted_to_one_claimer_and_never_goes_back() -> None:
    other = sign_claim(SEED, 258, bytes(16), 0)
    assert check_claim(None, CLAIM)
    assert not check_claim(CLAIM, CLAIM)
    assert not check_claim(CLAIM, sign_claim(SEED, 258, CLAIMER, 5)), "the time is not compared"
    assert check_claim(CLAIM, sign_claim(SEED, 259, bytes(16), 0))
    for refused in (other, sign_claim(SEED, 257, CLAIMER, 0)):
        with pytest.raises(Fenced) as fence:
            check_claim(CLAIM, refused)
        assert (fence.value.epoch, fence.value.claimer) == (258, CLAIMER)


def test_a_session_writes_only_while_its_claim_is_the_one_granted() -> None:
    check_writer(CLAIM, CLAIM)
    with pytest.raises(Fenced):
        check_writer(sign_claim(SEED, 259, CLAIMER, 0), CLAIM)
