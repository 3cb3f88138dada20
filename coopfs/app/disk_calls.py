"""The calls of the control socket that are about this node's own disk: make it, mount it, look after it, its kits."""

import secrets
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import trio

from coopfs.app.control import Watch
from coopfs.app.disk import changing, formatting, kits, splitting
from coopfs.app.disk.checking import check
from coopfs.app.disk.inspecting import inspect
from coopfs.app.disk.shaping import reshape
from coopfs.app.disk.syncing import sync
from coopfs.app.partners.amending import ask_all
from coopfs.app.requests import FOREVER, Arguments
from coopfs.core.choice import Choice
from coopfs.core.keys import READ_KEY
from coopfs.core.kit import to_text
from coopfs.errors import StateError, UsageError
from coopfs.limits import DEFAULT_BLOCK_SIZE, DEFAULT_TARGET
from coopfs.local import partners
from coopfs.local.kitrecord import MadeKit
from coopfs.local.partners import PartnerEntry
from coopfs.types import Layout

if TYPE_CHECKING:
    from coopfs.app.node import Node


class DiskCalls:
    """Its methods named `call_*` are calls."""

    def __init__(self, node: "Node") -> None:
        self._node = node
        self._made: MadeKit | None = None  # exported last, and perhaps not written yet

    async def call_format(self, arguments: Arguments, watch: Watch) -> Any:
        if self._node.own is not None or self._node.damage is not None:
            raise UsageError("this node has a disk already: one home has one")
        layout, chosen, choice = self.layout_of(arguments)
        places = formatting.plan(layout, chosen)
        directory = await trio.to_thread.run_sync(formatting.draft, self._node.home, self._node.identity.key, places)
        finished = await formatting.form(self._node.home, directory, self._node.identity.key, self._node.network, watch)
        self._node.run_disk(finished)
        return {
            **{"disk": finished.name, "rows": places.rows, "data": layout.k, "redundancy": layout.m},
            "choice": None if choice is None else asdict(choice),
        }

    def layout_of(self, arguments: Arguments) -> tuple[Layout, list[PartnerEntry], Choice | None]:
        """The layout asked for, and who holds it; with what was weighed, if k and m were left to this node."""
        data, redundancy, size = arguments["data"], arguments["redundancy"], arguments["block_size"]
        names = arguments["partners"]
        entries = self._node.candidates(names or ())
        if data is not None and redundancy is not None:
            if arguments["target"] is not None:
                raise UsageError("--target chooses k and m: leave out --data and --redundancy")
            if redundancy == 0 and not arguments["no_redundancy"]:
                raise UsageError("without redundancy the loss of any partner loses the disk: say --no-redundancy if so")
            layout = Layout(1, data, redundancy, size or DEFAULT_BLOCK_SIZE)
            return layout, formatting.choose(entries, names, layout.n), None
        if data is not None or redundancy is not None:
            raise UsageError("--data and --redundancy go together; without them both are chosen for you")
        begun = formatting.begun(self._node.home, self._node.identity.key)
        if begun is not None:
            chosen, choice = splitting.as_begun(entries, begun, self._up)
            return replace(begun.layout, block_size=size or begun.layout.block_size), chosen, choice
        target = (arguments["target"] or DEFAULT_TARGET) / 100.0
        chosen, choice = splitting.for_partners(entries, names, target, self._up)
        return Layout(1, choice.k, choice.m, size or DEFAULT_BLOCK_SIZE), chosen, choice

    def _up(self, entry: PartnerEntry) -> float:
        return self._node.expected(entry.key)

    async def call_resize(self, arguments: Arguments, watch: Watch) -> Any:
        own, size = self._node.disk(), arguments["size"]
        entries, waits = partners.all_partners(self._node.database), {}
        if size is not None:
            waits = await ask_all(self._node.amending, changing.short_of(own, entries, size), size)
        rows = await changing.resize(own, entries, size)
        smaller = rows < own.growing.now
        return {"rows": rows, "done": own.growing.is_done, "smaller": smaller, "waits_for": waits}

    async def call_reshape(self, arguments: Arguments, watch: Watch) -> Any:
        own, entries = self._node.disk(), partners.all_partners(self._node.database)
        if own.trouble is not None:
            raise StateError(own.trouble)
        k, m = arguments["data"], arguments["redundancy"]
        return {"rows": await reshape(own, entries, k, m, arguments["add"], arguments["leave_out"])}

    async def call_reshape_cancel(self, arguments: Arguments, watch: Watch) -> Any:
        await self._node.disk().reshaping.give_up()

    async def call_mount(self, arguments: Arguments, watch: Watch) -> Any:
        await self._node.disk().mount(self._node.home.path, Path(arguments["mountpoint"]), arguments["options"], watch)

    async def call_umount(self, arguments: Arguments, watch: Watch) -> Any:
        await self._node.disk().unmount()

    async def call_sync(self, arguments: Arguments, watch: Watch) -> Any:
        path = arguments["path"]
        await sync(self._node.disk(), None if path is None else Path(path), arguments["complete"], watch)

    async def call_log(self, arguments: Arguments, watch: Watch) -> Any:
        return await inspect(self._node.disk(), Path(arguments["path"]), watch)

    async def call_check(self, arguments: Arguments, watch: Watch) -> Any:
        return await check(self._node.disk(), watch, **arguments)

    async def call_kit_export(self, arguments: Arguments, watch: Watch) -> Any:
        own = self._node.disk()
        entries = partners.all_partners(self._node.database)
        known = {entry.key: entry.addresses for entry in entries}
        day = time.strftime("%Y-%m-%d")
        if arguments["read_only"]:
            until = arguments["until"] or FOREVER
            made, told = await kits.read_only(own, self._node.settings.name, known, until)
            return {"text": to_text(made, day), "told": told, "partners": len(own.columns.columns)}
        made = await kits.whole(own, self._node.settings.name, self._node.seed, entries)
        self._made = MadeKit(made.date, tuple(partner.node for partner in made.partners))
        return {"text": to_text(made, day), "key": made.disks[0].keys.newest, "date": made.date}

    async def call_kit_written(self, arguments: Arguments, watch: Watch) -> Any:
        """The kit of this date lies where its owner wants it: it is his from now on, and what is sealed with its key
        can be restored."""
        own = self._node.disk()
        if self._made is None or self._made.time != arguments["date"]:
            raise UsageError("another kit was exported meanwhile, or the daemon started anew: export it once more")
        own.hand_out(self._made)
        own.rekeying.carry(arguments["key"])
        await own.committer.commit()

    async def call_rekey(self, arguments: Arguments, watch: Watch) -> Any:
        own = self._node.disk()
        if own.trouble is not None:
            raise StateError(own.trouble)
        key = own.rekeying.begin(secrets.token_bytes(READ_KEY), arguments["everything"])
        await own.committer.commit()
        return {"key": key}

    async def call_kit_readers(self, arguments: Arguments, watch: Watch) -> Any:
        return {"readers": kits.describe_readers(self._node.disk())}

    async def call_kit_revoke(self, arguments: Arguments, watch: Watch) -> Any:
        return await kits.revoke(self._node.disk(), arguments["reader"])
