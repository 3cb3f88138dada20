"""HOME/coopfs.toml: everything a user can set for one home, with defaults and units. Documented in coopfs.toml(5).

A wrong file is refused whole, with one line that names the file, the line and the key: a daemon never runs on half of
what was meant.
"""

import difflib
import os
import re
import socket
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from enum import StrEnum
from pathlib import Path
from typing import Any

from coopfs import limits
from coopfs.errors import ConfigError, HomeError, UsageError
from coopfs.schedule import ALWAYS, UNLIMITED, Schedule, Window, constant, parse_when
from coopfs.sizes import parse_size

FILE_NAME = "coopfs.toml"
DEFAULT_PORT = 7530
DEFAULT_LISTEN = f"[::]:{DEFAULT_PORT}"

DEFAULT_SCRUB = 90  # days: 1.4 Mbit/s for 1 TB at 6+2; rot is rare, and must only be found before it meets other rot
DEFAULT_LEVEL = 1  # of zstd: the others cost the front more than they win

_LEVEL = re.compile(r"[1-9]|1[0-9]")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_ADDRESS = re.compile(r"(?:\[(?P<six>[0-9A-Fa-f:.]+)\]|(?P<host>[^\s:/\[\]]+)):(?P<port>[0-9]{1,5})")


class Fsync(StrEnum):
    """What fsync waits for: that data is durable on this machine, or that it is held."""

    LOCAL = "local"
    PARTNERS = "partners"


def _host_name() -> str:
    """This machine's name, as far as it is one that `name` accepts."""
    name = re.sub(r"[^A-Za-z0-9._-]", "-", socket.gethostname())[:64]
    return name if _NAME.fullmatch(name) else "node"


@dataclass(frozen=True, slots=True)
class Compression:
    """How what is written is compressed. level: of zstd, 1 to 19; None: not at all."""

    level: int | None

    def __str__(self) -> str:
        return "off" if self.level is None else f"zstd:{self.level}"


NO_COMPRESSION = Compression(None)


@dataclass(frozen=True, slots=True)
class CacheSize:
    """The most bytes of content on the local disk. None: what suits the disk (app/cache_size)."""

    size: int | None

    def __str__(self) -> str:
        return AUTO if self.size is None else str(self.size)


AUTO = "auto"
AUTO_CACHE = CacheSize(None)


@dataclass(frozen=True, slots=True)
class Config:
    """name: how partners see this node in their lists. listen: HOST:PORT of the daemon, port 0 = any free one.
    advertise: addresses given to partners, HOST:PORT each; empty: derived from listen. relays: at which this node waits
    to be called, HOST:PORT each. upload_limit, download_limit: of
    content, by the hour of the week. cache: bytes of content on the local disk at the most. compress: what is written
    from now on. fsync: what it waits for. scrub_days: in which every block of every partner is looked at, 0: never.
    notify: a program and its arguments, by which the owner is told what cannot wait."""

    name: str = field(default_factory=_host_name)
    listen: str = DEFAULT_LISTEN
    advertise: tuple[str, ...] = ()
    relays: tuple[str, ...] = ()
    upload_limit: Schedule = UNLIMITED
    download_limit: Schedule = UNLIMITED
    cache: CacheSize = AUTO_CACHE
    compress: Compression = NO_COMPRESSION
    fsync: Fsync = Fsync.LOCAL
    scrub_days: int = DEFAULT_SCRUB
    notify: tuple[str, ...] = ()


def parse_address(text: str) -> tuple[str, int]:
    """`HOST:PORT` or `[IPV6]:PORT` as (host, port). UsageError: it is neither."""
    match = _ADDRESS.fullmatch(text)
    if match is None or int(match["port"]) > 65535 or len(text) > limits.MAX_TEXT:
        raise UsageError(f"{text!r} is not an address; write HOST:PORT or [IPV6]:PORT")
    return match["six"] or match["host"], int(match["port"])


def parse_cache(text: str) -> CacheSize:
    """`auto` or a size. UsageError: it is neither."""
    return AUTO_CACHE if text == AUTO else CacheSize(parse_size(text))


