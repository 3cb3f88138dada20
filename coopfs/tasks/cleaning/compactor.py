"""The compactor: empties stripes in which little lives, so that their rows come back (design section 4, R9).

1. when data stripes take more rows than their live bytes are worth, the sparsest are chosen;
2. the content of one is read, from this machine if it is what was sealed, or from partners: what is appended again
   gets a tag of its own, and the partners' blocks of the old one go;
3. run by run, what the tables still say of it is appended to the stripe being filled, as if it were written again, but
   nothing else of the file changes; operations run in between;
4. a stripe that is empty dies in the open group, and its row is free when that is held.
"""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial

import trio

from coopfs.core.cleaning import is_worth_emptying, stripes_to_empty
from coopfs.core.stripe import Fragment
from coopfs.core.units import FASTEST, PLAIN, Portion, Run, compress, plain
from coopfs.errors import ContentUnavailable, NoDescriptors, NotAuthentic, OutOfSpace
from coopfs.local.disk import LocalDisk
from coopfs.tasks.writing.ledger import Ledger
from coopfs.tasks.writing.space import PartnerSpace
from coopfs.types import Octets


def the_whole(run: Run) -> Sequence[Run]:
    """`parts_of` where all of a run can be had."""
    return (run,)


class Compactor:
    """may_append: waits until so many bytes may be appended; is_intact: whether a stripe's content is here, with its
    tag; fetch: all of it, from partners."""

    def __init__(
        self,
        ledger: Ledger,
        local: LocalDisk,
        space: PartnerSpace,
        may_append: Callable[[int], Awaitable[None]],
        is_intact: Callable[[int], Awaitable[bool]],
        fetch: Callable[[int], Awaitable[bytes]],
    ) -> None:
        self._ledger = ledger
        self._space = space
        self._metadata = local.metadata
        self._stage = local.stage
        self._may_append = may_append
        self._is_intact = is_intact
        self._fetch = fetch

    async def run(self) -> None:
        """Compact for ever, a few stripes for each group that becomes held. StateError: the database failed."""
        while True:
            barrier = self._ledger.progress.barrier
            for id_, length in self._sparsest():
                await self.empty(id_, length)
            await self._ledger.moved.wait_until(partial(self._held_after, barrier))

    def _held_after(self, group: int) -> bool:
        return self._ledger.progress.barrier > group

    def _sparsest(self) -> list[tuple[int, int]]:
        log, usage = self._ledger.log, self._space.usage()
        count, most = stripes_to_empty(usage, usage.data_rows - log.dead_data())
        found = log.sparsest(most, self._ledger.progress.barrier, count) if count else []
        if not is_worth_emptying(usage.layout, [live for _, _, live in found]):
            return []
        return [(id_, length) for id_, length, _ in found]

    async def empty(self, id_: int, length: int) -> None:
        """Append what lives of a data stripe again, as far as there is room and the content can be had."""
        content = None
        try:
            if await self._is_intact(id_):
                content = await trio.to_thread.run_sync(self._stage.content, id_, length)
            if content is None:
                content = await self._fetch(id_)
            for fragment in self._metadata.stripes.fragments(id_):
                await self._may_append(fragment.length)
                self.append_again(id_, fragment, content)
                await trio.lowlevel.checkpoint()
        except (ContentUnavailable, NoDescriptors, NotAuthentic, OutOfSpace):
            return  # what was moved is moved; the rest is tried again when something changes

    def append_again(
        self, id_: int, fragment: Fragment, content: Octets, parts_of: Callable[[Run], Sequence[Run]] = the_whole
    ) -> None:
        """What lives of this fragment's bytes, as the tables say now, of a stripe with that content. No await: it is
        one operation (P1). parts_of: which parts of a run are moved. NoDescriptors, OutOfSpace: it cannot be done now;
        NotAuthentic: a unit is damaged."""
        extents, node = self._metadata.extents, self._metadata.nodes.find(fragment.ino)
        if node is None:
            return
        runs = extents.runs(fragment.ino, fragment.offset, fragment.offset + fragment.length)
        for run in (part for each in runs if each.stripe == id_ for part in parts_of(each)):
            pieces, at = [], run.offset
            for portion in self._portions(run, memoryview(content)[run.at : run.at + run.stored]):
                pieces += self._stage.append(node.ino, at, portion, node.parent or 0, node.name or b"")
                at += len(portion.raw)
            gained = extents.write(node.ino, pieces)
            if gained:
                node = node._replace(stored=node.stored + gained)
                self._metadata.put(node)

    def _portions(self, run: Run, stored: memoryview) -> list[Portion]:
        """What this run becomes. NotAuthentic: its unit is damaged.

        A unit of which all lives is moved as it is, if stripes of today take it. Of any other the part that lives is
        compressed anew: with what died in it, the next stripe would be as sparse as this one, and directories would
        tell old bytes as new ones.
        """
        if run.codec == PLAIN:
            return [plain(stored)]
        raw = run.decode(stored)
        if run.length == run.raw <= self._stage.unit:
            return [Portion(memoryview(raw), stored, run.codec)]
        return compress(raw, self._stage.unit, FASTEST)
