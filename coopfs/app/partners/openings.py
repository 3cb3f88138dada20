"""How many partners this node still takes, counting those with whom it is just agreeing.

Two nodes may have the same idea at the same time, and two invitations would make two agreements, of which each side
could keep another one. So nobody offers to whom it has welcomed; and of two that offer to each other the one with the
lower key goes on, whose welcome the other needs.
"""

from collections.abc import Callable, Sequence, Set

from coopfs.errors import Refused
from coopfs.limits import OFFER_LIFETIME
from coopfs.local import partners
from coopfs.local.nodedb import NodeDatabase
from coopfs.types import NodeKey, Welcome


class Openings:
    """key: of this node; wanted: partners in all; gone: those that do not count, as they are lost; clock: seconds since
    1970."""

    def __init__(
        self,
        key: NodeKey,
        wanted: int,
        database: NodeDatabase,
        gone: Callable[[], Set[NodeKey]],
        clock: Callable[[], float],
    ) -> None:
        self.wanted = wanted
        self.bidding: set[NodeKey] = set()  # two between whom this node asks to step
        self._key = key
        self._database = database
        self._gone = gone
        self._clock = clock
        self._offering: set[NodeKey] = set()
        self._agreeing: set[NodeKey] = set()
        self._welcomed: dict[NodeKey, tuple[Welcome | None, float]] = {}  # None: being made; and when

    def partners(self) -> Sequence[NodeKey]:
        """All that there are, however they were found."""
        return [entry.key for entry in partners.all_partners(self._database)]

    def lacking(self) -> int:
        """Partners that are wanted and not there yet."""
        return max(0, self.wanted - len(set(self.partners()) - self._gone()))

    def pending(self) -> set[NodeKey]:
        """Whom it is just agreeing with."""
        now = self._clock()
        self._welcomed = {k: held for k, held in self._welcomed.items() if 0 <= now - held[1] < OFFER_LIFETIME}
        return (self._offering | set(self._welcomed) | self.bidding) - set(self.partners())

    def free(self) -> int:
        """Partners lacking, less those."""
        return max(0, self.lacking() - len(self.pending()))

    # --- asking ---------------------------------------------------------------------------------------------------

    def begin_offer(self, node: NodeKey) -> bool:
        """Whether this node may be asked now; follow it with `end_offer`."""
        if self.free() == 0 or node in self.pending():
            return False
        self._offering.add(node)
        return True

    def got_welcome(self, node: NodeKey) -> None:
        """From here on its own offer is refused: what it wants is under way."""
        self._agreeing.add(node)

    def end_offer(self, node: NodeKey) -> None:
        self._offering.discard(node)
        self._agreeing.discard(node)

    # --- being asked ----------------------------------------------------------------------------------------------

    def begin_welcome(self, node: NodeKey) -> Welcome | None:
        """A welcome that this node was given before, and may have missed; None: make one, and end with `end_welcome`.
        Refused: not now."""
        if node in self.partners():
            raise Refused("these two nodes have an agreement already")
        if node in self._agreeing or (node in self._offering and self._key < node):
            raise Refused("this node is asking you just now")
        if node in self.pending() and node in self._welcomed:
            welcome, _ = self._welcomed[node]
            if welcome is None:
                raise Refused("this node is just answering your other offer")
            return welcome
        if self.free() == 0 and node not in self._offering:
            raise Refused("this node has all the partners that it wants")
        self._welcomed[node] = (None, self._clock())
        return None

    def end_welcome(self, node: NodeKey, welcome: Welcome | None) -> None:
        """None: it came to nothing."""
        if welcome is None:
            self._welcomed.pop(node, None)
        else:
            self._welcomed[node] = (welcome, self._clock())
