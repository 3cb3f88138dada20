"""Where a restore looks for a partner: where the kit says, then where master blocks say."""

import pytest
import trio

from coopfs.app.recovery.restoring import know
from coopfs.core.wire.session import Standing
from coopfs.errors import PartnerAway
from coopfs.net.dialer import Contact
from coopfs.net.roster import Roster
from coopfs.tasks.recovery.nobody import Nobody
from tests.net.nodes import node

BOB = node(2).identity.key


async def nowhere(address: str) -> trio.abc.Stream:
    raise PartnerAway("nobody listens")


@pytest.mark.parametrize(
    ("kit", "master", "tried"),
    [
        (("old:1",), ("new:1",), ("old:1", "new:1")),
        (("old:1", "new:1"), ("new:1",), ("old:1", "new:1")),
        (None, ("new:1",), ("new:1",)),
        (None, (), ()),
    ],
)
def test_both_words_count(kit: tuple[str, ...] | None, master: tuple[str, ...], tried: tuple[str, ...]) -> None:
    roster = Roster(node(1), lambda key: Standing.STRANGER, lambda key: Nobody(), nowhere, lambda: 1.0)
    if kit is not None:
        roster.add(Contact(BOB, kit))
    know(roster, BOB, master)
    know(roster, BOB, master)
    assert roster.knows(BOB)
    assert roster.addresses(BOB) == tried
