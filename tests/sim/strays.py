"""Homes that must not write any more, one that is set back and one that was taken over (R6, R12); and one that must
not write yet (R13)."""

import contextlib
import shutil
from collections.abc import Sequence
from pathlib import Path
from unittest.mock import patch

import trio

from coopfs.core.master import Floor
from coopfs.errors import PeerError
from coopfs.limits import AWAY_AFTER
from coopfs.tasks.recovery.recovery import Recovery, State
from coopfs.types import Write, epoch_of
from tests.sim.life import cause_of
from tests.sim.network import SimStore
from tests.sim.owner import Owner
from tests.sim.platter import Platter
from tests.sim.takeover import Found, take_over
from tests.sim.trace import Violation
from tests.sim.world import EPOCH, Geometry
from tests.tasks.homes import SETTLED, group_of, play, running, sleep_through


def set_back(geometry: Geometry, directory: Path) -> Violation | None:
    """The image of a home's disk is restored, while its partners have what it wrote since: it must send nothing, and
    say why. The promise that was broken."""
    sent: list[Write] = []
    said: list[BaseException] = []
    put_many = SimStore.put_many

    async def watched(self: SimStore, writes: Sequence[Write]) -> Sequence[PeerError | None]:
        sent.extend(writes)
        return await put_many(self, writes)

    async def main(owner: Owner) -> None:
        await group_of(owner, b"a")
        await trio.sleep(SETTLED)
        before = directory / "before"
        shutil.copytree(owner.platter.directory, before)
        await group_of(owner, b"b")
        await trio.sleep(SETTLED)
        await owner.burn()
        owner.platter.directory = before
        owner.history.durable = 0
        sent.clear()
        try:
            async with running(owner):
                await group_of(owner, b"c")
                await trio.sleep(SETTLED)
        except* Violation as told:
            said.append(told)

    with patch.object(SimStore, "put_many", watched):
        play(directory, geometry, main)
    if sent:
        return Violation(f"R6: a home that was set back sends {len(sent)} blocks before it is noticed")
    return None if said else Violation("R6: a home that was set back does not say so")


def go_on(geometry: Geometry, directory: Path) -> Violation | None:
    """A home goes on writing while another one takes the disk over: nothing of that may become held. The promise that
    was broken."""
    held: list[int] = []

    async def main(owner: Owner) -> None:
        await group_of(owner, b"a")
        await trio.sleep(SETTLED)
        assert isinstance(await take_over(owner.world, directory / "other"), Found)
        group = await group_of(owner, b"b")
        await trio.sleep(SETTLED)
        if owner.own.ledger.progress.barrier >= group:
            held.append(group)

    with contextlib.suppress(ExceptionGroup):  # the fence ends it, and says so
        play(directory, geometry, main)
    return Violation(f"R12: group {held[0]} of a home that was taken over is held") if held else None


def hold_meanwhile(geometry: Geometry, directory: Path) -> Violation | None:
    """A home goes on writing when another one has chosen the state that it takes over: nothing newer may become held.
    The promise that was broken."""
    broken: list[Violation] = []
    find = Recovery.find

    async def main(owner: Owner) -> None:
        async def choose(self: Recovery, floor: Floor) -> State:
            chosen = await find(self, floor)
            await group_of(owner, b"b")
            await trio.sleep(SETTLED)
            return chosen

        await group_of(owner, b"a")
        await trio.sleep(SETTLED)
        with patch.object(Recovery, "find", choose):
            found = await take_over(owner.world, directory / "other")
        assert isinstance(found, Found)
        group = owner.history.newest_held
        if group > found.taken.state.group:
            broken.append(Violation(f"R13: group {found.taken.state.group} is taken over, and {group} is held"))

    with contextlib.suppress(ExceptionGroup):  # the fence ends it, and says so
        play(directory, geometry, main)
    return broken[0] if broken else None


def go_on_where_forgotten(geometry: Geometry, directory: Path) -> Violation | None:
    """Another machine takes the disk over while one partner is away, and nobody tells the old one: it reaches that
    partner, and one that has lost its disk since, and who had claimed it. Nothing of that may become held. The promise
    that was broken. geometry: 1+2."""
    held: list[int] = []

    async def main(owner: Owner) -> None:
        told, emptied, away = owner.world.sites
        await group_of(owner, b"a")
        await trio.sleep(SETTLED)
        away.go(up=False)
        assert isinstance(await take_over(owner.world, directory / "other"), Found)
        told.go(up=False)
        emptied.host.forget()
        owner.world.damaged.add(emptied.number)
        emptied.cut()
        away.go(up=True)
        group = await group_of(owner, b"b")
        sleep_through(owner, AWAY_AFTER)
        await trio.sleep(10 * SETTLED)
        if owner.own.ledger.progress.barrier >= group:
            held.append(group)

    with contextlib.suppress(ExceptionGroup):  # the fence ends it, and says so
        play(directory, geometry, main)
    return Violation(f"R12: group {held[0]} of a home that was taken over is held") if held else None


