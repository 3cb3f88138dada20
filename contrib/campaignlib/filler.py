"""What fills a disk until writers wait."""

import threading
from pathlib import Path


class Filler(threading.Thread):
    """Writes the same content to new files, until it is told to stop."""

    def __init__(self, top: Path, content: bytes) -> None:
        super().__init__()
        self._top = top
        self._content = content
        self._enough = threading.Event()
        self.files = 0  # that are written

    def stop(self) -> None:
        """Finish the file under way, and end."""
        self._enough.set()
        self.join()

    def run(self) -> None:
        while not self._enough.is_set():
            (self._top / f"filler {self.files}").write_bytes(self._content)
            self.files += 1
