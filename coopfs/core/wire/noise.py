"""Noise_XX_25519_AESGCM_SHA256 (Noise specification, revision 34), pure: the wire's encryption and authentication.

    -> e                     1. the dialler sends its ephemeral key, in the clear
    <- e, ee, s, es          2. the listener answers; its static key and payload are encrypted
    -> s, se                 3. the dialler's static key and payload, encrypted; then both split into two CipherStates

The ephemeral private key is a parameter, so that a whole network can run from one seed. A handshake that met one bad
byte is dead: its state was already mixed, and every later call is our bug.
"""

from dataclasses import dataclass
from enum import Enum
from hashlib import sha256
from hmac import digest

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from coopfs.errors import ProtocolError
from coopfs.limits import NOISE_MESSAGE
from coopfs.types import Octets

PROTOCOL_NAME = b"Noise_XX_25519_AESGCM_SHA256"
PROLOGUE = b"coopfs 0"
KEY_SIZE = 32
TAG_SIZE = 16
MAX_PLAINTEXT = NOISE_MESSAGE - TAG_SIZE  # bytes that one transport message can carry
_NOT_AUTHENTIC = "a message from the peer does not authenticate"
MAX_NONCE = (1 << 64) - 1  # reserved by the specification


class Role(Enum):
    """Which side of the handshake this is."""

    INITIATOR = 0
    RESPONDER = 1


# Message i is written by the initiator if i is even. Tokens as in the specification, section 7.
PATTERN: tuple[tuple[str, ...], ...] = (("e",), ("e", "ee", "s", "es"), ("s", "se"))


class CipherState:
    """One direction of a transport: a key and a counter of messages. Messages must arrive in order."""

    __slots__ = ("_aead", "_nonce")

    def __init__(self, key: bytes) -> None:
        assert len(key) == KEY_SIZE
        self._aead = AESGCM(key)
        self._nonce = 0

    def _next_nonce(self) -> bytes:
        # 2^64 messages are never reached; at 1 TiB per connection the distance of AES-GCM from random is 2^72 / 2^129.
        assert self._nonce < MAX_NONCE
        nonce = self._nonce.to_bytes(12, "big")
        self._nonce += 1
        return nonce

    def encrypt(self, plaintext: Octets, associated: bytes = b"") -> bytes:
        """At most MAX_PLAINTEXT bytes in, 16 bytes more out."""
        assert len(plaintext) <= MAX_PLAINTEXT
        return self._aead.encrypt(self._next_nonce(), plaintext, associated)

    def encrypt_into(self, plaintext: Octets, into: memoryview) -> None:
        """As `encrypt`, into TAG_SIZE bytes more than the plaintext has."""
        assert len(plaintext) <= MAX_PLAINTEXT
        self._aead.encrypt_into(self._next_nonce(), plaintext, b"", into)

    def decrypt(self, ciphertext: Octets, associated: bytes = b"") -> bytes:
        """ProtocolError if the bytes are not the next message of the holder of the key."""
        _check_length(ciphertext)
        try:
            return self._aead.decrypt(self._next_nonce(), ciphertext, associated)
        except InvalidTag:
            raise ProtocolError(_NOT_AUTHENTIC) from None

    def decrypt_into(self, ciphertext: Octets, into: memoryview) -> None:
        """As `decrypt`, into TAG_SIZE bytes less than the ciphertext has."""
        _check_length(ciphertext)
        try:
            self._aead.decrypt_into(self._next_nonce(), ciphertext, b"", into)
        except InvalidTag:
            raise ProtocolError(_NOT_AUTHENTIC) from None


def _check_length(ciphertext: Octets) -> None:
    if not TAG_SIZE <= len(ciphertext) <= NOISE_MESSAGE:
        raise ProtocolError(f"an encrypted message of {len(ciphertext)} bytes is outside {TAG_SIZE}..{NOISE_MESSAGE}")


@dataclass(frozen=True, slots=True)
class Transport:
    """What a finished handshake leaves. handshake_hash: 32 bytes, equal on both sides, unique to this connection."""

    send: CipherState
    receive: CipherState
    handshake_hash: bytes


def _hkdf(chaining_key: bytes, material: bytes) -> tuple[bytes, bytes]:
    temp = digest(chaining_key, material, sha256)
    first = digest(temp, b"\x01", sha256)
    return first, digest(temp, first + b"\x02", sha256)


