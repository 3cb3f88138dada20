"""Bytes as text that people copy by hand: Crockford's base32 with a checksum.

The alphabet leaves out I, L, O and U; on reading, I and L mean 1, O means 0, case does not matter, and dashes and
white space are skipped. 5 bytes of BLAKE3 follow the data: a mistyped text passes once in 10^12.
"""

from blake3 import blake3

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
CHECKSUM = 5  # bytes, 8 characters
GROUP = 8  # characters between dashes

_AMBIGUOUS = str.maketrans("OIL", "011", "- \t\r\n")
_VALUES = {character: value for value, character in enumerate(ALPHABET)}


def encode(data: bytes) -> str:
    """Groups of 8 characters, joined by dashes; the checksum included."""
    data += _checksum(data)
    padding = -len(data) * 8 % 5
    number = int.from_bytes(data, "big") << padding
    length = (len(data) * 8 + padding) // 5
    text = "".join(ALPHABET[number >> 5 * position & 31] for position in reversed(range(length)))
    return "-".join(text[start : start + GROUP] for start in range(0, length, GROUP))


def normalise(text: str) -> str:
    """Upper case, without separators, ambiguous letters read as the digits they look like."""
    return text.upper().translate(_AMBIGUOUS)


def decode(text: str) -> bytes | None:
    """What `encode` was given; None: mistyped. Works on any text, normalised or not."""
    text = normalise(text)
    length = len(text) * 5 // 8
    if length < CHECKSUM or any(character not in _VALUES for character in text):
        return None
    number = 0
    for character in text:
        number = number << 5 | _VALUES[character]
    padding = len(text) * 5 - length * 8
    if padding > 4 or number & (1 << padding) - 1:
        return None
    data = (number >> padding).to_bytes(length, "big")
    if _checksum(data[:-CHECKSUM]) != data[-CHECKSUM:]:
        return None
    return data[:-CHECKSUM]


def _checksum(data: bytes) -> bytes:
    return blake3(data).digest(length=CHECKSUM)
