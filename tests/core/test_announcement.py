"""The announcement: one encoding, and nothing forged, altered, replayed or of another hour passes."""

from dataclasses import replace

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nacl.signing import SigningKey

from coopfs.core.announcement import Announcement, Known, check_time, follow, sign, verify
from coopfs.core.identity import Identity
from coopfs.errors import ClockApart, NotAuthentic, PeerError, ProtocolError, Replayed, TwinIdentity
from coopfs.levels import Share, parse_uptime
from coopfs.limits import FORMER_INCARNATIONS, MATCH_SKEW, MAX_ANNOUNCEMENT

SEED = bytes(range(32))
NOW = 1_800_000_000
PLAIN = Announcement(
    node=Identity.from_seed(SEED).key,
    incarnation=bytes(range(16)),
    name="attic",
    addresses=("attic.example.org:7530", "[2001:db8::1]:7530"),
    site="Paris 14e",
    system="linux",
    storage=16,
    uptime=Share(95),
    needs=3,
    partners=5,
    time=NOW,
    sequence=NOW * 1000,
)


def test_golden_announcement() -> None:
    assert sign(SEED, PLAIN).hex() == (
        "78caae827335e0c5eb163ec2b71ba36585861a1f73ab82f7d7203fd0c000e3f8364b2170af55011938452b3d766a8b23"
        "d9a4d259c0d36386f9245d9c4028310c636f6f706673203020616e6e6f756e63659cc42003a107bff3ce10be1d70dd18"
        "e74bc09967e4d6309ba50d5f1ddc8664125531b8c410000102030405060708090a0b0c0d0e0fa5617474696392b66174"
        "7469632e6578616d706c652e6f72673a37353330b25b323030313a6462383a3a315d3a37353330a95061726973203134"
        "65a56c696e757810a33935250305ce6b49d200cf000001a3185c5000"
    )


def test_golden_bonds_stand_behind_the_rest() -> None:
    told = replace(PLAIN, bonds=(b"bond 1-2", b"bond 1-3"))
    assert told.encode() == b"".join(
        [PLAIN.encode().replace(b"announce\x9c", b"announce\x9d"), b"\x92\xc4\x08bond 1-2\xc4\x08bond 1-3"]
    )
    assert verify(sign(SEED, told)) == told


@pytest.mark.parametrize(
    "bonds",
    [[], [b"short"], [b"bond 1-2"] * 2, [b"bond 1-3", b"bond 1-2"], [b"bond %03d" % n for n in range(5)], ["x"]],
)
def test_what_are_no_bonds_is_refused(bonds: list[object]) -> None:
    with pytest.raises(ProtocolError):
        verify(signed_anyhow([*values_of(PLAIN), bonds]))


announcements = st.builds(
    replace,
    st.just(PLAIN),
    name=st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", fullmatch=True),
    addresses=st.lists(st.sampled_from(PLAIN.addresses), min_size=1, max_size=8).map(tuple),
    site=st.text(max_size=64).filter(str.isprintable),
    storage=st.integers(0, 42),
    uptime=st.sampled_from(["50%", "99", "mon-fri 08-18 Europe/Paris"]).map(parse_uptime),
    needs=st.integers(0, 256),
    time=st.integers(0, (1 << 63) - 1),
    bonds=st.sets(st.binary(min_size=8, max_size=8), max_size=4).map(lambda bonds: tuple(sorted(bonds))),
    sequence=st.integers(0, (1 << 63) - 1),
)


@given(announcements)
def test_what_is_signed_is_verified(announcement: Announcement) -> None:
    signed = sign(SEED, announcement)
    assert len(signed) <= MAX_ANNOUNCEMENT
    assert verify(signed) == announcement


@given(st.data())
def test_an_altered_announcement_is_not_authentic(data: st.DataObject) -> None:
    signed = bytearray(sign(SEED, PLAIN))
    at = data.draw(st.integers(0, len(signed) - 1))
    signed[at] ^= data.draw(st.integers(1, 255))
    with pytest.raises((NotAuthentic, ProtocolError)):
        verify(bytes(signed))


def test_a_forged_announcement_is_not_authentic() -> None:
    with pytest.raises(NotAuthentic, match="forged"):
        verify(sign(bytes(32), PLAIN))


