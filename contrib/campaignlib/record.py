"""The lines of a campaign, one JSON object each, so that a campaign which was stopped goes on."""

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any, Generic, TypeVar

import click

from coopfs.errors import UsageError

T = TypeVar("T")
RECORD = click.option(
    "--record", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path), help="To go on from later."
)


class Record(Generic[T]):
    """path: None keeps nothing; decode: a line, which is a dataclass, of its fields. UsageError: the file cannot be
    read, or is something else."""

    def __init__(self, path: Path | None, decode: Callable[[dict[str, Any]], T]) -> None:
        self.lines = _read(path, decode) if path is not None and path.exists() else []
        try:
            self._file = None if path is None else path.open("a", encoding="utf-8")
        except OSError as error:
            raise UsageError(f"cannot write {path}: {error.strerror}") from None

    def __enter__(self) -> "Record[T]":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()

    def add(self, line: T) -> None:
        """At once: what was lived is not lived again."""
        self.lines.append(line)
        if self._file is not None:
            self._file.write(json.dumps(asdict(line)) + "\n")  # type: ignore[call-overload]
            self._file.flush()


def _read(path: Path, decode: Callable[[dict[str, Any]], T]) -> list[T]:
    try:
        written = path.read_text(encoding="utf-8")
        whole = written[: written.rfind("\n") + 1]  # a line that was being written when it was stopped
        found = [decode(json.loads(text)) for text in whole.splitlines()]
        if whole != written:
            path.write_text(whole, encoding="utf-8")
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise UsageError(f"{path} is not the record of such a campaign: {error}") from None
    return found
