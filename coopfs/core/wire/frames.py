"""Frames: what one request or answer looks like above Noise, and how it is cut into Noise messages (design section 6).

    frame          length u32 | type u8 | flags u8 | request id u32 | map length u32 | map (msgpack) | body
    Noise message  length u16 | ciphertext of at most 65,535 bytes

All numbers are big-endian; a frame's length counts what follows it. The plaintexts of the Noise messages of one
direction are one stream: where a message ends means nothing to the frames in it.

The bytes of a block are not copied: they are encrypted into what is sent, and decrypted into the body. Whatever a
length field says, it meets its bound before anything is kept for it.
"""

import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum

from coopfs.core.wire.noise import MAX_PLAINTEXT, TAG_SIZE, CipherState
from coopfs.errors import ProtocolError
from coopfs.limits import MAX_FRAME, MAX_MAP
from coopfs.types import Octets

_HEAD = struct.Struct(">IBBII")
_ENVELOPE = struct.Struct(">H")
HEAD_SIZE = _HEAD.size  # 14 bytes
ENVELOPE_SIZE = _ENVELOPE.size  # 2 bytes
_FIXED = HEAD_SIZE - 4  # bytes of the head that the length counts


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


def plaintexts(frames: Iterable[Frame]) -> Iterator[Octets]:
    """The frames as plaintexts of Noise messages. Short ones share a message, as each costs about as much as 10 KiB of
    content; the body of one that fits into no message comes in slices of its own, behind its head."""
    short: list[Octets] = []
    size = 0
    for frame in frames:
        head = _head(frame)
        fits = len(head) + len(frame.body) <= MAX_PLAINTEXT
        more = len(head) + (len(frame.body) if fits else 0)
        if size + more > MAX_PLAINTEXT:
            yield b"".join(short)
            short, size = [], 0
        short += (head, frame.body) if fits else (head,)
        size += more
        if not fits:
            yield b"".join(short)
            short, size = [], 0
            body = memoryview(frame.body)
            yield from (body[start : start + MAX_PLAINTEXT] for start in range(0, len(body), MAX_PLAINTEXT))
    if short:
        yield b"".join(short)


def _head(frame: Frame) -> bytes:
    """All that comes before the body."""
    length = _FIXED + len(frame.map) + len(frame.body)
    assert len(frame.map) <= MAX_MAP
    assert length <= MAX_FRAME
    return _HEAD.pack(length, frame.type, frame.flag, frame.request, len(frame.map)) + frame.map


class FrameDecoder:
    """Plaintext bytes in, frames out. Holds one frame at the most (MAX_FRAME); its body is allocated when its head has
    come."""

    def __init__(self) -> None:
        self._start = bytearray()  # of the head or of the map, until it is whole
        self._head: tuple[int, int, int, int, int] | None = None
        self._body: bytearray | None = None
        self._map = b""
        self._filled = 0  # bytes of the body

    @property
    def held(self) -> int:
        """Bytes of the frame that is not whole."""
        return len(self._start) + len(self._map) + self._filled

    def space(self, size: int) -> memoryview | None:
        """Where the next `size` bytes belong, if they all are of the body that has begun: call `filled` when they are
        there. None: `feed` them."""
        if self._body is None or size > len(self._body) - self._filled:
            return None
        return memoryview(self._body)[self._filled : self._filled + size]

    def filled(self, size: int) -> list[Frame]:
        """The frame that these bytes complete, or none."""
        self._filled += size
        return self._whole()

    def feed(self, data: Octets) -> list[Frame]:
        """The frames that `data` completes, in order. ProtocolError for a head that no frame can have."""
        view = memoryview(data)
        frames: list[Frame] = []
        while view:
            view = self._take(view)
            frames += self._whole()
        return frames

    def _take(self, view: memoryview) -> memoryview:
        """Put the first bytes where they belong. What is left."""
        if self._head is None:
            view = self._gather(view, HEAD_SIZE)
            if len(self._start) < HEAD_SIZE:
                return view
            self._head = _checked(_HEAD.unpack(self._start))
            self._start.clear()
        length, *_, map_length = self._head
        if self._body is None:
            view = self._gather(view, map_length)
            if len(self._start) < map_length:
                return view
            self._map = bytes(self._start)
            self._start.clear()
            self._body = bytearray(length - _FIXED - map_length)
        size = min(len(view), len(self._body) - self._filled)
        memoryview(self._body)[self._filled : self._filled + size] = view[:size]
        self._filled += size
        return view[size:]

    def _gather(self, view: memoryview, size: int) -> memoryview:
        lacking = size - len(self._start)
        self._start += view[:lacking]
        return view[lacking:]

    def _whole(self) -> list[Frame]:
        if self._head is None or self._body is None or self._filled < len(self._body):
            return []
        _, kind, flag, request, _ = self._head
        frame = Frame(kind, Flag(flag), request, self._map, self._body)
        self._head, self._body, self._map, self._filled = None, None, b"", 0
        return [frame]


