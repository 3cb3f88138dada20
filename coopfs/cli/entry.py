"""The calls into `coopfs.app`, imported when needed: help and control calls stay quick, and the seam lies in one
place."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from coopfs.cli.client import Watch
from coopfs.config import Config
from coopfs.core.allowance import Allowance
from coopfs.core.kit import Kit

if TYPE_CHECKING:
    from coopfs.app.recovery.dialogue import Dialogue
    from coopfs.match.settings import Settings

Ask = Callable[[str], bool]  # a question to the user; False also where there is nobody to ask
Say = Callable[[str], None]  # one line for the user


def serve(home: Path) -> None:
    """Run the daemon of this home until it is told to stop."""
    from coopfs.app import serve as run

    run(home)


def serve_relay(listen: str, allowance: Allowance) -> None:
    """Run a relay until it is told to stop."""
    from coopfs.app import serve_relay as run

    run(listen, allowance)


def dialogue(
    *, accept_older: bool, download_limit: int, ask: Ask, say: Say, watch: Watch, listen: str | None
) -> "Dialogue":
    """What the user of a restore wants, and how to speak with them."""
    from coopfs.app.recovery.dialogue import Dialogue

    return Dialogue(accept_older, download_limit, ask, say, watch, listen)


def restore_mount(kit: Kit, mountpoint: Path, talk: "Dialogue", ready: Callable[[], None]) -> None:
    """Mount the restore view and serve it until it is unmounted; ready is called once, when the mount answers."""
    from coopfs.app import restore_mount as run

    run(kit, mountpoint, talk, ready)


def restore_copy(kit: Kit, directory: Path, talk: "Dialogue") -> None:
    """Write the whole tree into a directory that is empty or does not exist."""
    from coopfs.app import restore_copy as run

    run(kit, directory, talk)


def take_over(home: Path, kit: Kit, chosen: Config, anew: bool, talk: "Dialogue") -> None:
    """Make this machine the node of the kit."""
    from coopfs.app import take_over as run

    run(home, kit, chosen, anew, talk)


def match_serve(settings: "Settings", say: Say) -> None:
    """Run a matching server until it is told to stop."""
    import trio

    from coopfs.match.serve import run_server

    def ready(addresses: Sequence[str]) -> None:
        for address in addresses:
            say(f"the matching server serves at {address}")

    trio.run(run_server, settings, ready)
