"""Questions over a connection that may be the one too many of two."""

from collections.abc import Awaitable, Callable

import pytest

from coopfs.errors import PartnerAway, Refused
from coopfs.tasks.network import ask_once_more
from coopfs.types import NodeKey, Partner
from tests.memory import MemoryHost

ME = NodeKey(b"m" * 32)
ENDED = "another connection between these two nodes is kept"


class Connections:
    """To one partner: so many can be had."""

    def __init__(self, count: int) -> None:
        self.host = MemoryHost()
        self.left = count

    async def reach(self, node: NodeKey) -> Partner:
        return self.host.partner(ME)

    async def try_reach(self, node: NodeKey) -> Partner | None:
        self.left -= 1
        return None if self.left < 0 else self.host.partner(ME)

    async def gone(self, partner: Partner) -> None:
        """They end one by one."""


def ending(times: int, trouble: type[Exception]) -> Callable[[Partner], Awaitable[str]]:
    """A question whose first answers are trouble."""
    left = [trouble(ENDED)] * times

    async def question(partner: Partner) -> str:
        if left:
            raise left.pop()
        return "yes"

    return question


@pytest.mark.parametrize("endings", [0, 1])
async def test_a_question_is_asked_again_over_the_other_connection(endings: int) -> None:
    network = Connections(2)
    assert await ask_once_more(network, network.host.key, ending(endings, PartnerAway)) == "yes"
    assert network.left == 1 - endings


async def test_a_connection_that_ends_twice_is_a_partner_that_is_away() -> None:
    network = Connections(9)
    with pytest.raises(PartnerAway, match=ENDED):
        await ask_once_more(network, network.host.key, ending(2, PartnerAway))
    assert network.left == 7, "it is not asked for ever"


async def test_a_refusal_is_an_answer() -> None:
    network = Connections(2)
    with pytest.raises(Refused, match=ENDED):
        await ask_once_more(network, network.host.key, ending(1, Refused))
    assert network.left == 1


async def test_a_partner_that_is_not_up_is_not_asked() -> None:
    network = Connections(0)
    with pytest.raises(PartnerAway, match="not reached"):
        await ask_once_more(network, network.host.key, ending(0, PartnerAway))
