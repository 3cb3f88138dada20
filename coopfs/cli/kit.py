"""kit export, kit show: the text that restores everything."""

import os
import sys
from datetime import UTC, datetime
from pathlib import Path

import click

from coopfs import limits
from coopfs.cli import client
from coopfs.cli.params import PATH, Family, home_option
from coopfs.core.identity import Identity
from coopfs.core.kit import Kit, from_text
from coopfs.errors import KitError, UsageError


@click.group(cls=Family)
def kit() -> None:
    """The recovery kit: export it, look at it.

    With the kit and enough partners everything comes back. Keep it away from the machine, and secret.
    """


@kit.command()
@click.argument("file", type=PATH)
@home_option
def export(home: Path, file: Path) -> None:
    """Write this node's recovery kit to FILE.

    FILE must be new; - is standard output.
    With it alone anybody can read the disk and take its place. It can be printed and typed back; each line has its
    checksum.
    """
    text = client.call(home, "kit_export")["text"]
    if str(file) == "-":
        click.echo(text, nl=not text.endswith("\n"))
        return
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(descriptor, "w", encoding="utf-8") as output:
            output.write(text)
            output.flush()
            os.fsync(descriptor)
    except FileExistsError:
        raise UsageError(f"{file} is there already; choose another name or remove it") from None
    except OSError as error:
        raise UsageError(f"{file} cannot be written: {error.strerror}") from error
    click.echo(f"wrote {file}; keep it on paper or on another machine, where only you can read it")


@kit.command()
@click.argument("file", type=PATH)
def show(file: Path) -> None:
    """Check the kit in FILE and say what it is for.

    Its keys are not shown.
    """
    kit = from_text(read_kit(file))
    # rich takes longer to import than most commands take to run
    from coopfs.cli.tables import print_fields

    print_fields(describe(kit))


def describe(kit: Kit) -> list[tuple[str, str]]:
    """(label, value) lines that say what a kit is for; no keys that must stay secret."""
    fields = [("node", kit.name), ("node key", Identity.from_seed(kit.identity).key.hex()), ("made", _date(kit.date))]
    for disk in kit.disks:
        fields.append(("disk", disk.keys.disk.hex()))
        fields.append(("  held when made", _date(disk.floor.date) if disk.floor.date else "nothing"))
    for partner in kit.partners:
        fields.append(("partner", f"{partner.name}  {partner.node.hex()[:12]}  {', '.join(partner.addresses)}"))
    return fields


def _date(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def read_kit(file: Path) -> str:
    """The text of a kit; - is standard input. KitError: it cannot be read, is too long or no text."""
    try:
        if str(file) == "-":
            content = sys.stdin.buffer.read(limits.MAX_KIT + 1)
        else:
            with file.open("rb") as opened:
                content = opened.read(limits.MAX_KIT + 1)
    except OSError as error:
        raise KitError(f"{file} cannot be read: {error.strerror}") from error
    if len(content) > limits.MAX_KIT:
        raise KitError(f"{file} is not a recovery kit: it is larger than any kit")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise KitError(f"{file} is not a recovery kit: line {line} is not text") from error
