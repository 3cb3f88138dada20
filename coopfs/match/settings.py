"""What an operator sets for a matching server."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Settings:
    """listen: HOST:PORT; database: a file, or postgresql://...; certificate, key: PEM files for HTTPS, both or none;
    proxies: IP addresses of reverse proxies in front; together: propose members at one site to each other, for tests.
    """

    listen: str
    database: str
    certificate: Path | None
    key: Path | None
    proxies: frozenset[str]
    together: bool