def parse_compression(text: str) -> Compression:
    """`off`, `zstd` or `zstd:LEVEL`. UsageError: it is none of these."""
    kind, colon, level = text.partition(":")
    if text == "off":
        return NO_COMPRESSION
    if kind != "zstd" or (colon and not _LEVEL.fullmatch(level)):
        raise UsageError(f"{text!r} is no way of compressing; write off, zstd, or zstd:1 to zstd:19")
    return Compression(int(level or DEFAULT_LEVEL))


def check_name(text: str) -> str:
    """The name itself. UsageError: not 1 to 64 letters, digits, dots, dashes and underscores."""
    if not _NAME.fullmatch(text):
        raise UsageError(f"{text!r} is not a name; use up to 64 letters, digits, dots, dashes and underscores")
    return text


def parse_fsync(text: str) -> Fsync:
    """UsageError: there is no such setting."""
    try:
        return Fsync(text)
    except ValueError:
        raise UsageError(f"{text!r} is no setting of fsync; use local or partners") from None


def load(home: Path) -> Config:
    """The configuration of this home. HomeError: there is no such file; ConfigError: it is wrong."""
    path = home / FILE_NAME
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise HomeError(
            f"{home} is not a home: it has no {FILE_NAME} (make one with: coopfs --home {home} init)"
        ) from None
    except OSError as error:
        raise HomeError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not UTF-8 text (byte {error.start})") from error
    return parse(text, str(path))


def parse(text: str, source: str) -> Config:
    """Config from the text of a file; source is how messages call that file. ConfigError names key and line."""
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{source}: {error}") from error
    for key in table:
        if key not in _READERS:
            raise ConfigError(f"{_place(text, source, key)}: unknown key {key!r}{_suggestion(key)}")
    values: dict[str, Any] = {}
    for key, value in table.items():
        try:
            values[key] = _READERS[key](value)
        except UsageError as error:
            raise ConfigError(f"{_place(text, source, key)}: {key}: {error}") from error
    return Config(**values)


def _place(text: str, source: str, key: str) -> str:
    """`FILE, line N` where the key or table of this name stands; tomllib does not tell, so look for it."""
    quoted = re.escape(key)
    pattern = re.compile(rf"\s*(?:\[+\s*)?[\"']?{quoted}[\"']?\s*[=.\]]")
    for number, line in enumerate(text.splitlines(), 1):
        if pattern.match(line):
            return f"{source}, line {number}"
    return source


def _suggestion(key: str) -> str:
    near = difflib.get_close_matches(key, _READERS, n=1)
    return f", did you mean {near[0]!r}?" if near else f" (there are: {', '.join(_READERS)})"


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise UsageError(f"must be text in quotes, not {_toml_type(value)}")
    return value


def _read_name(value: object) -> str:
    return check_name(_text(value))


def _read_listen(value: object) -> str:
    text = _text(value)
    parse_address(text)
    return text


def _read_advertise(value: object) -> tuple[str, ...]:
    return _read_addresses(value, limits.MAX_ADDRESSES)


def _read_relays(value: object) -> tuple[str, ...]:
    return _read_addresses(value, limits.MAX_RELAYS)


def _read_addresses(value: object, most: int) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise UsageError(
            f'must be a list of addresses, not {_toml_type(value)}, for example ["backup.example.org:7530"]'
        )
    if len(value) > most:
        raise UsageError(f"has {len(value)} addresses, {most} are possible")
    for entry in value:
        if parse_address(_text(entry))[1] == 0:
            raise UsageError(f"{entry!r} has port 0, which nobody can dial")
    return tuple(value)


def _read_limit(value: object) -> Schedule:
    """One rate, or a list of tables with `when` and `rate`."""
    if not isinstance(value, list):
        return constant(_read_rate(value))
    if len(value) > limits.MAX_SCHEDULE:
        raise UsageError(f"has {len(value)} entries, {limits.MAX_SCHEDULE} are possible")
    return Schedule(tuple(map(_read_entry, value)))


