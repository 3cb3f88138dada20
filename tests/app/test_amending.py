"""Owners ask each other for another size, over connections that come and go."""

from pathlib import Path

import pytest
import trio

from coopfs.app.partners.amending import Amending, ask_all
from coopfs.errors import HomeError, UsageError
from coopfs.local import partners
from coopfs.local.partners import PartnerEntry
from coopfs.net.dialer import Contact
from tests.app.village import Village, Villager, village
from tests.partners import TOKEN

GIVEN = 1 << 20


async def ally(inviter: Villager, acceptor: Villager, token: bytes = TOKEN) -> None:
    """An agreement over GIVEN."""
    addresses, now = (inviter.address,), 1_800_000_000
    code = await inviter.hosting.invite(GIVEN, now, token, inviter.name, addresses)
    proposal = await acceptor.hosting.reserve(code, acceptor.name, (acceptor.address,), now)
    await acceptor.hosting.record(code, proposal, await inviter.hosting.partner(acceptor.key).agree(proposal))


async def work(villager: Villager, nursery: trio.Nursery) -> Amending:
    """Call all partners, and ask them what is to be asked."""
    amending = Amending(villager.hosting, villager.roster)
    for entry in partners.all_partners(villager.database):
        villager.roster.add(Contact(entry.key, entry.addresses))
    await nursery.start(villager.roster.run)
    nursery.start_soon(amending.run)
    return amending


def entry_of(villager: Villager, other: Villager) -> PartnerEntry:
    return next(entry for entry in partners.all_partners(villager.database) if entry.key == other.key)


async def until_agreed(village: Village, size: int) -> None:
    """Until all agreements are over this size, and the same on both sides."""
    with trio.fail_after(60):
        while any(entry.given != size for v in village.villagers for entry in partners.all_partners(v.database)):
            await trio.sleep(0.1)
    village.check()


async def test_both_owners_say_the_same(tmp_path: Path, nursery: trio.Nursery) -> None:
    with village(tmp_path, nursery, []) as made:
        one, two = made.settle(2)
        await ally(one, two)
        async with trio.open_nursery() as running:
            first, second = await work(one, running), await work(two, running)
            with pytest.raises(UsageError, match="asks for no other size"):
                await second.wish(entry_of(two, one), None)
            await first.wish(entry_of(one, two), 2 * GIVEN)
            said = await first.settle([entry_of(one, two)])
            assert "has not agreed" in said["node-2"]
            assert second.describe(entry_of(two, one)) == {"wish": None, "asks": 2 * GIVEN}
            await second.wish(entry_of(two, one), None)
            assert await second.settle([entry_of(two, one)]) == {}
            await until_agreed(made, 2 * GIVEN)
            assert first.describe(entry_of(one, two)) == {"wish": None, "asks": None}
            running.cancel_scope.cancel()


async def test_who_is_away_is_asked_when_it_is_back(tmp_path: Path, nursery: trio.Nursery) -> None:
    with village(tmp_path, nursery, []) as made:
        one, two = made.settle(2)
        await ally(one, two)
        del made.network.listeners[two.address]
        async with trio.open_nursery() as running:
            first = await work(one, running)
            await first.wish(entry_of(one, two), GIVEN // 2)
            assert (await first.settle([entry_of(one, two)]))["node-2"] == "not reached yet"
            await two.hosting.wish(one.key, GIVEN // 2)
            made.network.listeners[two.address] = two.roster.accept
            await until_agreed(made, GIVEN // 2)
            running.cancel_scope.cancel()


async def test_all_are_asked_or_none(tmp_path: Path, nursery: trio.Nursery) -> None:
    with village(tmp_path, nursery, []) as made:
        one, two, three = made.settle(3)
        await ally(one, two)
        await ally(one, three, bytes(16))
        amending = Amending(one.hosting, one.roster)
        entries = [entry_of(one, two), entry_of(one, three)]
        with pytest.raises(HomeError):
            await ask_all(amending, entries, 1 << 60)
        assert set(one.hosting.wishes().values()) <= {GIVEN}
