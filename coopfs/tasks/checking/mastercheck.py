"""The master blocks that partners have taken: who restores begins with them (design R14).

Only partners are asked that said they have the newest one: the others are being told of it all the time.
"""

from collections.abc import Callable, Sequence

import trio

from coopfs.core.findings import About, Finding
from coopfs.core.keys import DiskKeys
from coopfs.core.master import open_master
from coopfs.errors import NotAuthentic, PartnerAway, PeerError
from coopfs.limits import RESTORE_PATIENCE
from coopfs.tasks.checking.report import Report
from coopfs.tasks.network import Network, ask_once_more
from coopfs.tasks.writing.columns import Columns
from coopfs.tasks.writing.keeper import MasterKeeper
from coopfs.types import Master, NodeKey

Watch = Callable[[str, int, int], None]  # step, done, total


class MasterCheck:
    """Asks partners that are up, with columns or without."""

    def __init__(self, keys: DiskKeys, keeper: MasterKeeper, columns: Columns, network: Network) -> None:
        self._keys = keys
        self._keeper = keeper
        self._columns = columns
        self._network = network

    async def run(self, report: Report, watch: Watch, *, repair: bool) -> None:
        """Those that lack the newest block, or have something that does not open, in its place. With `repair` all get a
        newer one, as they are reached: nobody takes the same again."""
        watch("master blocks of partners", 0, 1)
        nodes = {column.place.node: column.place.name for column in self._columns.columns if column.session is not None}
        nodes |= {trustee.node: trustee.name for trustee in self._keeper.block.trustees}
        wrong: list[str] = []

        async def look(node: NodeKey, name: str) -> None:
            if node not in self._keeper.holders():
                return
            counter = self._keeper.block.counter
            try:
                given = await self._ask(node)
            except PeerError as trouble:
                if any(column.place.node == node for column in self._columns.columns):
                    report.note(f"{name} did not show its master block: {trouble}")
                return
            report.checked["master blocks"] += 1
            why = self._trouble_with(given, counter, node)
            if why is not None:
                wrong.append(f"{name} {why}")

        async with trio.open_nursery() as nursery:
            for node, name in nodes.items():
                nursery.start_soon(look, node, name)
        if wrong and repair:
            await self._keeper.renew()
        for text in sorted(wrong):
            report.add(Finding(About.MASTER, text), repaired=repair)
        watch("master blocks of partners", 1, 1)

    async def _ask(self, node: NodeKey) -> Sequence[Master]:
        with trio.move_on_after(RESTORE_PATIENCE):
            return await ask_once_more(self._network, node, lambda partner: partner.masters(self._keys.disk))
        raise PartnerAway("it does not answer")

    def _trouble_with(self, given: Sequence[Master], counter: int, node: NodeKey) -> str | None:
        """Of what a partner gave that has taken the block of this counter, in words; None: all is well."""
        newest = max(given, key=lambda stored: stored.counter, default=None)
        if newest is None or newest.counter < counter:
            return "lacks the newest master block, which it had taken"
        try:
            open_master(self._keys, newest, node)
        except NotAuthentic as bad:
            return f"gives a master block that does not open: {bad}"
        return None