def _read_entry(entry: object) -> tuple[Window, int]:
    if not isinstance(entry, dict):
        raise UsageError(
            f'must have entries such as {{ when = "mon-fri 08:00-18:00", rate = "500K" }}, not {_toml_type(entry)}'
        )
    for key in entry:
        if key not in ("when", "rate"):
            raise UsageError(f"an entry has when and rate, not {key!r} (other keys stand before [[...]])")
    if "rate" not in entry:
        raise UsageError("an entry lacks its rate")
    return parse_when(_text(entry["when"])) if "when" in entry else ALWAYS, _read_rate(entry["rate"])


def _read_rate(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise UsageError(f'must be bytes per second, a number or text like "2M", not {_toml_type(value)}')
    return parse_size(str(value))


def _read_cache(value: object) -> CacheSize:
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise UsageError(f'must be bytes, a number or text like "10G", or "auto", not {_toml_type(value)}')
    return parse_cache(str(value))


def _read_compression(value: object) -> Compression:
    return parse_compression(_text(value))


def _read_fsync(value: object) -> Fsync:
    return parse_fsync(_text(value))


def _read_days(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise UsageError(f"must be a number of days without quotes, not {_toml_type(value)}")
    if not 0 <= value <= limits.SCRUB_DAYS_MAX:
        raise UsageError(f"must be 1 to {limits.SCRUB_DAYS_MAX} days, or 0 for never")
    return value


def _read_command(value: object) -> tuple[str, ...]:
    example = 'for example ["mail", "-s", "coopfs", "me@example.org"]'
    if not isinstance(value, list):
        raise UsageError(f"must be a list of a program and its arguments, not {_toml_type(value)}, {example}")
    if len(value) > limits.MAX_COMMAND:
        raise UsageError(f"has {len(value)} words, {limits.MAX_COMMAND} are possible")
    words = tuple(map(_text, value))
    if (words and not words[0]) or any("\0" in word for word in words):
        raise UsageError(f"must be a program and its arguments, {example}")
    return words


def _toml_type(value: object) -> str:
    names: dict[type, str] = {
        bool: "true or false",
        int: "a number",
        float: "a number",
        str: "text",
        list: "a list",
        dict: "a table",
    }
    return names.get(type(value), "a date or time")


_READERS: dict[str, Callable[[object], Any]] = {
    "name": _read_name,
    "listen": _read_listen,
    "advertise": _read_advertise,
    "relays": _read_relays,
    "upload_limit": _read_limit,
    "download_limit": _read_limit,
    "cache": _read_cache,
    "compress": _read_compression,
    "fsync": _read_fsync,
    "scrub_days": _read_days,
    "notify": _read_command,
}
assert set(_READERS) == {entry.name for entry in fields(Config)}


def default_text(config: Config) -> str:
    """The commented file that `coopfs init` writes; reading it gives this config again, less limits and sizes."""
    advertise = ", ".join(f'"{address}"' for address in config.advertise)
    relays = ", ".join(f'"{address}"' for address in config.relays)
    return f"""\
# Configuration of this coopfs home; see coopfs.toml(5). Read when the daemon starts.

# How your partners see this node in their lists: letters, digits, dots, dashes, underscores.
name = "{config.name}"

# Where the daemon listens for partners: HOST:PORT, or [::]:PORT for every address of this machine.
listen = "{config.listen}"

# Addresses under which partners can reach this node, for example ["backup.example.org:7530"].
# Empty: this machine's own addresses. Behind a router, name the router's and forward the port.
advertise = [{advertise}]

# Relays at which partners reach this node when they cannot reach it directly, as where no port can be forwarded; for
# example ["relay.example.org:7531"], see coopfs-relay(8).
relays = [{relays}]

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
"""


def write_default(home: Path, config: Config) -> None:
    """Make the directory of a new home and write the commented file, whole or not at all; the very same one that an
    `init` which was cut short has left is fine. HomeError: there is another one already, or it cannot be written."""
    path, text = home / FILE_NAME, default_text(config)
    draft = path.with_suffix(".new")
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            draft.write_text(text, encoding="utf-8")
            os.link(draft, path)
        except FileExistsError:
            if path.read_bytes() != text.encode():
                raise HomeError(f"{path} is there already; remove it, or choose another --home") from None
        finally:
            draft.unlink(missing_ok=True)
    except OSError as error:
        raise HomeError(f"{path} cannot be written: {error.strerror}") from error
