"""The recovery kit of a node that was made for a demonstration."""

from pathlib import Path

from coopfs.cli import client


def export_kit(home: Path, file: Path) -> None:
    """To this file, which the node is told of."""
    made = client.call(home, "kit_export")
    file.write_text(made["text"], encoding="utf-8")
    client.call(home, "kit_written", {"key": made["key"], "date": made["date"]})
