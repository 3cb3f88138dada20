"""What the user of a restore or takeover wants, and how it speaks with them."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Dialogue:
    """accept_older: take what is found even if something newer may have been held; else ask(question) decides.
    download_limit: bytes per second, 0 for none. say: one line for the user; watch: step, done, total. listen: where
    partners may call, HOST:PORT; None: nowhere."""

    accept_older: bool
    download_limit: int
    ask: Callable[[str], bool]
    say: Callable[[str], None]
    watch: Callable[[str, int, int], None]
    listen: str | None = None
