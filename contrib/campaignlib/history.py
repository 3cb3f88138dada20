"""Every operation that was done, so that what comes back can be compared with the moments that there were (P1)."""

import hashlib
import threading
from pathlib import Path
from random import Random

from suitelib.shell import require

LARGEST = 150_000  # bytes of one file
KEPT = 30  # files at the most
State = dict[str, bytes]  # name -> digest of the content


class History(threading.Thread):
    """Changes files below `top`/history, nothing synced, until the mount breaks or it is told to stop."""

    def __init__(self, top: Path, random: Random, number: int = 0) -> None:
        super().__init__()
        self._top = top / "history"
        self._random = random
        self._enough = threading.Event()
        self._number = number
        self._top.mkdir(exist_ok=True)
        self._content = {path.name: path.read_bytes() for path in self._top.iterdir()}
        self.states: list[State] = [_digests(self._content)]
        self.touched: list[set[str]] = [set()]  # names that the operation after each state is about

    def begin(self) -> None:
        self.start()

    def end(self) -> None:
        self._enough.set()
        if self.ident is not None:
            self.join()

    def run(self) -> None:
        try:
            while not self._enough.is_set():
                self._change()
                self.states.append(_digests(self._content))
                self.touched.append(set())
        except OSError:
            return  # the machine is lost

    def told(self) -> int:
        """Operations that are done."""
        return len(self.states) - 1

    def found(self, top: Path) -> int:
        """Which moment came back below `top`; between two, the operation that was under way. Failed: none that ever
        was."""
        there = _digests({path.name: path.read_bytes() for path in (top / "history").iterdir()})
        for moment in reversed(range(len(self.states))):
            names = (self.states[moment].keys() | there.keys()) - self.touched[moment]
            if all(self.states[moment].get(name) == there.get(name) for name in names):
                return moment
        require(False, f"what came back was never so: {len(there)} files, after {self.told()} operations")
        return 0

    def again(self, top: Path) -> "History":
        """One that goes on with what is there."""
        return History(top, self._random, self._number)

    def _change(self) -> None:
        names = sorted(self._content)
        kind = self._random.choice(("new", "new", "append", "overwrite", "rename", "unlink"))
        if not names or (kind == "new" and len(names) < KEPT):
            self._number += 1
            self._write(f"file {self._number}", 0, "xb")
            return
        name = self._random.choice(names)
        if kind == "append":
            self._write(name, len(self._content[name]), "r+b")
        elif kind == "rename":
            other = self._random.choice(names)
            self.touched[-1] = {name, other}
            (self._top / name).rename(self._top / other)
            self._content[other] = self._content.pop(name)
        elif kind == "unlink":
            self.touched[-1] = {name}
            (self._top / name).unlink()
            del self._content[name]
        else:
            self._write(name, self._random.randrange(len(self._content[name]) + 1), "r+b")

    def _write(self, name: str, offset: int, mode: str) -> None:
        self.touched[-1] = {name}
        content = self._random.randbytes(1 + int(LARGEST ** self._random.random()))
        with (self._top / name).open(mode) as file:
            file.seek(offset)
            file.write(content)
        before = self._content.get(name, b"")
        self._content[name] = before[:offset] + content + before[offset + len(content) :]


def _digests(content: dict[str, bytes]) -> State:
    return {name: hashlib.blake2b(data, digest_size=16).digest() for name, data in content.items()}