def signed_anyhow(values: object, magic: bytes = b"coopfs 0 announce") -> bytes:
    """Signed as it should be, whatever it says."""
    return bytes(SigningKey(SEED).sign(magic + msgpack.packb(values)))


def values_of(announcement: Announcement) -> list[object]:
    return list(msgpack.unpackb(announcement.encode()[17:]))


@pytest.mark.parametrize(
    ("at", "value"),
    [
        *((0, b"x" * 31), (1, b""), (2, ""), (2, "a b"), (2, "a\nb"), (3, []), (3, ["nowhere"]), (3, [1])),
        *((3, ["a:1"] * 9), (3, ["ü.example:1"]), (4, "x" * 65), (5, ""), (6, 43), (6, True), (7, "97%")),
        *((7, "95"), (7, "x" * 2000), (8, -1), (8, 257), (9, 1.0), (10, -1), (11, 1 << 63), (11, None)),
    ],
)
def test_values_out_of_bounds_are_refused(at: int, value: object) -> None:
    values = values_of(PLAIN)
    values[at] = value
    with pytest.raises(ProtocolError):
        verify(signed_anyhow(values))


def test_another_encoding_or_version_is_refused() -> None:
    text = PLAIN.encode()
    longer = text[:-9] + b"\xd3" + text[-8:]  # the sequence as a signed number
    with pytest.raises(ProtocolError, match="one encoding"):
        verify(bytes(SigningKey(SEED).sign(longer)))
    with pytest.raises(ProtocolError, match="version"):
        verify(signed_anyhow(values_of(PLAIN), b"coopfs 1 announce"))
    with pytest.raises(ProtocolError):
        verify(signed_anyhow([*values_of(PLAIN), 1]))
    with pytest.raises(ProtocolError, match="longer"):
        verify(bytes(MAX_ANNOUNCEMENT + 1))


@given(st.binary(max_size=300) | st.binary(max_size=200).map(lambda rest: bytes(64) + b"coopfs 0 announce" + rest))
def test_a_strangers_bytes_cause_a_peer_error(data: bytes) -> None:
    with pytest.raises(PeerError):
        verify(data)


@pytest.mark.parametrize("apart", [-MATCH_SKEW, 0, MATCH_SKEW])
def test_clocks_may_differ_a_little(apart: int) -> None:
    check_time(PLAIN, NOW - apart)


@pytest.mark.parametrize(
    ("apart", "words"),
    [(3 * 3600, "3 h 0 min ahead"), (-MATCH_SKEW - 60, "0 h 16 min behind"), (-(9**9), "days behind")],
)
def test_clocks_hours_apart_are_told(apart: int, words: str) -> None:
    with pytest.raises(ClockApart, match=words):
        check_time(PLAIN, NOW - apart)


def known_of(announcement: Announcement, former: bytes = b"") -> Known:
    return Known(announcement.sequence, announcement.incarnation, former, sign(SEED, announcement))


def test_an_older_announcement_is_a_replay() -> None:
    newer = replace(PLAIN, sequence=PLAIN.sequence + 1)
    assert follow(known_of(PLAIN), newer, sign(SEED, newer)) == b""
    with pytest.raises(Replayed):
        follow(known_of(newer), PLAIN, sign(SEED, PLAIN))
    other = replace(newer, needs=0)
    with pytest.raises(Replayed):
        follow(known_of(newer), other, sign(SEED, other))


def test_the_same_announcement_again_is_nothing_new() -> None:
    assert follow(None, PLAIN, sign(SEED, PLAIN)) == b""
    assert follow(known_of(PLAIN), PLAIN, sign(SEED, PLAIN)) is None


def test_a_copy_of_a_node_is_told_from_a_restart() -> None:
    known = known_of(PLAIN)
    for number in range(1, 10):  # restarts
        restarted = replace(PLAIN, incarnation=bytes([number]) * 16, sequence=PLAIN.sequence + number)
        former = follow(known, restarted, sign(SEED, restarted))
        assert former is not None
        assert len(former) <= 16 * FORMER_INCARNATIONS
        assert former.startswith(known.incarnation)
        known = known_of(restarted, former)
    copy = replace(PLAIN, incarnation=bytes([8]) * 16, sequence=PLAIN.sequence + 99)
    with pytest.raises(TwinIdentity, match="another machine"):
        follow(known, copy, sign(SEED, copy))
