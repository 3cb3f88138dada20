"""Passphrases of kits: chosen, typed, or read from a file, and the kit that they open."""

import sys
from pathlib import Path

import click

from coopfs import limits
from coopfs.core.kit import Kit, from_text, open_kit
from coopfs.core.kitseal import SealedKit, check_passphrase
from coopfs.errors import KitError, UsageError

passphrase_file_option = click.option(
    "--passphrase-file",
    type=click.Path(path_type=Path),
    metavar="F",
    help="Read the kit's passphrase from the first line of F.",
)


def choose() -> str:
    """A new passphrase, typed twice. UsageError: nobody to ask, or it cannot be one."""
    if not _has_terminal():
        raise UsageError("there is no terminal to ask for the passphrase on: give it with --passphrase-file")
    typed = click.prompt("Passphrase for the kit", hide_input=True, confirmation_prompt=True, err=True)
    return check_passphrase(typed)


def read_file(file: Path) -> str:
    """The first line of a file. UsageError: it cannot be read, or cannot be a passphrase."""
    try:
        with file.open("rb") as opened:
            line = opened.readline(limits.MAX_PASSPHRASE + 3)
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror}") from error
    try:
        return check_passphrase(line.decode("utf-8").rstrip("\r\n"))
    except UnicodeDecodeError:
        raise UsageError(f"the passphrase in {file} is not UTF-8 text") from None


def open_text(text: str, passphrase_file: Path | None) -> Kit:
    """The kit of a text, asking for its passphrase if it has one. KitError: damaged, mistyped, another passphrase."""
    kit = from_text(text)
    if not isinstance(kit, SealedKit):
        return kit
    if passphrase_file is not None:
        return open_kit(kit, read_file(passphrase_file))
    if not _has_terminal():
        raise KitError("this kit is sealed with a passphrase: give it with --passphrase-file")
    return open_kit(kit, click.prompt("Passphrase of the kit", hide_input=True, err=True))


def _has_terminal() -> bool:
    return sys.stdin.isatty() and sys.stderr.isatty()
