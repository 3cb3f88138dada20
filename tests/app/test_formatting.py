"""Formatting with partners that are away: it ends in time, says who, and can be repeated."""

from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from coopfs.app.disk import formatting
from coopfs.errors import PartnerAway, UsageError
from coopfs.limits import FORMAT_TIMEOUT
from coopfs.local.home import Home
from coopfs.local.partners import PartnerEntry
from coopfs.types import Claim, Layout, NodeKey, Partner
from tests.memory import MemoryHost, MemoryPartner

ME = NodeKey(b"m" * 32)
SPACE = 64 << 20  # bytes
LAYOUT = Layout(1, 1, 1, 256 << 10)


class Ending(MemoryPartner):
    """Over a connection that ends under the first question."""

    async def claim(self, claim: Claim) -> None:
        raise PartnerAway("another connection is kept")


class Sometimes:
    """Partners, some of whom are not up."""

    def __init__(self, hosts: dict[str, MemoryHost]) -> None:
        self._hosts = hosts
        self.down: set[str] = set()
        self.rivals: set[str] = set()  # whose first connection is the one too many of two

    async def reach(self, node: NodeKey) -> Partner:
        name = next(name for name, host in self._hosts.items() if host.key == node)
        if name in self.down:
            await trio.sleep_forever()
        if name in self.rivals:
            self.rivals.remove(name)
            return Ending(self._hosts[name], ME)
        return self._hosts[name].partner(ME)

    async def try_reach(self, node: NodeKey) -> Partner | None:
        return await self.reach(node)

    async def gone(self, partner: Partner) -> None:
        await trio.sleep_forever()


async def test_partners_that_do_not_answer_in_a_minute_are_named(tmp_path: Path, autojump_clock: MockClock) -> None:
    home = Home(tmp_path)
    home.create(b"i" * 32)
    hosts = {name: MemoryHost(name.encode() * 8) for name in ("anna", "otto")}
    for host in hosts.values():
        host.given[ME] = SPACE
    entries = [PartnerEntry(name, host.key, ("a:1",), SPACE, SPACE) for name, host in hosts.items()]
    network = Sometimes(hosts)
    network.down = {"otto"}
    seen: list[tuple[str, int, int]] = []

    async def form() -> Path:
        directory = formatting.draft(home, ME, formatting.plan(LAYOUT, entries))
        return await formatting.form(home, directory, ME, network, lambda *step: seen.append(step))

    started = trio.current_time()
    with pytest.raises(UsageError, match=r"^not reached within 60 s: otto \(no connection\); try again$"):
        await form()
    assert trio.current_time() - started == FORMAT_TIMEOUT
    assert seen == [("reserve space at the partners", 1, 2)]

    network.down = set()
    network.rivals = {"anna"}
    disk = await form()
    assert not network.rivals, "the first connection ended, and another was used"
    assert disk.parent == home.disks
    assert seen[-1] == ("reserve space at the partners", 2, 2)
    assert all(len(host.stores) == 1 for host in hosts.values()), "the first try's store is used"