def come_back_unclaimed(geometry: Geometry, directory: Path) -> BaseException | None:
    """A partner was away when the disk was taken over, and what was found is held again only with it: it must not count
    while the old machine may write there. The promise that was broken. geometry: m >= 2."""

    async def main(owner: Owner) -> None:
        sites, needed = owner.world.sites, geometry.quorum.claims_needed
        await group_of(owner, b"a")
        await trio.sleep(SETTLED)
        await owner.burn()
        for site in sites[needed:]:
            site.go(up=False)
        found = await take_over(owner.world, directory / "other")
        assert isinstance(found, Found)
        before = owner.history.up_to(found.taken.state.group)
        other = Owner(owner.world, Platter(found.taken.directory), before, owner.content())
        sites[0].go(up=False)
        with other.platter.watching():
            async with running(other):
                await trio.sleep(SETTLED)
                for site in sites[needed:]:
                    site.go(up=True)
                await trio.sleep(SETTLED)

    broken = None
    try:
        play(directory, geometry, main)
    except* Exception as group:  # noqa: BLE001  whoever asks judges what it is
        broken = cause_of(group)
    return broken


def claim_where_forgotten(geometry: Geometry, directory: Path) -> Violation | None:
    """Of those who are just enough for a takeover one has lost its disk: the user must be told. The promise that was
    broken."""
    broken: list[Violation] = []

    async def main(owner: Owner) -> None:
        sites = owner.world.sites
        await group_of(owner, b"a")
        await trio.sleep(SETTLED)
        await owner.burn()
        sites[0].host.forget()
        for site in sites[geometry.quorum.claims_needed :]:
            site.go(up=False)
        try:
            await take_over(owner.world, directory / "other")
        except Violation as told:
            broken.append(told)

    play(directory, geometry, main)
    return broken[0] if broken else None


def write_apart(geometry: Geometry, directory: Path) -> Violation | None:
    """A home reaches one of two partners, and a copy of it the other one later; then both run, and both are there:
    neither may take what the other home has put for its own, and one of them says so. The promise that was broken.
    geometry: 1+1."""
    held: list[int] = []
    said: list[str] = []

    async def main(owner: Owner) -> None:
        one, other = owner.world.sites
        await group_of(owner, b"a")
        await trio.sleep(SETTLED)
        twin = owner.copied(directory / "twin")
        owner.may_be_fenced = True
        other.go(up=False)
        group = await group_of(owner, b"b", 1000)
        await trio.sleep(SETTLED)
        await owner.die(power=False)
        one.go(up=False)
        other.go(up=True)
        async with running(twin):
            await group_of(twin, b"b", 2000)
            await trio.sleep(SETTLED)
            async with running(owner):
                one.go(up=True)
                await trio.sleep(10 * SETTLED)
                held.extend(group for each in (owner, twin) if each.own.ledger.progress.barrier >= group)
                said.extend(each.own.trouble for each in (owner, twin) if each.own.trouble is not None)

    play(directory, geometry, main)
    if held:
        return Violation(f"R12: group {held[0]} is held, of a home and of its copy a half")
    return None if said else Violation("R12: neither a home nor its copy says that there are two")


def write_together(geometry: Geometry, directory: Path) -> BaseException | None:
    """A home and a copy of it have opened all stores before either writes: what one is told to be held the other one
    must not overwrite. The promise that was broken."""

    async def main(owner: Owner) -> None:
        await group_of(owner, b"a")
        await trio.sleep(SETTLED)
        twin = owner.copied(directory / "twin")
        owner.may_be_fenced = True
        async with running(twin):
            await trio.sleep(SETTLED)
            for number in range(1, 6):
                for home in (owner, twin):
                    await group_of(home, b"b", 1000 * number)
                    await trio.sleep(1)
            if owner.own.trouble is not None or twin.own.trouble is None:
                raise Violation("R12: a copy that writes second goes on")

    broken = None
    try:
        play(directory, geometry, main)
    except* Exception as group:  # noqa: BLE001  whoever asks judges what it is
        broken = cause_of(group)
    return broken


def begin(geometry: Geometry, directory: Path) -> Violation | None:
    """Another machine takes over at a state that too few partners have; most are away then: it must not send anything
    of its own until that state is held. The promise that was broken. geometry: m >= 2, as otherwise who is away then
    does not count, and the state is held without (R7)."""
    early: list[Write] = []
    put_many = SimStore.put_many

    async def watched(self: SimStore, writes: Sequence[Write]) -> Sequence[PeerError | None]:
        early.extend(write for write in writes if epoch_of(write.version) > EPOCH)
        return await put_many(self, writes)

    async def main(owner: Owner) -> None:
        sites, k = owner.world.sites, geometry.k
        await group_of(owner, b"a")
        await trio.sleep(SETTLED)
        for site in sites[k:]:
            site.go(up=False)
        await group_of(owner, b"b")
        await trio.sleep(SETTLED)
        await owner.burn()
        for site in sites[k:]:
            site.go(up=True)
        found = await take_over(owner.world, directory / "other")
        assert isinstance(found, Found)
        for site in sites[k:]:
            site.go(up=False)
        before = owner.history.up_to(found.taken.state.group)
        other = Owner(owner.world, Platter(found.taken.directory), before, owner.content())
        with other.platter.watching(), trio.move_on_after(SETTLED):
            async with running(other):
                await group_of(other, b"c")
                await trio.sleep_forever()

    with patch.object(SimStore, "put_many", watched):
        play(directory, geometry, main)
    return Violation(f"R13: {len(early)} blocks are sent before all is held again") if early else None
