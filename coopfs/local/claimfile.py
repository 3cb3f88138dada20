"""The file `claim` of a takeover under way: epoch and claimer, saved before any partner hears of them (design R12)."""

import os
from pathlib import Path

from coopfs.core.claims import CLAIMER, MAX_EPOCH
from coopfs.errors import StateError
from coopfs.local.diskerrors import disk_errors
from coopfs.local.home import sync_directory

NAME = "claim"


def write(directory: Path, epoch: int, claimer: bytes) -> None:
    """Durable on return, whole or not at all, with the directory, which may be new. HomeError: no room, no
    permission."""
    draft = directory / f"{NAME}.new"
    with disk_errors("write the claim", directory):
        with open(draft, "w", encoding="ascii") as file:
            file.write(f"{epoch}\n{claimer.hex()}\n")
            file.flush()
            os.fsync(file.fileno())
        draft.replace(directory / NAME)
        for each in (directory, directory.parent):
            sync_directory(each)


def read(directory: Path) -> tuple[int, bytes] | None:
    """(epoch, claimer) of an earlier try; None: there was none. StateError: damaged."""
    path = directory / NAME
    try:
        epoch_text, claimer_text = path.read_text("ascii").split()
        epoch, claimer = int(epoch_text), bytes.fromhex(claimer_text)
    except FileNotFoundError:
        return None
    except (OSError, ValueError):
        epoch, claimer = 0, b""
    if not 1 <= epoch <= MAX_EPOCH or len(claimer) != CLAIMER:
        raise StateError(f"{path} is damaged: remove {directory} and begin the takeover again")
    return epoch, claimer


def remove(directory: Path) -> None:
    """Before the epoch is written under: whoever finds this file again would use its versions again."""
    with disk_errors("remove the claim", directory):
        (directory / NAME).unlink()
        sync_directory(directory)
