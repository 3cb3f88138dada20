"""Frames: what one request or answer looks like above Noise, and how it is cut into Noise messages (design section 6).

    frame          length u32 | type u8 | flags u8 | request id u32 | map length u32 | map (msgpack) | body
    Noise message  length u16 | ciphertext of at most 65,535 bytes

All numbers are big-endian; a frame's length counts what follows it. The plaintexts of the Noise messages of one
direction are one stream: where a message ends means nothing to the frames in it.

A block of 256 KiB is copied once on each side (the join of its ciphertexts, the join of its body); pieces of it are
memoryviews until then. Whatever a length field says, it meets its bound before anything is kept for it.
"""

import struct
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

from coopfs.core.wire.noise import MAX_PLAINTEXT
from coopfs.errors import ProtocolError
from coopfs.limits import MAX_FRAME, MAX_MAP
from coopfs.types import Octets

_HEAD = struct.Struct(">IBBII")
_LENGTH = struct.Struct(">I")
_ENVELOPE = struct.Struct(">H")
HEAD_SIZE = _HEAD.size  # 14 bytes
_FIXED = HEAD_SIZE - _LENGTH.size  # bytes of the head that the length counts


class Flag(IntEnum):
    """What a frame is: somebody asks, answers, or answers with an error."""

    REQUEST = 0
    ANSWER = 1
    ERROR = 2


@dataclass(frozen=True, slots=True)
class Frame:
    """One request or answer. type 0..255 (core.messages gives the meaning); request 0..2^32-1 pairs an answer with
    its request, each side counting its own; map: encoded msgpack; body: a block, blocks or slots, may be empty."""

    type: int
    flag: Flag
    request: int
    map: bytes
    body: Octets = b""


def plaintexts(frame: Frame) -> Iterator[bytes | memoryview]:
    """The frame as plaintexts of Noise messages: one if it fits, else its head and then slices of its body."""
    length = _FIXED + len(frame.map) + len(frame.body)
    assert len(frame.map) <= MAX_MAP
    assert length <= MAX_FRAME
    head = _HEAD.pack(length, frame.type, frame.flag, frame.request, len(frame.map)) + frame.map
    if len(head) + len(frame.body) <= MAX_PLAINTEXT:
        yield head + frame.body
        return
    yield head
    body = memoryview(frame.body)
    for start in range(0, len(body), MAX_PLAINTEXT):
        yield body[start : start + MAX_PLAINTEXT]


class FrameDecoder:
    """Plaintext bytes in, frames out. Holds at most one frame (MAX_FRAME) and what came with the last piece."""

    def __init__(self) -> None:
        self._pieces: deque[memoryview] = deque()
        self.held = 0
        self._head: tuple[int, int, int, int, int] | None = None

    def feed(self, data: bytes) -> list[Frame]:
        """The frames that `data` completes, in order. ProtocolError for a head that no frame can have."""
        if data:
            self._pieces.append(memoryview(data))
            self.held += len(data)
        frames = []
        while (frame := self._next()) is not None:
            frames.append(frame)
        return frames

    @property
    def inside(self) -> bool:
        """Whether the beginning of another frame is here."""
        return self._head is not None or self.held > 0

    def _next(self) -> Frame | None:
        if self._head is None:
            if self.held < HEAD_SIZE:
                return None
            self._head = _checked(_HEAD.unpack(self._take(HEAD_SIZE)))
        length, kind, flag, request, map_length = self._head
        if self.held < length - _FIXED:
            return None
        self._head = None
        return Frame(kind, Flag(flag), request, self._take(map_length), self._take(length - _FIXED - map_length))

    def _take(self, size: int) -> bytes:
        parts = []
        self.held -= size
        while size:
            piece = self._pieces.popleft()
            if len(piece) > size:
                self._pieces.appendleft(piece[size:])
                piece = piece[:size]
            parts.append(piece)
            size -= len(piece)
        return b"".join(parts)


def _checked(head: tuple[int, int, int, int, int]) -> tuple[int, int, int, int, int]:
    length, _, flag, _, map_length = head
    if not _FIXED <= length <= MAX_FRAME:
        raise ProtocolError(f"a frame of {length} bytes is outside {_FIXED}..{MAX_FRAME}")
    if flag > Flag.ERROR:
        raise ProtocolError(f"a frame has the unknown flag {flag}")
    if map_length > min(MAX_MAP, length - _FIXED):
        raise ProtocolError(f"a message map of {map_length} bytes does not fit its frame of {length}")
    return head


def envelopes(messages: list[bytes]) -> bytes:
    """Noise messages behind their lengths, as they go over the connection: one buffer, one system call."""
    parts: list[bytes] = []
    for message in messages:
        parts += (_ENVELOPE.pack(len(message)), message)
    return b"".join(parts)


class EnvelopeDecoder:
    """Connection bytes in, Noise messages out. Holds at most one message (65,537 bytes) between two pieces."""

    def __init__(self) -> None:
        self._rest = b""

    @property
    def inside(self) -> bool:
        """Whether the beginning of another message is here."""
        return bool(self._rest)

    def feed(self, data: bytes) -> list[memoryview]:
        """The Noise messages that `data` completes, in order. Every length is legal: two bytes are the bound."""
        if self._rest:
            data = self._rest + data
        view = memoryview(data)
        messages = []
        start = 0
        while len(data) - start >= _ENVELOPE.size:
            (length,) = _ENVELOPE.unpack_from(data, start)
            end = start + _ENVELOPE.size + length
            if end > len(data):
                break
            messages.append(view[start + _ENVELOPE.size : end])
            start = end
        self._rest = data[start:]
        return messages
