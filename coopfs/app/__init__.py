"""The composition root: puts the layers together for a daemon, and for a restore. One nursery, one shutdown order."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import trio

from coopfs.app.allocator import bound_arenas
from coopfs.app.recovery.dialogue import Dialogue
from coopfs.config import Config
from coopfs.core.allowance import Allowance
from coopfs.core.kit import Kit
from coopfs.errors import CoopfsError, first_of


def serve(home: Path) -> None:
    """Run the daemon of this home until it is told to stop. HomeError, ConfigError, UsageError, StateError."""
    from coopfs.app.running import run_node

    _run(run_node, home)


def serve_relay(listen: str, allowance: Allowance) -> None:
    """Run a relay until it is told to stop. UsageError."""
    from coopfs.app.relaying import run_relay

    _run(run_relay, listen, allowance)


def restore_mount(kit: Kit, mountpoint: Path, talk: Dialogue, ready: Callable[[], None]) -> None:
    """Mount the newest state of the kit's disk, read only, and serve it until it is unmounted.

    ready: called once, when the mount answers. NotRestorable, MountError, UsageError.
    """
    from coopfs.app.recovery.restoring import mount_view

    _run(mount_view, kit, mountpoint, talk, ready)


def restore_copy(kit: Kit, directory: Path, talk: Dialogue) -> None:
    """Write the whole tree of the newest state into a directory that is empty or does not exist.

    NotRestorable, UsageError, ContentUnavailable.
    """
    from coopfs.app.recovery.restoring import copy_out

    _run(copy_out, kit, directory, talk)


def take_over(home: Path, kit: Kit, chosen: Config, anew: bool, talk: Dialogue) -> None:
    """Make this machine the node of the kit, in a home that is made if it is not there.

    chosen: the configuration of a new home; anew: even if this home has taken the disk over, and could not make safe
    what it found. NotRestorable, UsageError, HomeError.
    """
    from coopfs.app.recovery.takeover import take_over as run

    _run(run, home, kit, chosen, anew, talk)


def _run(work: Callable[..., Awaitable[None]], *arguments: Any) -> None:
    """trio.run; of a group of errors the first that a user can act on is raised alone."""
    bound_arenas()
    try:
        trio.run(work, *arguments)
    except BaseExceptionGroup as group:
        known = group.subgroup(CoopfsError)
        if known is None or group.split(CoopfsError)[1] is not None:
            raise  # a bug is in it: it keeps its traceback
        raise first_of(known) from None
