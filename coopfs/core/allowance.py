"""What a relay gives to whom: to all alike, or more or less to those whom its operator has listed (coopfs-relay(8)).

In a list, each line has a node key, and if it is to get another share than the usual one, bytes per second and per day:

    4f2a...c1                # as usual
    9be0...77  10M           # quicker
    07d3...5e  10M  200G     # the first days of a large disk
"""

from collections.abc import Mapping
from dataclasses import dataclass

from coopfs.errors import ConfigError, UsageError
from coopfs.limits import RELAY_NODES
from coopfs.sizes import parse_size
from coopfs.types import NodeKey

_DIGITS = 64  # of a node key in hexadecimal


@dataclass(frozen=True, slots=True)
class Share:
    """What one node may send, in bytes; 0: no limit. rate: per second; daily: per day."""

    rate: int
    daily: int


@dataclass(frozen=True, slots=True)
class Allowance:
    """rate: bytes per second of all nodes together, 0: no limit; usual: of each that is not listed; listed: who may
    wait to be called, None: everybody."""

    rate: int
    usual: Share
    listed: Mapping[NodeKey, Share] | None = None

    def of(self, node: NodeKey) -> Share:
        """What this node may send."""
        return self.usual if self.listed is None else self.listed.get(node, self.usual)

    def may_wait(self, node: NodeKey) -> bool:
        """Whether this node may be called here. Who calls it needs no leave: its traffic is that of a node that is
        listed, and a restore, on whatever machine, must find it."""
        return self.listed is None or node in self.listed


def parse_list(text: str, usual: Share, source: str) -> Mapping[NodeKey, Share]:
    """source: how messages call the list. ConfigError names the line that is wrong."""
    listed: dict[NodeKey, Share] = {}
    for number, line in enumerate(text.splitlines(), 1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        try:
            node, share = _entry(words, usual)
            if node in listed:
                raise UsageError("this node is listed before")
            if len(listed) == RELAY_NODES:
                raise UsageError(f"more than {RELAY_NODES} nodes are listed")
        except UsageError as wrong:
            raise ConfigError(f"{source}, line {number}: {wrong}") from None
        listed[node] = share
    return listed


def _entry(words: list[str], usual: Share) -> tuple[NodeKey, Share]:
    if len(words) > 3:
        raise UsageError("a line has a node key, bytes per second and bytes per day, and nothing else")
    if len(words[0]) != _DIGITS:
        raise UsageError(f"a node key has {_DIGITS} hexadecimal digits, as `coopfs init` prints it")
    try:
        node = NodeKey(bytes.fromhex(words[0]))
    except ValueError:
        raise UsageError(f"a node key has {_DIGITS} hexadecimal digits, as `coopfs init` prints it") from None
    rate = parse_size(words[1]) if len(words) > 1 else usual.rate
    daily = parse_size(words[2]) if len(words) > 2 else usual.daily
    return node, Share(rate, daily)
