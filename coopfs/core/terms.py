"""On which terms a node takes partners that it does not know: its owner's policy, applied alike to those it asks and to
those that ask it."""

from dataclasses import dataclass, replace

from coopfs.core.announcement import Announcement
from coopfs.core.invitation import TOKEN, Invitation, check_contact
from coopfs.core.matching import Spot, fold, near, spot_of
from coopfs.errors import ProtocolError, Refused, UsageError
from coopfs.levels import Uptime, storage_level_of, storage_size
from coopfs.sizes import format_size
from coopfs.types import NodeKey, Welcome


@dataclass(frozen=True, slots=True)
class Terms:
    """storage, uptime: levels; wanted: partners in all, 0 for none that are not known; site, system: of this node;
    avoided: sites, folded, and node keys in hexadecimal; together: neighbours too, for tests."""

    storage: int
    uptime: Uptime
    wanted: int
    site: str
    system: str
    avoided: frozenset[str]
    together: bool

    def for_column(self, size: int) -> "Terms":
        """These, over so much that a column of `size` bytes fits, 0 for none: a disk may have grown beyond what its
        owner swaps with those that the node finds."""
        return replace(self, storage=max(self.storage, storage_level_of(size)))

    def check(self, mine: Spot, theirs: Announcement) -> None:
        """Refused: these two should not be partners, in words that both owners understand. mine: where this node is."""
        if theirs.storage != self.storage:
            swapped, wanted = (format_size(storage_size(level)) for level in (theirs.storage, self.storage))
            raise Refused(f"it swaps {swapped}, this node {wanted}")
        if theirs.uptime != self.uptime:
            raise Refused(f"its uptime level is {theirs.uptime}, this node's {self.uptime}")
        if theirs.node.hex() in self.avoided or fold(theirs.site) in self.avoided:
            raise Refused("this node's owner does not want it as a partner")
        if theirs.node == mine.node:
            raise Refused("it is this node itself")
        if not self.together and near(mine, spot_of(theirs, None)):
            raise Refused("it is at the same site or in the same subnet: one mishap could take both")


def invitation_of(terms: Terms, node: NodeKey, addresses: tuple[str, ...], welcome: Welcome) -> Invitation:
    """The invitation that a node has answered with, which announced these addresses. ProtocolError: it is not what
    these terms say, or nonsense."""
    size = storage_size(terms.storage)
    if (welcome.given, welcome.taken) != (size, size) or len(welcome.token) != TOKEN:
        raise ProtocolError("it welcomes with other sizes than it had announced")
    try:
        check_contact(welcome.name, welcome.addresses)
    except UsageError as wrong:
        raise ProtocolError(f"it welcomes with a contact that cannot be: {wrong}") from None
    return Invitation(node, welcome.token, size, size, welcome.name, welcome.addresses or addresses, str(terms.uptime))


def avoid(names: tuple[str, ...]) -> frozenset[str]:
    """Sites and node keys as an owner writes them."""
    return frozenset(fold(name) for name in names)
