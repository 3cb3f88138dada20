"""What holds while the disk is mounted: the home's settings, and mount options in their place."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from coopfs.config import (
    AUTO_CACHE,
    NO_COMPRESSION,
    CacheSize,
    Compression,
    Fsync,
    parse_cache,
    parse_compression,
    parse_fsync,
)


@dataclass(frozen=True, slots=True)
class MountSettings:
    """cache: bytes of content on the local disk at the most. compress: what is written from now on. fsync: what it
    waits for."""

    cache: CacheSize = AUTO_CACHE
    compress: Compression = NO_COMPRESSION
    fsync: Fsync = Fsync.LOCAL

    def with_options(self, options: Sequence[str]) -> tuple["MountSettings", list[str]]:
        """(what holds with these mount options, those of them that FUSE must know). UsageError: a value is wrong."""
        chosen, rest = self, []
        for option in options:
            name, _, value = option.partition("=")
            if name == "cache":
                chosen = replace(chosen, cache=parse_cache(value))
            elif name == "compress":
                chosen = replace(chosen, compress=parse_compression(value))
            elif name == "fsync":
                chosen = replace(chosen, fsync=parse_fsync(value))
            else:
                rest.append(option)
        return chosen, rest


DEFAULTS = MountSettings()
