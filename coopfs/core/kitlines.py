"""Bytes as numbered lines that can be printed, and typed back one by one: the body of a recovery kit.

    NN  XXXXX XXXXX XXXXX XXXXX XXXXX XXXXX XXXXX XXXXX  CCCC

NN counts from 1; X is Crockford base32 (no I, L, O, U; small letters and look-alikes are understood), 25 bytes a line;
CCCC, 20 bits of BLAKE3 over line number and data, tells which line was mistyped. The last line may be shorter. The data
end in 8 bytes of BLAKE3 over all before, so that a missing page or pages of two kits are seen.
"""

import re

from blake3 import blake3

from coopfs.errors import KitError

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_LINE = 25  # bytes: 40 letters, about what an eye keeps its place in
_CHECK_LETTERS = 4
_DIGEST = 8  # bytes over the whole kit
_LOOKALIKES = str.maketrans({"O": "0", "I": "1", "L": "1"})


def to_lines(data: bytes) -> list[str]:
    """The lines of any data."""
    data += blake3(data).digest(_DIGEST)
    return [_line(number, data[at : at + _LINE]) for number, at in enumerate(range(0, len(data), _LINE), 1)]


def is_data(line: str) -> bool:
    """Whether a line of a kit's text is one of ours; empty ones and those that start with # are for people."""
    return bool(line.strip()) and not line.lstrip().startswith("#")


def from_lines(text: str) -> bytes:
    """The data of the lines in a text. KitError: names the line that is wrong, missing or twice there."""
    pieces: list[bytes] = []
    for line in filter(is_data, text.splitlines()):
        if pieces and len(pieces[-1]) < _LINE:
            raise KitError(f"line {len(pieces)} of the recovery kit ends too early: only the last one may be short")
        pieces.append(_read_line(line, len(pieces) + 1))
    if not pieces:
        raise KitError("this is not a recovery kit: it has no data lines")
    whole = b"".join(pieces)
    data, digest = whole[:-_DIGEST], whole[-_DIGEST:]
    if blake3(data).digest(_DIGEST) != digest:
        raise KitError(
            f"the recovery kit is not whole: lines after {len(pieces)} are missing, or its lines are of different kits"
        )
    return data


def _line(number: int, data: bytes) -> str:
    letters = _letters(int.from_bytes(data, "big"), _letters_of(len(data)))
    groups = " ".join(letters[i : i + 5] for i in range(0, len(letters), 5))
    return f"{number:02d}  {groups}  {_check(number, data)}"


def _read_line(line: str, expected: int) -> bytes:
    number_text, *words = line.split()
    if not re.fullmatch("[0-9]{1,4}", number_text) or not words:
        raise KitError(f"line {expected} of the recovery kit does not start with its number")
    number = int(number_text)
    if number != expected:
        raise KitError(f"line {expected} of the recovery kit is missing or out of order: line {number} stands there")
    letters = "".join(words).upper().translate(_LOOKALIKES)
    if not re.fullmatch(f"[{_ALPHABET}]+", letters):
        raise KitError(f"line {number} of the recovery kit has a letter that does not occur in kits")
    body, check_letters = letters[:-_CHECK_LETTERS], letters[-_CHECK_LETTERS:]
    length = len(body) * 5 // 8
    if not 0 < length <= _LINE or len(body) != _letters_of(length):
        raise KitError(f"line {number} of the recovery kit has letters too many or too few")
    value = 0
    for letter in body:
        value = value << 5 | _ALPHABET.index(letter)
    if value >> length * 8 or check_letters != _check(number, value.to_bytes(length, "big")):
        raise KitError(f"line {number} of the recovery kit is mistyped: its checksum does not match")
    return value.to_bytes(length, "big")


def _letters_of(length: int) -> int:
    return -(-length * 8 // 5)


def _check(number: int, data: bytes) -> str:
    digest = blake3(number.to_bytes(2, "big") + data).digest(4)
    return _letters(int.from_bytes(digest, "big") >> 12, _CHECK_LETTERS)


def _letters(value: int, count: int) -> str:
    return "".join(_ALPHABET[value >> 5 * i & 31] for i in reversed(range(count)))