def _public(private: X25519PrivateKey) -> bytes:
    return private.public_key().public_bytes_raw()


def _agree(private: X25519PrivateKey, public: bytes) -> bytes:
    """The shared secret; ProtocolError if it is all zeros, which only a key of small order gives."""
    try:
        return private.exchange(X25519PublicKey.from_public_bytes(public))
    except ValueError:
        raise ProtocolError("the peer sent a key of small order") from None


class Handshake:
    """One side of one handshake: call `write` and `read` in turn, then `finish`.

    static, ephemeral: X25519 private keys, 32 bytes each; the ephemeral one must never be used twice.
    """

    def __init__(self, role: Role, static: bytes, ephemeral: bytes, prologue: bytes = PROLOGUE) -> None:
        self._role = role
        self._static = X25519PrivateKey.from_private_bytes(static)
        self._ephemeral = X25519PrivateKey.from_private_bytes(ephemeral)
        self._remote_static = b""
        self._remote_ephemeral = b""
        self._chaining_key = PROTOCOL_NAME.ljust(KEY_SIZE, b"\0")
        self._hash = self._chaining_key
        self._cipher: CipherState | None = None
        self._step = 0
        self._mix_hash(prologue)

    @property
    def remote_static(self) -> bytes:
        """The peer's X25519 static key, 32 bytes; empty until a message has brought it."""
        return self._remote_static

    def write(self, payload: bytes = b"") -> bytes:
        """The next message of this side, carrying `payload` (in the clear in message 1)."""
        assert self._step < len(PATTERN)
        assert self._step % 2 == self._role.value
        parts = []
        for token in PATTERN[self._step]:
            if token == "e":
                parts.append(_public(self._ephemeral))
                self._mix_hash(parts[-1])
            elif token == "s":
                parts.append(self._encrypt(_public(self._static)))
            else:
                self._mix_key(self._diffie_hellman(token))
        parts.append(self._encrypt(payload))
        self._step += 1
        return b"".join(parts)

    def read(self, message: bytes) -> bytes:
        """The payload of the peer's next message; ProtocolError for anything else than such a message."""
        assert self._step < len(PATTERN)
        assert self._step % 2 != self._role.value
        rest = message
        for token in PATTERN[self._step]:
            if token == "e":
                self._remote_ephemeral, rest = self._cut(rest, KEY_SIZE)
                self._mix_hash(self._remote_ephemeral)
            elif token == "s":
                sealed, rest = self._cut(rest, KEY_SIZE + TAG_SIZE)
                self._remote_static = self._decrypt(sealed)
            else:
                self._mix_key(self._diffie_hellman(token))
        payload = self._decrypt(rest)
        self._step += 1
        return payload

    def finish(self) -> Transport:
        """Split: the two ciphers, from this side's point of view."""
        assert self._step == len(PATTERN)
        first, second = (CipherState(key) for key in _hkdf(self._chaining_key, b""))
        send, receive = (first, second) if self._role is Role.INITIATOR else (second, first)
        return Transport(send, receive, self._hash)

    def _diffie_hellman(self, token: str) -> bytes:
        # The first letter is the initiator's key, the second the responder's.
        mine, theirs = (token[0], token[1]) if self._role is Role.INITIATOR else (token[1], token[0])
        private = self._ephemeral if mine == "e" else self._static
        return _agree(private, self._remote_ephemeral if theirs == "e" else self._remote_static)

    def _mix_hash(self, data: bytes) -> None:
        self._hash = sha256(self._hash + data).digest()

    def _mix_key(self, secret: bytes) -> None:
        self._chaining_key, key = _hkdf(self._chaining_key, secret)
        self._cipher = CipherState(key)

    def _encrypt(self, plaintext: bytes) -> bytes:
        sealed = self._cipher.encrypt(plaintext, self._hash) if self._cipher else plaintext
        self._mix_hash(sealed)
        return sealed

    def _decrypt(self, sealed: bytes) -> bytes:
        plaintext = self._cipher.decrypt(sealed, self._hash) if self._cipher else sealed
        self._mix_hash(sealed)
        return plaintext

    @staticmethod
    def _cut(message: bytes, size: int) -> tuple[bytes, bytes]:
        if len(message) < size:
            raise ProtocolError("the peer's handshake message is too short")
        return message[:size], message[size:]
