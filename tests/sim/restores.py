"""What a restore must bring when the machine is lost, and some partners with it (P1, P2, R11, R14).

`check_promise` stays within the budget of faults: what the newest held group must survive. `check_salvage` goes beyond
it: then a restore must be honest, and bring what is there.
"""

from collections.abc import Collection, Iterable, Sequence
from math import inf

from coopfs.core.columnstate import ColumnState
from coopfs.core.master import VAULT
from coopfs.types import StoredBlock
from tests.sim.budget import Budget
from tests.sim.hosted import FileHost
from tests.sim.network import CALM, Site, Weather
from tests.sim.owner import Owner
from tests.sim.patience import not_stuck
from tests.sim.picture import difference
from tests.sim.restore import Refused, Restored, restore
from tests.sim.trace import Violation
from tests.sim.world import Stripe, World

GONE = b"gone"  # what a liar has of a block that it claims


class Restores:
    """All restores of a life; each has a directory of its own."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.random = world.random
        self._count = 0

    async def check_complete(self, owner: Owner) -> None:
        """What is complete survives any m; with a_min answers nobody is asked."""
        quorum = self.world.geometry.quorum
        lost = set(self.random.sample(range(quorum.n), quorum.m))
        if not self._kit_names_one(set(range(quorum.n)) - lost):
            return
        found = await self.restore(owner, set(range(quorum.n)) - lost)
        newest = owner.history.newest_held
        if isinstance(found, Refused) or found.group < newest:
            raise Violation(f"P2: group {newest} was complete, without {sorted(lost)} there is {brief(found)}")
        if quorum.n - len(lost) >= quorum.answers_needed and found.doubt is not None and not self.spoiled():
            raise Violation(f"R11: all was complete, {quorum.n - len(lost)} answers are enough, but {found.doubt}")

    async def check_promise(self, owner: Owner) -> None:
        """What is held survives the loss of the machine and of those partners; whoever is left is honest."""
        newest, everybody = owner.history.newest_held, set(range(len(self.world.sites)))
        lost = self.promised(owner)
        if newest and lost is not None:
            found = await self.restore(owner, everybody - (lost - self.begin_lies(lost)))
            if isinstance(found, Refused) or found.group < newest:
                raise Violation(f"P2: group {newest} was held, without {sorted(lost)} there is {brief(found)}")
        if self.world.damaged:
            return  # who lost blocks says that they never were: more than the budget would be lost
        for _ in range(3):
            count = self.random.randint(self.world.geometry.k, len(everybody))
            left = set(self.random.sample(range(len(everybody)), count))
            await self.restore(owner, left, self.random.choice([CALM, CALM, Weather(delay=0.5, loss=0.02)]))

    async def check_salvage(self, owner: Owner) -> None:
        """More is lost than was promised: any partners, and blocks of the others. The newest state that became held and
        is still whole comes back; if it is not the newest, that is said."""
        there = [number for number, site in enumerate(self.world.sites) if not site.vanished]
        if not there:
            return
        left = sorted(self.random.sample(there, self.random.randint(1, len(there))))
        self.world.note(f"salvage {left}")
        self.random.choice([self._spoil, self._deceive, self._set_back])(owner, left)
        whole = [group for group, named in owner.history.named.items() if self._is_whole(named, left)]
        found = await self.restore(owner, left)
        group = 0 if isinstance(found, Refused) else found.group
        if group < max(whole, default=0) and self._kit_leads(left):
            raise Violation(f"group {max(whole)} is whole at {sorted(left)}, but there is {brief(found)}")

    def _spoil(self, owner: Owner, left: Sequence[int]) -> None:
        """Any blocks rot, which is noticed."""
        for column in left:
            share = self.random.choice([0, 0, 0.02, 0.3])
            for store in self.world.sites[column].host.stores.values():
                for row in sorted(store.blocks):
                    if self.random.random() < share:
                        store.spoil(row)
                        self.world.note(f"rot {column} {row}")

    def _deceive(self, owner: Owner, left: Sequence[int]) -> None:
        """f partners claim what is not held yet, and have let it go."""
        held = owner.history.newest_named
        for column in self.random.sample(left, min(self.world.geometry.quorum.f, len(left))):
            for store in self.world.sites[column].host.stores.values():
                for row in sorted(store.blocks):
                    if store.blocks[row].version > held:
                        store.blocks[row] = StoredBlock(store.blocks[row].version, GONE)
                        self.world.note(f"lie {column} {row}")

    def _set_back(self, owner: Owner, left: Sequence[int]) -> None:
        """All are images of before, as if nothing had happened since: only the floor can tell."""
        if not self.world.images:
            return
        for host in (self.world.sites[column].host for column in left):
            before = self.world.images[host.key].stores if host.key in self.world.images else {}
            for id_, store in host.stores.items():
                store.blocks = dict(before[id_].blocks) if id_ in before else {}
        self.world.damaged.update(left)
        self.world.note("swindle")

    def _is_whole(self, named: Iterable[Stripe], left: Collection[int]) -> bool:
        sites = [self.world.sites[column] for column in left]
        return all(self.world.blocks_at(sites, stripe.place) >= stripe.k for stripe in named)

    def promised(self, owner: Owner) -> set[int] | None:
        """Partners whose loss the newest held group must survive: those in A when it became held, or now, and some
        others (P2). None: nothing is promised at present."""
        newest, everybody = owner.history.newest_held, set(range(len(self.world.sites)))
        if not newest:
            return None
        budget = Budget(self.world, owner.history.held[newest])
        progress = owner.own.ledger.progress
        if progress.barrier == newest and self.random.random() < 0.5:
            others = {each.layout.id: progress.margin() for each in self.world.used}
            budget = Budget(self.world, owner.away, others)
        gone, vanished = budget.gone, {site.number for site in self.world.sites if site.vanished}
        for number in self.world.damaged | vanished | self._not_yet_made_good(owner):
            budget.spend(number)
        if budget.left < 0:
            return None
        rest = sorted(everybody - gone - self.world.damaged - vanished)
        drawn = self.random.sample(rest, min(budget.left, len(rest)))
        chosen = [number for number in drawn if budget.may_spend(number)]
        lost = {*chosen, *(column for column in sorted(gone | self.world.damaged) if self.random.random() < 0.7)}
        lost |= vanished
        self.world.note(f"lost {sorted(lost)}")
        return lost if self._kit_names_one(everybody - lost) else None

    def _not_yet_made_good(self, owner: Owner) -> set[int]:
        """Whose column was of somebody who is gone, and does not count yet: till then one less may be lost."""
        former = owner.own.keeper.spare(VAULT)
        if former is not None and not self.world.known[former[2].node].vanished:
            return set()
        nodes = {each.place.node for each in owner.own.columns.columns if each.state is ColumnState.REBUILT}
        return {site.number for site in self.world.sites if site.host.key in nodes}

    def _kit_names_one(self, left: Collection[int]) -> bool:
        """Of those that are left: with a kit that was made before partners were replaced nothing is promised else."""
        return any(self.world.sites[column].host.key in self.world.kit for column in left)

    def _kit_leads(self, left: Collection[int]) -> bool:
        """Whether somebody whom the kit names knows all layouts: more may be lost than it can do without."""
        names = [each.layout for each in self.world.layouts]
        masters = [self.world.masters(number) for number in left if self.world.sites[number].host.key in self.world.kit]
        return any([each.layout for each in known[0].layouts] == names for known in masters if known)

    def begin_lies(self, lost: set[int], newest: float = inf) -> set[int]:
        """Who is lost may answer all the same, and claim blocks that it has let go: f at the most (R11), though of what
        is complete m may be lost. newest: the highest version that they lie about."""
        there = [column for column in sorted(lost) if not self.world.sites[column].vanished]
        liars = set([column for column in there if self.random.random() < 0.3][: self.world.geometry.quorum.f])
        for column in liars:
            for store in self.world.sites[column].host.stores.values():
                rows = sorted(row for row in store.blocks if store.blocks[row].version <= newest)
                for row in self.random.sample(rows, self.random.randint(0, len(rows))):
                    store.blocks[row] = StoredBlock(store.blocks[row].version, GONE)
        self.world.damaged |= liars
        if liars:
            self.world.note(f"liars {sorted(liars)}")
        return liars

    def end_lies(self, liars: Iterable[Site]) -> None:
        """They tell what they do not have, to whoever asks anew."""
        for site in liars:
            for id_, store in site.host.stores.items():
                for row in [row for row in sorted(store.blocks) if store.blocks[row].data == GONE]:
                    del store.blocks[row]
                    self.world.trace.lose(site.name(id_), row)
            site.cut()

    async def restore(self, owner: Owner, left: Collection[int], weather: Weather = CALM) -> Restored | Refused:
        """With whoever holds no column perhaps."""
        for site in self.world.others:
            site.recover()
            site.go(up=self.random.random() < 0.5)
        return await self.look(owner, left, weather)

    async def look(self, owner: Owner, left: Collection[int], weather: Weather = CALM) -> Restored | Refused:
        """P1 and R11 hold for every restore, whoever is left."""
        for site in self.world.sites:
            site.recover()
            site.go(up=site.number in left)
        self._count += 1
        newest = owner.history.newest_held  # its owner may be alive, and go on meanwhile
        directory = self.world.directory / f"restore {self._count}"
        with not_stuck("a restore"):
            found = await restore(self.world, self.world.way(weather), directory)
        self.world.note(f"restore {sorted(left)} {brief(found)}")
        if isinstance(found, Refused):
            return found
        expected = owner.history.end_of(found.group)
        if found.picture != expected:
            raise Violation(f"P1: group {found.group} as restored: {difference(found.picture, expected)}")
        floor = max((block.floor.version for number in left for block in self.world.masters(number)), default=0)
        held = owner.history.newest_named
        if floor > held and not owner.took_over:
            raise Violation(f"R14: the floor is {floor:#x}, the newest that is held {held:#x}")
        if found.state.end.version < floor and found.doubt is None:
            raise Violation(f"R14: group {found.group} is older than the floor that {sorted(left)} know")
        if found.group < newest and found.doubt is None and not self.world.damaged:
            raise Violation(f"R11: group {newest} was held, {sorted(left)} silently give {found.group}")
        return found

    def spoiled(self) -> bool:
        """Whether power losses tore blocks that nobody needs any more: they cannot deny what they were."""
        return any(isinstance(site.host, FileHost) and site.host.spoiled() for site in self.world.sites)


def brief(found: Restored | Refused) -> str:
    if isinstance(found, Refused):
        return f"refused: {found.why}"
    return f"group {found.group}" + (f", in doubt: {found.doubt}" if found.doubt else "")
