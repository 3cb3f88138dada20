"""Takeover: a machine that has the kit becomes the node (design R12, R13).

1. the highest master block names the stores;
2. a new epoch is claimed, on enough of them that nothing held is overlooked, and on all that can be reached;
3. only then inventories, and T;
4. the rebuilt database becomes a writer's, with a new master block, which the partners get;
5. the directory is in place: what follows, the daemon does. It repairs all stripes of T at their old versions until T
   is held, writes a first group of its own, and only when that is held too anything else (app/own_disk).

A crash anywhere before 5: begin again; the claim is on disk before anybody hears of it.
"""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import trio

from coopfs.core.columnstate import ColumnState
from coopfs.core.keys import DiskKeys
from coopfs.core.master import VAULT, Floor, MasterBlock, seal_master
from coopfs.errors import NotRestorable, PeerError
from coopfs.limits import RESTORE_PATIENCE
from coopfs.local import claimfile, keyfile
from coopfs.local.adoption import adopt
from coopfs.local.disk import DATABASE
from coopfs.local.home import sync_directory
from coopfs.tasks.claiming import Claiming
from coopfs.tasks.fetcher import Fetcher
from coopfs.tasks.masters import Know, MasterSearch
from coopfs.tasks.network import Network, ask_once_more
from coopfs.tasks.recovery import Recovery, State, Watch, readers_of
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
        master = await MasterSearch(self._keys, self._network, self._know, self._watch).run(nodes)
        claim, lacking = await self._claim(directory, master)
        state = await self._find(directory, master, claim, max(floor, master.floor, key=lambda floor: floor.version))
        doubts = [doubt for doubt in (lacking, state.doubt) if doubt is not None]
        self._agree(replace(state, doubt="; ".join(doubts) or None))
        return await self._adopt(directory, state, master, claim)

    async def _claim(self, directory: Path, master: MasterBlock) -> tuple[Claim, str | None]:
        lowest = epoch_of(master.counter) + 1
        epoch, claimer = claimfile.read(directory) or (lowest, self._claimer)

        def save(epoch: int, claimer: bytes) -> None:
            claimfile.write(directory, epoch, claimer)

        claiming = Claiming(self._keys, master.layouts[-1], self._network, save, self._wall, self._watch)
        if epoch < lowest and master.claimer != claimer:
            epoch = lowest  # somebody else took it over since the last try
        return await claiming.run(epoch, claimer)

    async def _find(self, directory: Path, master: MasterBlock, claim: Claim, floor: Floor) -> State:
        work = directory / WORK
        shutil.rmtree(work, ignore_errors=True)  # of an earlier try
        places, disk = master.layouts[-1], self._keys.disk
        readers = readers_of(places, disk, self._network, claim)
        recovery = Recovery(self._keys, places, readers, Fetcher(self._keys, places.layout, readers), work, self._watch)
        async with trio.open_nursery() as nursery:
            for reader in readers:
                nursery.start_soon(reader.run)
            await recovery.gather()
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
        new = replace(master, counter=counter, claimer=claim.claimer)
        mine = seal_master(self._keys, new, self._node)
        columns = [
            ColumnState.REBUILT if any(store.role == VAULT for store in stores) else ColumnState.CATCHING_UP
            for stores in master.layouts[-1].columns
        ]
        adopt(state.directory / DATABASE, state.group, state.end, state.chain, state.time, claim, mine, columns)
        keyfile.write(state.directory, self._keys)
        sync_directory(state.directory)
        await self._tell(new, claim)
        claimfile.remove(directory)
        return Taken(state, new, claim, state.directory)

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
