"""The column of the own disk at a partner that is to go, for a step between (core/stepping): whether it can be given to
a newcomer now, whether it has been, and the giving of it, which is a replacement like any other
(tasks/reshaping/replacing)."""

from collections.abc import Callable, Sequence

from coopfs.app.disk import changing
from coopfs.app.disk.own_disk import OwnDisk
from coopfs.core.columnstate import GONE_FOR_GOOD, ColumnState
from coopfs.errors import UsageError
from coopfs.local.partners import PartnerEntry
from coopfs.types import NodeKey


class Handover:
    """disk: the own one, if it is open; is_elsewhere: there is one that is not; entries: all partners."""

    def __init__(
        self,
        disk: Callable[[], OwnDisk | None],
        is_elsewhere: Callable[[], bool],
        entries: Callable[[], Sequence[PartnerEntry]],
    ) -> None:
        self._disk = disk
        self._is_elsewhere = is_elsewhere
        self._entries = entries

    def hindrance(self, fellow: NodeKey, size: int) -> str | None:
        """Why no step should begin now, in which who gives `size` bytes gets what the fellow has. None: nothing."""
        own = self._disk()
        if own is None:
            return "its disk cannot be opened" if self._is_elsewhere() else None
        if own.trouble is not None or not own.ready.is_set():
            return "its disk is not ready"
        if own.keeper.is_changing or len(own.keeper.block.layouts) > 1 or not own.growing.is_done:
            return "its disk is just being changed"
        if any(column.place.node == fellow and column.state in GONE_FOR_GOOD for column in own.columns.columns):
            return "it has lost what the other one stored"
        try:
            changing.check_size(own, "the newcomer", size)
        except UsageError as small:
            return str(small)
        return None

    def is_done(self, fellow: NodeKey, newcomer: NodeKey) -> bool:
        """Whether nothing of the disk is at the fellow, and what the newcomer got counts."""
        own = self._disk()
        if own is None:
            return not self._is_elsewhere()
        if any(store.node == fellow for store in own.keeper.stores):
            return False
        got = [column for column in own.columns.columns if column.place.node == newcomer]
        return all(column.state is ColumnState.COUNTED for column in got)

    async def give(self, fellow: NodeKey, newcomer: NodeKey) -> None:
        """Begin, if that was not done before. UsageError: not now. StateError."""
        own = self._disk()
        if own is None or all(column.place.node != fellow for column in own.columns.columns):
            return
        known = {entry.key: entry for entry in self._entries()}
        if fellow in known and newcomer in known:
            await changing.give(own, known[fellow], known[newcomer])

    async def stop(self, newcomer: NodeKey) -> None:
        """Whoever holds the column keeps it, if it was not given before. StateError."""
        own = self._disk()
        if own is not None and (incoming := own.columns.incoming) is not None and incoming.place.node == newcomer:
            await own.replacing.give_up()

    def waits_for(self, newcomer: NodeKey) -> str | None:
        """What the giving waits for besides blocks, in words."""
        own = self._disk()
        if own is None or own.columns.incoming is None or own.columns.incoming.place.node != newcomer:
            return None
        return own.replacing.hindrance()
