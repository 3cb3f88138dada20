"""restore mount, restore copy: everything back from the kit and the partners alone."""

import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from coopfs.cli import detach, entry, progress
from coopfs.cli.kit import read_kit
from coopfs.cli.params import PATH, SIZE, Family
from coopfs.cli.passphrase import open_text, passphrase_file_option
from coopfs.config import parse_address

if TYPE_CHECKING:
    from coopfs.app.recovery.dialogue import Dialogue

accept_older_option = click.option(
    "--accept-older", is_flag=True, help="Take the newest state found even if a newer one may have been held."
)
download_limit_option = click.option(
    "--download-limit",
    type=SIZE,
    default=0,
    metavar="SIZE",
    help="Most bytes per second of content [default: no limit].",
)
calls_option = click.option(
    "--listen", metavar="HOST:PORT", help="Wait here, up to 5 minutes, for partners that can only call, not be called."
)


@click.group(cls=Family)
def restore() -> None:
    """Everything back from the kit and the partners.

    Works on any machine and needs nothing else of the lost one.
    """


@restore.command("mount")
@click.argument("kit", type=PATH)
@click.argument("mountpoint", type=PATH)
@accept_older_option
@download_limit_option
@calls_option
@passphrase_file_option
@click.option("--foreground", is_flag=True, help="Stay in the foreground until it is unmounted; messages go to stderr.")
@click.option(
    "--log", type=PATH, metavar="FILE", help="Where messages go once it is in the background [default: nowhere]."
)
@click.option("--ready-fd", type=int, hidden=True)
def restore_mount(
    kit: Path,
    mountpoint: Path,
    accept_older: bool,
    download_limit: int,
    listen: str | None,
    passphrase_file: Path | None,
    foreground: bool,
    log: Path | None,
    ready_fd: int | None,
) -> None:
    """Mount a read-only view of the newest state of KIT's disk at MOUNTPOINT; returns when it can be used.

    Its date is always printed. If too few partners answer to exclude a newer state, it asks; away from a terminal it
    exits with 9.
    """
    if not foreground:
        options = ["--accept-older"] * accept_older + ([f"--log={log}"] if log else [])
        options.append(f"--download-limit={download_limit}")
        options += [f"--listen={listen}"] if listen else []
        options += [f"--passphrase-file={passphrase_file}"] if passphrase_file else []
        click.get_current_context().exit(detach.restore_view([*options, "--", str(kit), str(mountpoint)]))
    taken = open_text(read_kit(kit), passphrase_file)
    output = detach.open_log(log)
    with progress.show() as watch:

        def ready() -> None:
            watch.pause()
            if ready_fd is not None:
                detach.leave_terminal(ready_fd, output)

        entry.restore_mount(taken, mountpoint.absolute(), talk(watch, accept_older, download_limit, listen), ready)


@restore.command("copy")
@click.argument("kit", type=PATH)
@click.argument("directory", type=PATH)
@accept_older_option
@download_limit_option
@calls_option
@passphrase_file_option
def restore_copy(
    kit: Path,
    directory: Path,
    accept_older: bool,
    download_limit: int,
    listen: str | None,
    passphrase_file: Path | None,
) -> None:
    """Write the newest state of KIT's disk into DIRECTORY, which must be empty or not exist."""
    taken = open_text(read_kit(kit), passphrase_file)
    with progress.show() as watch:
        entry.restore_copy(taken, directory.absolute(), talk(watch, accept_older, download_limit, listen))


def talk(watch: progress.Shown, accept_older: bool, download_limit: int, listen: str | None) -> "Dialogue":
    """The dialogue on this terminal. UsageError: nobody can listen there."""
    if listen is not None:
        parse_address(listen)
    return entry.dialogue(
        accept_older=accept_older,
        download_limit=download_limit,
        ask=partial(ask, watch),
        say=say,
        watch=watch,
        listen=listen,
    )


def ask(watch: progress.Shown, question: str) -> bool:
    """Print the question and wait for yes or no; where nobody can answer, it is no."""
    watch.pause()
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        say(question)
        return False
    return click.confirm(question, err=True)


def say(line: str) -> None:
    """Restores speak on stderr: their only result is the tree."""
    print(line, file=sys.stderr, flush=True)