def _checked(head: tuple[int, int, int, int, int]) -> tuple[int, int, int, int, int]:
    length, _, flag, _, map_length = head
    if not _FIXED <= length <= MAX_FRAME:
        raise ProtocolError(f"a frame of {length} bytes is outside {_FIXED}..{MAX_FRAME}")
    if flag > Flag.ERROR:
        raise ProtocolError(f"a frame has the unknown flag {flag}")
    if map_length > min(MAX_MAP, length - _FIXED):
        raise ProtocolError(f"a message map of {map_length} bytes does not fit its frame of {length}")
    return head


def enveloped(message: bytes) -> bytes:
    """A Noise message behind its length, as it goes over the connection."""
    return _ENVELOPE.pack(len(message)) + message


class Envelopes:
    """A buffer in which frames are encrypted as they go over the connection. It grows with the largest run of them."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def seal(self, frames: Sequence[Frame], cipher: CipherState) -> memoryview:
        """The frames, encrypted: valid until the next call."""
        pieces = list(plaintexts(frames))
        size = sum(map(len, pieces)) + len(pieces) * (ENVELOPE_SIZE + TAG_SIZE)
        if size > len(self._buffer):
            self._buffer = bytearray(size)
        sealed = memoryview(self._buffer)[:size]
        at = 0
        for piece in pieces:
            end = at + ENVELOPE_SIZE + len(piece) + TAG_SIZE
            _ENVELOPE.pack_into(sealed, at, end - at - ENVELOPE_SIZE)
            cipher.encrypt_into(piece, sealed[at + ENVELOPE_SIZE : end])
            at = end
        return sealed


class EnvelopeDecoder:
    """Connection bytes in, Noise messages out. Holds at most one message (65,537 bytes) between two pieces."""

    def __init__(self) -> None:
        self._rest = bytearray()

    @property
    def held(self) -> int:
        """Bytes of the message that is not whole."""
        return len(self._rest)

    def feed(self, data: bytes) -> list[memoryview]:
        """The Noise messages that `data` completes, in order. Every length is legal: two bytes are the bound."""
        view = memoryview(data)
        messages = []
        if self._rest:  # only what was cut is put together, the others stay where they are
            view = self._complete(view)
            cut = _first_message(memoryview(bytes(self._rest)))
            if cut is None:
                return []
            messages.append(cut)
            self._rest.clear()
        while (message := _first_message(view)) is not None:
            messages.append(message)
            view = view[ENVELOPE_SIZE + len(message) :]
        self._rest += view
        return messages

    def _complete(self, view: memoryview) -> memoryview:
        """Add to the message that has begun, as far as it and the bytes go. What is left."""
        for part in ("length", "content"):
            size = ENVELOPE_SIZE if part == "length" else ENVELOPE_SIZE + _ENVELOPE.unpack_from(self._rest)[0]
            lacking = max(0, size - len(self._rest))
            self._rest += view[:lacking]
            view = view[lacking:]
            if len(self._rest) < size:
                break
        return view


def _first_message(data: memoryview) -> memoryview | None:
    """The message at the start, if it is whole."""
    if len(data) < ENVELOPE_SIZE:
        return None
    end = ENVELOPE_SIZE + _ENVELOPE.unpack_from(data)[0]
    return data[ENVELOPE_SIZE:end] if end <= len(data) else None
