"""The lines of a campaign, one JSON object each, so that a campaign which was stopped goes on."""

import json
from pathlib import Path
from types import TracebackType

from campaignlib.subject import Line, Subject
from coopfs.errors import UsageError


class Record:
    """path: None keeps nothing. UsageError: it cannot be read, or is something else."""

    def __init__(self, path: Path | None) -> None:
        self.lines = _read(path) if path is not None and path.exists() else []
        try:
            self._file = None if path is None else path.open("a", encoding="utf-8")
        except OSError as error:
            raise UsageError(f"cannot write {path}: {error.strerror}") from None

    def __enter__(self) -> "Record":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()

    @property
    def done(self) -> frozenset[Subject]:
        return frozenset(line.subject for line in self.lines)

    def add(self, line: Line) -> None:
        """At once: what was lived is not lived again."""
        self.lines.append(line)
        if self._file is not None:
            self._file.write(json.dumps(line.as_json()) + "\n")
            self._file.flush()


def _read(path: Path) -> list[Line]:
    try:
        written = path.read_text(encoding="utf-8")
        whole = written[: written.rfind("\n") + 1]  # a line that was being written when it was stopped
        if whole != written:
            path.write_text(whole, encoding="utf-8")
        found = [json.loads(text) for text in whole.splitlines()]
        return [Line(**(each | {"subject": Subject(**each["subject"])})) for each in found]
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise UsageError(f"{path} is not the record of a campaign: {error}") from None
