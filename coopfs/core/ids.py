"""Sets of stripe ids in a bit or two each, for those that may be all 10^7 of a disk."""

from collections.abc import Iterator

CHUNK = 1024  # ids whose bits are one integer: stripes are numbered one after the other


class Ids:
    """A set of ids; of those that follow each other the bits stand together, for who asks for many at once."""

    def __init__(self) -> None:
        self._chunks: dict[int, int] = {}  # id // CHUNK -> bits

    def __bool__(self) -> bool:
        return bool(self._chunks)

    def __contains__(self, id_: int) -> bool:
        return bool(self._chunks.get(id_ // CHUNK, 0) >> id_ % CHUNK & 1)

    def add(self, id_: int) -> None:
        """No matter whether it is there."""
        number, at = divmod(id_, CHUNK)
        self._chunks[number] = self._chunks.get(number, 0) | 1 << at

    def remove(self, id_: int) -> None:
        """One that is there."""
        number, at = divmod(id_, CHUNK)
        assert id_ in self
        self._chunks[number] ^= 1 << at
        if not self._chunks[number]:
            del self._chunks[number]

    def without(self, others: "Ids") -> Iterator[int]:
        """Those that are not among the others, ascending. Neither may be changed meanwhile."""
        for number in sorted(self._chunks):
            left = self._chunks[number] & ~others._chunks.get(number, 0)
            while left:
                yield number * CHUNK + (left & -left).bit_length() - 1
                left &= left - 1


NO_IDS = Ids()
