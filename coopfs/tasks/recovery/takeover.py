"""Takeover: a machine that has the kit becomes the node (design R12, R13).

1. the highest master block names the stores;
2. a new epoch is claimed, on enough of them that nothing held is overlooked, and on all that can be reached; if there
   is a higher master block then, on those that it names;
3. only then inventories, and T;
4. the rebuilt database becomes a writer's, with a new master block, which the partners get;
5. the directory is in place: what follows, the daemon does. It repairs all stripes of T at their old versions until T
   is held, writes a first group of its own, and only when that is held too anything else (app/disk/own_disk).

A crash anywhere before 5: begin again; the claim is on disk before anybody hears of it.
"""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import trio

from coopfs.core.columnstate import ColumnState
from coopfs.core.keys import DiskKeys
from coopfs.core.master import VAULT, Floor, MasterBlock, Wishes, seal_master
from coopfs.errors import NotRestorable, PeerError
from coopfs.limits import CLAIM_TRIES, RESTORE_PATIENCE
from coopfs.local import claimfile, keyfile
from coopfs.local.adoption import adopt
from coopfs.local.disk import DATABASE
from coopfs.local.home import sync_directory
from coopfs.tasks.network import Network, ask_once_more
from coopfs.tasks.reading.fetcher import Fetcher
from coopfs.tasks.reading.reader import readers_of
from coopfs.tasks.recovery.claiming import Claiming
from coopfs.tasks.recovery.masters import Know, MasterSearch
from coopfs.tasks.recovery.recovery import OLD_KIT, Recovery, State
from coopfs.tasks.recovery.witnesses import Watch
from coopfs.types import Claim, NodeKey, epoch_of, make_version

WORK = "states"  # directory of databases that are tried


@dataclass(frozen=True, slots=True)
class Taken:
    """What a takeover came to. directory: of the disk, ready for the daemon."""

    state: State
    master: MasterBlock
    claim: Claim
    directory: Path


class Takeover:
    """keys: with the signing seed; node: this node; claimer: 16 random bytes, for a first try; wall: seconds since
    1970.

    agree: given T, with all doubts; raises NotRestorable if the user does not want it.
    """

    def __init__(
        self,
        keys: DiskKeys,
        node: NodeKey,
        network: Network,
        claimer: bytes,
        wall: Callable[[], float],
        know: Know,
        watch: Watch,
        agree: Callable[[State], None],
    ) -> None:
        self._keys = keys
        self._node = node
        self._network = network
        self._claimer = claimer
        self._wall = wall
        self._know = know
        self._watch = watch
        self._agree = agree

    async def run(self, directory: Path, nodes: Sequence[NodeKey], floor: Floor) -> Taken:
        """directory: of this takeover, the same at a second try; nodes, floor: of the kit. NotRestorable."""
        directory.mkdir(mode=0o700, exist_ok=True)
        master, claim, lacking = await self._claim_all(directory, nodes)
        state = await self._find(directory, master, claim, max(floor, master.floor, key=lambda floor: floor.version))
        doubts = [doubt for doubt in (lacking, state.doubt) if doubt is not None]
        self._agree(replace(state, doubt="; ".join(doubts) or None))
        return await self._adopt(directory, state, master, claim)

    async def _claim_all(self, directory: Path, nodes: Sequence[NodeKey]) -> tuple[MasterBlock, Claim, str | None]:
        """Until no master block is newer than the claim of all that it names. The old machine may have named another
        layout, or other stores, after the first look; who has been claimed takes no further block from it."""
        master = await self._search(nodes)
        for _ in range(CLAIM_TRIES):
            claim, lacking = await self._claim(directory, master)
            newest = await self._search(nodes)
            if newest.counter <= master.counter:
                return master, claim, lacking
            master = newest
        raise NotRestorable("another machine changes this disk all the time: stop it")

    async def _search(self, nodes: Sequence[NodeKey]) -> MasterBlock:
        master = await MasterSearch(self._keys, self._network, self._know, self._watch).run(nodes)
        if self._keys.lacking():  # what is written from now on would need a key that is not here
            raise NotRestorable(f"{OLD_KIT}; so does a takeover")
        return master

    async def _claim(self, directory: Path, master: MasterBlock) -> tuple[Claim, str | None]:
        lowest = epoch_of(master.counter) + 1
        epoch, claimer = claimfile.read(directory) or (lowest, self._claimer)

        def save(epoch: int, claimer: bytes) -> None:
            claimfile.write(directory, epoch, claimer)

        claiming = Claiming(self._keys, master.layouts, self._network, save, self._wall, self._watch)
        if epoch < lowest and master.claimer != claimer:
            epoch = lowest  # somebody else took it over since the last try
        return await claiming.run(epoch, claimer)

    async def _find(self, directory: Path, master: MasterBlock, claim: Claim, floor: Floor) -> State:
        work = directory / WORK
        shutil.rmtree(work, ignore_errors=True)  # of an earlier try
        readers = readers_of(master.layouts, self._keys.disk, self._network, claim)
        recovery = Recovery(self._keys, master.layouts, readers, Fetcher(self._keys, readers), work, self._watch)
        async with trio.open_nursery() as nursery:
            for reader in readers:
                nursery.start_soon(reader.run)
            await recovery.witnesses.gather()
            try:
                found: State | NotRestorable = await recovery.find(floor)
            except NotRestorable as refusal:
                found = refusal
            nursery.cancel_scope.cancel()
        if isinstance(found, NotRestorable):
            raise found
        return found

    async def _adopt(self, directory: Path, state: State, master: MasterBlock, claim: Claim) -> Taken:
        counter = max(master.counter + 1, make_version(claim.epoch, 1))
        # a key that seals nothing of T is named again, when all know of it
        used = tuple(age for age in master.keys if age.first <= state.end.version)
        wishes = self._wishes(master.wishes)
        new = replace(master, counter=counter, claimer=claim.claimer, keys=used, wishes=wishes)
        self._keys.age(used)
        mine = seal_master(self._keys, new, self._node)
        columns = [
            ColumnState.REBUILT if any(store.role == VAULT for store in stores) else ColumnState.CATCHING_UP
            for places in master.layouts
            for stores in places.columns
        ]
        path = state.directory / DATABASE
        adopt(path, state.group, state.end, state.chain, state.time, claim, mine, columns, wishes)
        keyfile.write(state.directory, self._keys)
        sync_directory(state.directory)
        await self._tell(new, claim)
        claimfile.remove(directory)
        return Taken(state, new, claim, state.directory)

    def _wishes(self, wishes: Wishes) -> Wishes:
        """Those that can still come true: a key that no kit had when the machine was lost has sealed nothing."""
        if wishes.key <= self._keys.newest:
            return wishes
        self._watch("all was to be written again with a new key, which no kit has: run coopfs rekey --all again", 0, 0)
        return replace(wishes, key=0)

    async def _tell(self, master: MasterBlock, claim: Claim) -> None:
        """The new master block to all who can be reached; the daemon tells the others."""

        async def put(node: NodeKey) -> None:
            try:
                mine = seal_master(self._keys, master, node)
                await ask_once_more(self._network, node, lambda partner: partner.put_master(claim, mine))
            except PeerError as trouble:
                self._watch(f"a partner did not take the new master block ({trouble})", 0, 0)

        with trio.move_on_after(RESTORE_PATIENCE):
            async with trio.open_nursery() as nursery:
                for places in master.layouts:
                    for column in places.columns:
                        for store in column:
                            nursery.start_soon(put, store.node)
