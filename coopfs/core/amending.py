"""A later agreement between two nodes that have one: another size, everything else as it was (paper section 2.6).

Of two texts that both have signed the one with the higher rank is in force. Each side goes from text to text by rank
only: so both end with the same one, whatever was asked for at the same time, answered twice, or not heard.
"""

from dataclasses import replace

from coopfs.core.agreement import MAX_GIVEN, Agreement
from coopfs.errors import Refused, UsageError

Rank = tuple[int, bytes]


def rank(agreement: Agreement) -> Rank:
    """Later is higher; of two that start in the same second, the one whose text sorts last."""
    return agreement.start, agreement.encode()


def amended(agreement: Agreement, size: int, now: int) -> Agreement:
    """The same over `size` bytes each way, of a higher rank. now: seconds since 1970. UsageError: no agreement can be
    over so much, or it was amended for ever by a clock that was wrong."""
    if not 1 <= size <= MAX_GIVEN:
        raise UsageError("an agreement is about at least 1 byte and less than 8 EiB")
    start = max(now, agreement.start + 1)
    if start > MAX_GIVEN:
        raise UsageError("this agreement can be changed no more, as its start is at the end of time: end it instead")
    return replace(agreement, inviter_gives=size, acceptor_gives=size, start=start)


def same_partnership(one: Agreement, other: Agreement) -> bool:
    """Whether one could be an amendment of the other: only sizes and start differ."""
    return one == replace(other, inviter_gives=one.inviter_gives, acceptor_gives=one.acceptor_gives, start=one.start)


def check_successor(old: Agreement, new: Agreement) -> None:
    """Refused: it is not only in its size and start that the new one differs, or it is not over as much each way."""
    if not same_partnership(old, new):
        raise Refused("an agreement is amended in its size only, and stays between the same two nodes")
    if new.inviter_gives != new.acceptor_gives or new.inviter_gives == 0:
        raise Refused("an amended agreement is over as much each way")
