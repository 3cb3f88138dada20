"""HOME/coopfs.toml: everything a user can set for one home, with defaults and units. Documented in coopfs.toml(5).

A wrong file is refused whole, with one line that names the file, the line and the key: a daemon never runs on half of
what was meant.
"""

import difflib
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
from coopfs.levels import Share, Uptime, parse_uptime, storage_level
from coopfs.schedule import ALWAYS, UNLIMITED, Schedule, Window, constant, parse_when
from coopfs.sizes import parse_size
from coopfs.zones import check_zone

FILE_NAME = "coopfs.toml"
DEFAULT_PORT = 7530
DEFAULT_LISTEN = f"[::]:{DEFAULT_PORT}"

DEFAULT_SCRUB = 90  # days: 1.4 Mbit/s for 1 TB at 6+2; rot is rare, and must only be found before it meets other rot
DEFAULT_UPTIME = Share(95)  # a machine that is left on, with a day and a half a month for updates and power cuts
DEFAULT_MATCH_SIZE = 64 * 1024 * limits.MIB  # bytes: with eight partners half a terabyte of a disk
DEFAULT_LEVEL = 1  # of zstd: the others cost the front more than they win

_LEVEL = re.compile(r"[1-9]|1[0-9]")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_SERVER = re.compile(r"https?://[^\s/?#]+(?:/[^\s?#]*)?")
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
    """The most bytes of content on the local disk. None: what suits the disk (app/disk/cache_size)."""

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
    notify: a program and its arguments, by which the owner is told what cannot wait.
    site: where the node stands, in its owner's words. uptime: what it promises and asks of partners. match_*: servers
    (URLs) through which it finds partners; bytes that it swaps with each; how many partners it wants in all; sites and
    node keys that it does not want; whether neighbours may be partners, for tests; whether others may step between this
    node and a partner. resize_up_to: bytes each way up to which its owner agrees to what partners ask for."""

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
    site: str = ""
    uptime: Uptime = DEFAULT_UPTIME
    match_servers: tuple[str, ...] = ()
    match_size: int = DEFAULT_MATCH_SIZE
    match_partners: int = 0
    match_avoid: tuple[str, ...] = ()
    match_between: bool = True
    match_together: bool = False
    resize_up_to: int = 0


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
        raise ConfigError(f"{source}{_twice(text) or f': {error}'}") from error
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


def _twice(text: str) -> str:
    """What to say of a key that is set in two lines, which tomllib does not name: who adds a line to the file that
    `init` wrote finds out. Empty: there is none."""
    lines: dict[str, int] = {}
    for number, line in enumerate(text.splitlines(), 1):
        key = line.partition("=")[0].strip()
        if line.lstrip().startswith("["):  # a table has keys of its own
            break
        if key in _READERS and lines.setdefault(key, number) != number:
            return f", line {number}: {key} is set in line {lines[key]} already: remove one of the two"
    return ""


def _suggestion(key: str) -> str:
    near = difflib.get_close_matches(key, _READERS, n=1)
    return f", did you mean {near[0]!r}?" if near else f" (there are: {', '.join(_READERS)})"


def _listed(value: object, most: int, what: str, example: str) -> tuple[str, ...]:
    """At most so many texts."""
    if not isinstance(value, list):
        raise UsageError(f"must be a list of {what}, not {_toml_type(value)}, for example [{example}]")
    if len(value) > most:
        raise UsageError(f"has {len(value)} {what}, {most} are possible")
    return tuple(map(_text, value))


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
    addresses = _listed(value, most, "addresses", '"backup.example.org:7530"')
    for address in addresses:
        if parse_address(address)[1] == 0:
            raise UsageError(f"{address!r} has port 0, which nobody can dial")
    return addresses


def _read_servers(value: object) -> tuple[str, ...]:
    servers = _listed(value, limits.MATCH_SERVERS, "servers", '"https://match.example.org"')
    for server in servers:
        if not _SERVER.fullmatch(server):
            raise UsageError(
                f'{server!r} is not the address of a server; write for example "https://match.example.org"'
            )
    return servers


def _read_avoid(value: object) -> tuple[str, ...]:
    return _listed(value, limits.MATCH_SITES, "sites and keys", '"Berlin office"')


def _read_site(value: object) -> str:
    text = _text(value)
    if len(text) > limits.MAX_SITE or not text.isprintable():
        raise UsageError(f"must be up to {limits.MAX_SITE} printable letters")
    return text


def _read_uptime(value: object) -> Uptime:
    return check_zone(parse_uptime(_text(value)))


def _read_bytes(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise UsageError(f'must be bytes, a number or text like "100G", not {_toml_type(value)}')
    return parse_size(str(value))


def _read_size(value: object) -> int:
    size = _read_bytes(value)
    storage_level(size)
    return size


def _read_wanted(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= limits.MAX_WANTED:
        raise UsageError(f"must be a whole number of partners, 0 to {limits.MAX_WANTED}, without quotes")
    return value


def _read_truth(value: object) -> bool:
    if not isinstance(value, bool):
        raise UsageError(f"must be true or false without quotes, not {_toml_type(value)}")
    return value


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
        raise UsageError(f"must be a whole number of days without quotes, not {_toml_type(value)}")
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
        float: "a fraction",
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
    "site": _read_site,
    "uptime": _read_uptime,
    "match_servers": _read_servers,
    "match_size": _read_size,
    "match_partners": _read_wanted,
    "match_avoid": _read_avoid,
    "match_between": _read_truth,
    "match_together": _read_truth,
    "resize_up_to": _read_bytes,
}
assert set(_READERS) == {entry.name for entry in fields(Config)}
