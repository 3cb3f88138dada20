"""Every block that a partner stored: the course of events in one number, and what must never happen to a block."""

from collections import Counter

from blake3 import blake3

from coopfs.types import StoredBlock


class Violation(AssertionError):
    """A promise was broken."""


class Trace:
    """protected: versions that the newest held state names; no partner may lose one to an overwriting put; disputed:
    which have been lost while it is open whose state that is. None: it is not."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.protected: frozenset[int] = frozenset()
        self.disputed: list[Violation] | None = None
        self._hash = blake3()
        self._sealed: dict[tuple[int, int], tuple[int, bytes]] = {}  # column, version -> row, digest of the box
        self._rows: dict[int, int] = {}  # version -> row
        self._last: dict[tuple[int, int], int] = {}  # column, row -> version stored last

    @property
    def digest(self) -> str:
        return self._hash.hexdigest(8)

    def note(self, time: float, what: str) -> None:
        """Something that the same seed must bring again at the same moment."""
        self.counts[what.partition(" ")[0]] += 1
        self._hash.update(f"{time:.9f} {what}\n".encode())

    def put(self, time: float, column: int, row: int, block: StoredBlock) -> None:
        """A partner stored a block just now, over another one perhaps."""
        digest = blake3(block.data).digest(16)
        self.note(time, f"put {column} {row} {block.version} {digest.hex()}")
        self.counts["put_bytes"] += len(block.data)
        if self._rows.setdefault(block.version, row) != row:
            raise Violation(f"version {block.version:#x} was sealed for rows {self._rows[block.version]} and {row}")
        if self._sealed.setdefault((column, block.version), (row, digest)) != (row, digest):
            raise Violation(f"version {block.version:#x} was sealed twice with different content")
        before = self._last.get((column, row), block.version)
        self._last[column, row] = block.version
        if before != block.version:
            self.counts["overwritten"] += 1
            if before in self.protected:
                broken = Violation(f"row {row} was overwritten while the held state names {before:#x}")
                if self.disputed is None:
                    raise broken
                self.disputed.append(broken)

    def is_whole(self, column: int, row: int, block: StoredBlock | None, version: int) -> bool:
        """Whether this is what a partner stored as that version, in that row."""
        if block is None or block.version != version:
            return False
        return self._sealed.get((column, version)) == (row, blake3(block.data).digest(16))

    def lose(self, column: int, row: int) -> None:
        """A partner lost what it had stored there."""
        self._last.pop((column, row), None)
