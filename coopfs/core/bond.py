"""The bond: what two partners call their agreement in public, so that a third node may find both and ask to step
between them (paper, section 2.1).

It is the first 8 bytes of BLAKE3 over "coopfs 0 bond", the text of the agreement and both signatures, the inviter's
first. Nobody who has not seen the signatures can compute it, so what one of two announces names nobody: only where both
announce the same bond do others learn that they are partners. By chance two of 16 million bonds are alike with a
probability of 10^-5, and then who is asked says no.
"""

from collections.abc import Iterable

from blake3 import blake3

from coopfs.core import agreement
from coopfs.core.agreement import MAX_GIVEN
from coopfs.levels import Uptime
from coopfs.limits import MAX_BONDS
from coopfs.types import NodeKey, Renewal

BOND = 8  # bytes
_CONTEXT = b"coopfs 0 bond"


def bond_of(made: Renewal, mine: NodeKey) -> bytes:
    """8 bytes, the same for both sides. mine: the node that would show this agreement."""
    signatures = made.mine, made.yours
    if agreement.decode(made.text).inviter != mine:
        signatures = made.yours, made.mine
    return blake3(_CONTEXT + made.text + b"".join(signatures)).digest(length=BOND)


def is_of_level(text: bytes, size: int, uptime: Uptime) -> bool:
    """Whether an agreement swaps so many bytes, both ways, for just this uptime."""
    assert size <= MAX_GIVEN
    made = agreement.decode(text)
    return (made.inviter_gives, made.acceptor_gives, made.uptime) == (size, size, str(uptime))


def announced(bonds: Iterable[bytes]) -> tuple[bytes, ...]:
    """Those that are told: the lowest MAX_BONDS. What is low for one side is low for the other too, so that of two
    nodes with many partners both choose the same more often than by chance."""
    return tuple(sorted(set(bonds))[:MAX_BONDS])
