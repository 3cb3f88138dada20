"""The calls into `coopfs.app`, imported when needed: help and control calls stay quick, and the seam lies in one
place."""

from collections.abc import Callable
from pathlib import Path

from coopfs.cli.client import Watch

Ask = Callable[[str], bool]  # a question to the user; False also where there is nobody to ask
Say = Callable[[str], None]  # one line for the user


def serve(home: Path) -> None:
    """Run the daemon of this home until it is told to stop."""
    from coopfs.app import serve as run

    run(home)


def restore_mount(
    text: str, mountpoint: Path, *, accept_older: bool, ask: Ask, say: Say, watch: Watch, ready: Callable[[], None]
) -> None:
    """Mount the restore view and serve it until it is unmounted; ready is called once, when the mount answers."""
    from coopfs.app import restore_mount as run

    run(text, mountpoint, accept_older=accept_older, ask=ask, say=say, watch=watch, ready=ready)


def restore_copy(text: str, directory: Path, *, accept_older: bool, ask: Ask, say: Say, watch: Watch) -> None:
    """Write the whole tree into a directory that is empty or does not exist."""
    from coopfs.app import restore_copy as run

    run(text, directory, accept_older=accept_older, ask=ask, say=say, watch=watch)
