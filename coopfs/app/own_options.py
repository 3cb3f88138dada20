"""The mount options that the daemon takes for itself: they stand in place of a setting of the home."""

from collections.abc import Sequence
from dataclasses import dataclass

from coopfs.config import Compression, parse_compression
from coopfs.sizes import parse_size

CACHE_OPTION = "cache="
COMPRESS_OPTION = "compress="


@dataclass(frozen=True, slots=True)
class OwnOptions:
    """cache: bytes, None: not given. compression: None: not given. rest: for FUSE."""

    cache: int | None
    compression: Compression | None
    rest: tuple[str, ...]


def take_own_options(options: Sequence[str]) -> OwnOptions:
    """The last one given counts. UsageError: a size or a way of compressing that is none."""
    cache: int | None = None
    compression: Compression | None = None
    rest = []
    for option in options:
        if option.startswith(CACHE_OPTION):
            cache = parse_size(option.removeprefix(CACHE_OPTION))
        elif option.startswith(COMPRESS_OPTION):
            compression = parse_compression(option.removeprefix(COMPRESS_OPTION))
        else:
            rest.append(option)
    return OwnOptions(cache, compression, tuple(rest))
