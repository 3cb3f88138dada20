"""kit export, kit show: the text that restores everything."""

import json
import os
import secrets
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click

from coopfs import limits
from coopfs.cli import client, passphrase
from coopfs.cli.params import PATH, Family, exclusive, home_option
from coopfs.cli.passphrase import passphrase_file_option
from coopfs.core.identity import Identity
from coopfs.core.kit import Kit, from_text, to_sealed_text
from coopfs.core.kitseal import SALT, Cost
from coopfs.errors import KitError, UsageError
from coopfs.local.home import sync_directory


@click.group(cls=Family)
def kit() -> None:
    """The recovery kit: export it, look at it.

    With the kit and enough partners everything comes back. Keep it away from the machine, and secret.
    """


@kit.command()
@click.argument("file", type=PATH)
@click.option("--qr", is_flag=True, help="Write FILE.html too: a page to print, with QR codes.")
@click.option("--passphrase", "ask", is_flag=True, help="Seal the kit with a passphrase, which is asked for twice.")
@passphrase_file_option
@click.option("--read-only", is_flag=True, help="Make a kit that can read the disk, but neither change nor take it.")
@click.option("--until", type=click.DateTime(["%Y-%m-%d"]), metavar="YYYY-MM-DD", help="Last day of a read-only kit.")
@home_option
def export(
    home: Path,
    file: Path,
    qr: bool,
    ask: bool,
    passphrase_file: Path | None,
    read_only: bool,
    until: datetime | None,
) -> None:
    """Write this node's recovery kit to FILE.

    FILE must be new; - is standard output.
    With it alone anybody can read the disk and take its place, unless it has a passphrase. It can be printed and typed
    back; each line has its checksum.
    """
    exclusive(passphrase=ask, passphrase_file=passphrase_file is not None)
    if qr and str(file) == "-":
        raise UsageError("--qr needs a FILE, beside which the page goes")
    if until is not None and not read_only:
        raise UsageError("--until is for --read-only kits")
    phrase = passphrase.choose() if ask else passphrase.read_file(passphrase_file) if passphrase_file else None
    end = None if until is None else int((until + timedelta(days=1)).timestamp())
    if end is not None and end <= time.time():
        raise UsageError("--until is a day that is over")
    answer = client.call(home, "kit_export", {"read_only": read_only, "until": end})
    text = answer["text"]
    if phrase is not None:
        text = _sealed(text, phrase)
    if str(file) == "-":
        click.echo(text, nl=not text.endswith("\n"))
        _say_written(home, answer)
        return
    contents = {file: text}
    if qr:
        # segno is of use nowhere else
        from coopfs.cli.kitpage import page

        contents[file.with_name(file.name + ".html")] = page(text)
    _write_new(contents)
    _say_written(home, answer)
    names = " and ".join(map(str, contents))
    click.echo(f"wrote {names}; keep it on paper or on another machine, where only you can read it")
    if read_only:
        click.echo(_who_knows(answer))


def _say_written(home: Path, answer: dict[str, Any]) -> None:
    """The node may rely on whom the kit names, and seal with its newest key: before, a fault here would have lost what
    it does so."""
    if "key" in answer:
        client.call(home, "kit_written", {"key": answer["key"], "date": answer["date"]})


def _who_knows(answer: dict[str, Any]) -> str:
    rest = "" if answer["told"] == answer["partners"] else "; the others are told when they are reached"
    return f"{answer['told']} of {answer['partners']} partners know it{rest}"


def _sealed(text: str, phrase: str) -> str:
    kit = from_text(text)
    assert isinstance(kit, Kit)
    return to_sealed_text(kit, time.strftime("%Y-%m-%d"), phrase, secrets.token_bytes(SALT), Cost())


def _write_new(contents: Mapping[Path, str]) -> None:
    """All of these files, or none. UsageError: one is there already, or cannot be written."""
    made: list[Path] = []
    try:
        for file, content in contents.items():
            descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            made.append(file)
            with open(descriptor, "w", encoding="utf-8") as output:
                output.write(content)
                output.flush()
                os.fsync(descriptor)
            with suppress(OSError):  # CIFS, for one, cannot
                sync_directory(file.parent)
    except OSError as error:
        for done in made:
            done.unlink()
        if isinstance(error, FileExistsError):
            raise UsageError(f"{file} is there already; choose another name or remove it") from None
        raise UsageError(f"{file} cannot be written: {error.strerror}") from error


@kit.command()
@click.argument("file", type=PATH)
@passphrase_file_option
def show(file: Path, passphrase_file: Path | None) -> None:
    """Check the kit in FILE and say what it is for.

    Its keys are not shown.
    """
    kit = passphrase.open_text(read_kit(file), passphrase_file)
    # rich takes longer to import than most commands take to run
    from coopfs.cli.tables import print_fields

    print_fields(describe(kit))


@kit.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
@home_option
def readers(home: Path, as_json: bool) -> None:
    """The read-only kits that are in force, by the key of their reader."""
    found = client.call(home, "kit_readers")["readers"]
    if as_json:
        click.echo(json.dumps(found, indent=2))
        return
    # rich takes longer to import than most commands take to run
    from coopfs.cli.tables import print_readers

    print_readers(found)


@kit.command()
@click.argument("reader")
@home_option
def revoke(home: Path, reader: str) -> None:
    """Take a read-only kit back: partners let its READER in no more.

    READER is the beginning of the key that `coopfs kit readers` and `coopfs kit show` print.
    """
    click.echo(_who_knows(client.call(home, "kit_revoke", {"reader": reader})))


def describe(kit: Kit) -> list[tuple[str, str]]:
    """(label, value) lines that say what a kit is for; no keys that must stay secret."""
    fields = [("node", kit.name), ("made", _date(kit.date))]
    key = Identity.from_seed(kit.identity).key.hex()
    fields += [("may", "read only"), ("reader", key)] if kit.read_only else [("may", "everything"), ("node key", key)]
    for disk in kit.disks:
        fields.append(("disk", disk.keys.disk.hex()))
        fields.append(("  keys", ", ".join(str(key.id) for key in disk.keys.secrets)))
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
