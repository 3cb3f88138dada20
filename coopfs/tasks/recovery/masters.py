"""Finding the newest master block (design R14, section 2.4)."""

from collections.abc import Callable, Iterable

import trio

from coopfs.core.keys import DiskKeys
from coopfs.core.master import MasterBlock, open_master
from coopfs.errors import NotAuthentic, NotRestorable, PeerError
from coopfs.limits import RESTORE_PATIENCE
from coopfs.tasks.network import Network, ask_once_more
from coopfs.types import Master, NodeKey

Know = Callable[[NodeKey, tuple[str, ...]], None]  # a partner that a master block names, and where it is


class MasterSearch:
    """Asks the partners of the kit, and those that every authentic master block names; keeps the highest."""

    def __init__(self, keys: DiskKeys, network: Network, know: Know, watch: Callable[[str, int, int], None]) -> None:
        self._keys = keys
        self._network = network
        self._know = know
        self._watch = watch
        self._asked: set[NodeKey] = set()
        self._answered = 0
        self._trouble: dict[NodeKey, str] = {}
        self._best: MasterBlock | None = None

    async def run(self, nodes: Iterable[NodeKey]) -> MasterBlock:
        """The highest master block of all partners that answer within RESTORE_PATIENCE; the keys learn from it which of
        them are in use. NotRestorable: none has one."""
        with trio.move_on_after(RESTORE_PATIENCE):
            async with trio.open_nursery() as nursery:
                for node in nodes:
                    self._ask(node, nursery)
        if self._best is None:
            detail = "; ".join(sorted(set(self._trouble.values()))) or "nobody answers"
            raise NotRestorable(f"none of {len(self._asked)} partners gives a master block of this disk: {detail}")
        self._keys.age(self._best.keys)
        return self._best

    def _ask(self, node: NodeKey, nursery: trio.Nursery) -> None:
        if node not in self._asked:
            self._asked.add(node)
            nursery.start_soon(self._hear, node, nursery)

    async def _hear(self, node: NodeKey, nursery: trio.Nursery) -> None:
        try:
            for stored in await ask_once_more(self._network, node, lambda partner: partner.masters(self._keys.disk)):
                self._open(stored, node, nursery)
        except PeerError as trouble:
            self._trouble[node] = str(trouble)
        self._answered += 1
        self._watch("asking partners for the master block", self._answered, len(self._asked))

    def _open(self, stored: Master, node: NodeKey, nursery: trio.Nursery) -> None:
        """Of the two that a partner keeps, one may be sealed with a key that is not here."""
        try:
            self._weigh(open_master(self._keys, stored, node), nursery)
        except NotAuthentic as bad:
            self._trouble[node] = str(bad)

    def _weigh(self, block: MasterBlock, nursery: trio.Nursery) -> None:
        if block.features:
            raise NotAuthentic(f"a master block needs features that this version lacks: {', '.join(block.features)}")
        if self._best is None or block.counter > self._best.counter:
            self._best = block
        for trustee in block.trustees:
            self._know(trustee.node, trustee.addresses)
            self._ask(trustee.node, nursery)
        for places in block.layouts:
            for column in places.columns:
                for store in column:
                    self._know(store.node, store.addresses)
                    self._ask(store.node, nursery)
