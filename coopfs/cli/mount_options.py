"""Mount options as mount(8) and fstab(5) write them, reduced to those that the mount itself must know."""

from collections.abc import Callable, Iterable

from coopfs.config import parse_cache, parse_compression, parse_fsync
from coopfs.errors import UsageError

# An option and what takes it back; the last one given wins. The first of each pair is passed on to the daemon.
_PAIRS = (
    ("ro", "rw"),
    ("nosuid", "suid"),
    ("nodev", "dev"),
    ("noexec", "exec"),
    ("noatime", "atime"),
    ("sync", "async"),
)

# Passed on as they are.
_PASSED = frozenset({"allow_other", "allow_root", "dirsync"})

# Read by mount(8), systemd or fsck before we are called, or the default here anyway.
FOR_OTHERS = (
    *("defaults", "auto", "noauto", "nofail", "_netdev", "user", "users", "nouser", "owner", "group"),
    *("relatime", "norelatime", "nodiratime", "silent", "loud", "default_permissions"),
)
PREFIXES_FOR_OTHERS = ("x-", "X-", "comment=", "user=", "uhelper=", "helper=")

# In place of the home's settings: each with how its value is read.
SETTINGS: dict[str, Callable[[str], object]] = {
    "cache": parse_cache,
    "compress": parse_compression,
    "fsync": parse_fsync,
}

TAKEN_BACK = {negative: positive for positive, negative in _PAIRS}
PASSED_ON = frozenset(positive for positive, _ in _PAIRS) | _PASSED


def split_options(groups: Iterable[str]) -> tuple[list[str], list[str]]:
    """(what the daemon must know, what nobody knows); each group is one -o argument, each option is named once,
    sorted. UsageError: a setting has a value that is none."""
    chosen: set[str] = set()
    unknown: set[str] = set()
    settings: dict[str, str] = {}
    for option in (part.strip() for group in groups for part in group.split(",")):
        name, _, value = option.partition("=")
        if option in PASSED_ON:
            chosen.add(option)
        elif name in SETTINGS:
            settings[name] = f"{name}={SETTINGS[name](value)}"
        elif option in TAKEN_BACK:
            chosen.discard(TAKEN_BACK[option])
        elif option and not _is_for_others(option):
            unknown.add(option)
    return sorted([*chosen, *settings.values()]), sorted(unknown)


def parse_options(groups: Iterable[str]) -> list[str]:
    """What the daemon must know. UsageError: there is an option that nobody knows."""
    chosen, unknown = split_options(groups)
    if unknown:
        raise UsageError(f"unknown mount option {', '.join(map(repr, unknown))}; see mount.coopfs(8)")
    return chosen


def _is_for_others(option: str) -> bool:
    return option in FOR_OTHERS or option.startswith(PREFIXES_FOR_OTHERS)
