"""Framing: the golden frame, any cutting, the bounds, and arbitrary bytes."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coopfs.core.wire.frames import EnvelopeDecoder, Flag, Frame, FrameDecoder, enveloped, plaintexts
from coopfs.core.wire.noise import MAX_PLAINTEXT
from coopfs.errors import ProtocolError
from coopfs.limits import DEFAULT_BLOCK_SIZE, MAX_BLOCK_SIZE, MAX_FRAME, MAX_MAP

GOLDEN = Frame(4, Flag.ANSWER, 7, b"\x80", b"body")
GOLDEN_HEX = "0000000f04010000000700000001" + "80" + "626f6479"

frames = st.builds(
    Frame,
    st.integers(0, 255),
    st.sampled_from(Flag),
    st.integers(0, (1 << 32) - 1),
    st.binary(max_size=40),
    st.binary(max_size=200),
)


def encoded(frame: Frame) -> bytes:
    return b"".join(plaintexts([frame]))


def test_golden_frame() -> None:
    assert encoded(GOLDEN).hex() == GOLDEN_HEX
    assert FrameDecoder().feed(bytes.fromhex(GOLDEN_HEX)) == [GOLDEN]


@given(st.lists(frames, max_size=5), st.lists(st.integers(1, 60)))
def test_any_cutting_of_the_stream_gives_the_same_frames(sent: list[Frame], cuts: list[int]) -> None:
    stream = b"".join(map(encoded, sent))
    decoder = FrameDecoder()
    received = []
    for cut in cuts:
        received += decoder.feed(stream[:cut])
        stream = stream[cut:]
    received += decoder.feed(stream)
    assert received == sent


@pytest.mark.parametrize("size", [0, 1, MAX_PLAINTEXT - 15, MAX_PLAINTEXT - 14, DEFAULT_BLOCK_SIZE, MAX_BLOCK_SIZE])
def test_every_piece_of_a_frame_fits_one_noise_message(size: int) -> None:
    frame = Frame(4, Flag.REQUEST, 1, b"\x80", bytes(range(256)) * (size // 256) + bytes(size % 256))
    pieces = list(plaintexts([frame, GOLDEN, frame, frame]))
    assert max(map(len, pieces)) <= MAX_PLAINTEXT
    assert FrameDecoder().feed(b"".join(pieces)) == [frame, GOLDEN, frame, frame]


def test_short_frames_share_a_noise_message_with_each_other_and_with_the_head_of_a_long_one() -> None:
    long = Frame(3, Flag.REQUEST, 1, b"\x80", bytes(range(256)) * (MAX_PLAINTEXT // 256 + 1))
    assert len(list(plaintexts([GOLDEN] * 100))) == 1
    assert [len(piece) for piece in plaintexts([GOLDEN, GOLDEN, long, GOLDEN])] == [
        2 * len(encoded(GOLDEN)) + len(encoded(long)) - len(long.body),
        MAX_PLAINTEXT,
        len(long.body) - MAX_PLAINTEXT,
        len(encoded(GOLDEN)),
    ]
    assert list(plaintexts([])) == []


@pytest.mark.parametrize(
    ("length", "flag", "map_length", "text"),
    [
        (0xFFFFFFFF, 0, 1, "a frame of 4294967295 bytes"),
        (MAX_FRAME + 1, 0, 1, "a frame of"),
        (9, 0, 0, "a frame of 9 bytes"),
        (20, 3, 1, "unknown flag 3"),
        (20, 0, 11, "map of 11 bytes"),
        (MAX_FRAME, 0, MAX_MAP + 1, "map of"),
    ],
)
def test_an_impossible_head_is_refused_before_its_content_arrives(
    length: int, flag: int, map_length: int, text: str
) -> None:
    with pytest.raises(ProtocolError, match=text):
        FrameDecoder().feed(struct.pack(">IBBII", length, 4, flag, 1, map_length))


@given(st.lists(st.binary(max_size=100)))
def test_arbitrary_bytes_cause_protocol_errors_only(pieces: list[bytes]) -> None:
    decoder = FrameDecoder()
    try:
        for piece in pieces:
            decoder.feed(piece)
    except ProtocolError:
        return
    assert decoder.held <= MAX_FRAME


@given(st.lists(st.binary(max_size=90)), st.integers(1, 50))
def test_envelopes_survive_any_cutting(messages: list[bytes], cut: int) -> None:
    stream = b"".join(map(enveloped, messages))
    decoder = EnvelopeDecoder()
    received = [
        bytes(message) for start in range(0, len(stream), cut) for message in decoder.feed(stream[start : start + cut])
    ]
    assert received == messages
