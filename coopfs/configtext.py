"""The commented coopfs.toml of a new home."""

import json
import os
from collections.abc import Sequence
from pathlib import Path

from coopfs.config import FILE_NAME, Config
from coopfs.errors import HomeError
from coopfs.sizes import format_size, parse_size


def default_text(config: Config) -> str:
    """The commented file that `coopfs init` writes; reading it gives this config again, less limits and sizes."""
    return f"""\
# Configuration of this coopfs home; see coopfs.toml(5). Read when the daemon starts.

# How your partners see this node in their lists: letters, digits, dots, dashes, underscores.
name = "{config.name}"

# Where the daemon listens for partners: HOST:PORT, or [::]:PORT for every address of this machine.
listen = "{config.listen}"

# Addresses under which partners can reach this node, for example ["backup.example.org:7530"].
# Empty: this machine's own addresses. Behind a router, name the router's and forward the port.
advertise = {_list(config.advertise)}

# Relays at which partners reach this node when they cannot reach it directly, as where no port can be forwarded; for
# example ["relay.example.org:7531"], see coopfs-relay(8).
relays = {_list(config.relays)}

# Most bytes per second of content sent to all partners together, and received: a number, or text like "2M".
# 0: no limit. It may depend on the hour of the week; see coopfs.toml(5).
upload_limit = 0
download_limit = 0

# Most bytes of file content on this machine's disk, whether safe with partners or still on the way to them.
# What is safe goes first when room is needed, and is fetched back when it is read.
# "auto": 10G; on a disk without redundancy, whose content never leaves this machine, all that there is room for.
cache = "auto"

# Whether what is written from now on is compressed: "off", "zstd", or "zstd:1" (fast) to "zstd:19" (small).
# What does not shrink is stored as it is.
compress = "off"

# What fsync waits for. "local": that data is safe on this machine's disk. "partners": that it would also survive the
# loss of this machine, which takes as long as your link and your partners need, or until enough of them are back.
fsync = "local"

# Days in which every block that partners store is fetched once and looked at, so that rot which nobody meets is found
# and repaired. 0: never. It downloads all that they store in that time: 1.4 Mbit/s for 1 TB at 6+2 in 90 days.
scrub_days = {config.scrub_days}

# A command that tells you what cannot wait, such as that this machine is about to break its promise to be up, for
# example ["mail", "-s", "coopfs", "me@example.org"]. It gets the text on standard input. Empty: only status, the log,
# and the desktop's notifications tell.
notify = []

# What this node promises its partners, and asks of those it finds by itself: up for "50%", "75%", "90%", "95%" or
# "99%" of the time, or at hours of the week: "mon-fri 08-18 Europe/Paris".
uptime = "{config.uptime}"

# Finding partners by itself, through matching servers such as ["https://match.example.org"]; see coopfs.toml(5).
# Without servers, partners are only those who exchange codes with you.
match_servers = {_list(config.match_servers)}

# What is swapped with each of them, rounded down to a power of two, and how many partners there shall be in all: so
# much of this machine's disk is given away. 0 partners: none that you do not know.
match_size = "{_size(config.match_size)}"
match_partners = {config.match_partners}

# Whether a node that finds nobody free may become your partner and a partner's, in between the two of you. Nobody has
# less for it; see coopfs-match(8) for what the matching servers learn.
match_between = {str(config.match_between).lower()}

# Where this machine stands, for example "Paris 14e": nobody at the same site becomes a partner.
site = {_text(config.site)}

# Sites and node keys that you do not want as partners, for example ["Berlin office"].
match_avoid = {_list(config.match_avoid)}
{_TOGETHER if config.match_together else ""}"""


_TOGETHER = """
# Nodes at the same site or in the same subnet become partners too. For tests: one fire takes both.
match_together = true
"""


def _list(texts: Sequence[str]) -> str:
    return f"[{', '.join(map(_text, texts))}]"


def _text(text: str) -> str:
    """In quotes; JSON's escapes are TOML's."""
    return json.dumps(text, ensure_ascii=False)


def _size(size: int) -> str:
    """Bytes, in a larger unit if that says the same."""
    words = format_size(size)
    return words if parse_size(words) == size else str(size)


def write_default(home: Path, config: Config) -> None:
    """Make the directory of a new home and write the commented file, whole or not at all; the very same one that an
    `init` which was cut short has left is fine. Its content is durable on return, its name with the home's others.
    HomeError: there is another one already, or it cannot be written."""
    path, text = home / FILE_NAME, default_text(config)
    draft = path.with_suffix(".new")
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            with draft.open("w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            os.link(draft, path)
        except FileExistsError:
            if path.read_bytes() != text.encode():
                raise HomeError(f"{path} is there already; remove it, or choose another --home") from None
        finally:
            draft.unlink(missing_ok=True)
    except OSError as error:
        raise HomeError(f"{path} cannot be written: {error.strerror}") from error
