"""What the operating system refuses becomes a HomeError of one line."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from coopfs.errors import HomeError


@contextmanager
def disk_errors(action: str, path: Path) -> Iterator[None]:
    """Turn an OSError inside into HomeError("cannot ACTION PATH: reason")."""
    try:
        yield
    except OSError as error:
        raise HomeError(f"cannot {action} {path}: {error.strerror}") from error
