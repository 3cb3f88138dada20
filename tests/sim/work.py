"""What programs do to the disk: a few files written again and again, so that stripes die and rows come back; between
that, any operation at all."""

from random import Random

from tests.fs.operations import Chooser, Operation

FILES = [(name,) for name in (b"a", b"b", b"c", b"d")] + [(b"e", name) for name in (b"f", b"g")]
DIRECTORY = (b"e",)
TEMPORARY = (b"tmp",)
HANDLE = 9  # the Chooser uses lower ones
SIZES = [1, 500, 5000, 30_000, 100_000]  # bytes: from many files in a stripe to a file of several


class Work:
    """Operations in short runs."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._chooser = Chooser(random)

    def next(self) -> list[Operation]:
        r = self._random
        chance = r.random()
        if chance < 0.45:
            return [("mkdir", (DIRECTORY, 0o755)), *self._write(r.choice(FILES), cut=True)]
        if chance < 0.55:
            return self._write(r.choice(FILES), cut=False)
        if chance < 0.65:
            path = r.choice(FILES)
            return [*self._write(TEMPORARY, cut=True), ("rename", (TEMPORARY, path, 0))]
        if chance < 0.75:
            return [(r.choice(["unlink", "unlink", "rmdir"]), (r.choice([*FILES, DIRECTORY]),))]
        if chance < 0.8:
            return [("truncate", (r.choice(FILES), r.choice([0, 100, 20_000])))]
        return [self._chooser.next() for _ in range(r.randint(1, 4))]

    def _write(self, path: tuple[bytes, ...], cut: bool) -> list[Operation]:
        data = self._random.randbytes(self._random.choice(SIZES))
        offset = 0 if cut else self._random.choice([0, 50, 10_000])
        return [
            ("create", (path, 0o644)),
            ("open", (HANDLE, path, cut)),
            ("write", (HANDLE, offset, data)),
            ("close", (HANDLE,)),
        ]
