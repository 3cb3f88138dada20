"""A matching server as a process."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from coopfs.cli.detach import COOPFS


@contextmanager
def serving(database: str, directory: Path, *options: str) -> Iterator[str]:
    """`coopfs match serve` on a free port; its address. It must end well."""
    command = [*COOPFS, "match", "serve", "--listen", "127.0.0.1:0", "--database", database, *options]
    with (directory / "match.log").open("wb") as log:
        child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, stdin=subprocess.DEVNULL)
    try:
        assert child.stdout is not None
        line = child.stdout.readline().decode()
        assert line.startswith("the matching server serves at http"), (line, (directory / "match.log").read_text())
        yield line.split()[-1]
    finally:
        child.terminate()
        child.wait(timeout=30)
        assert child.stdout is not None
        child.stdout.close()
    assert (child.returncode, (directory / "match.log").read_text()) == (0, "")
