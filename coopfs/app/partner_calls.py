"""The calls of the control socket that are about partners: who swaps space with this node, and for which column."""

import secrets
import time
from typing import TYPE_CHECKING, Any

from coopfs.app import status
from coopfs.app.control import Watch
from coopfs.app.disk import changing
from coopfs.app.partners import leaving
from coopfs.app.partners.amending import NOTHING_ASKED
from coopfs.app.requests import Arguments
from coopfs.core import invitation
from coopfs.errors import UsageError
from coopfs.levels import parse_uptime
from coopfs.local import departure, partners
from coopfs.types import NodeKey
from coopfs.zones import check_zone

if TYPE_CHECKING:
    from coopfs.app.node import Node


class PartnerCalls:
    """Its methods named `call_*` are calls."""

    def __init__(self, node: "Node") -> None:
        self._node = node

    async def call_partner_list(self, arguments: Arguments, watch: Watch) -> Any:
        return {"partners": self.describe()}

    async def call_partner_invite(self, arguments: Arguments, watch: Watch) -> Any:
        token = secrets.token_bytes(invitation.TOKEN)
        node, uptime = self._node, arguments["uptime"] or ""
        made = await node.hosting.invite(
            arguments["size"], int(time.time()), token, node.settings.name, node.addresses, uptime
        )
        return {"code": made.encode()}

    async def call_partner_accept(self, arguments: Arguments, watch: Watch) -> Any:
        code = invitation.decode(arguments["code"])
        if code.uptime:
            check_zone(parse_uptime(code.uptime))
        return {"name": (await self._node.agreeing.accept(code)).name, "uptime": code.uptime or None}

    async def call_partner_find(self, arguments: Arguments, watch: Watch) -> Any:
        return await self._node.matchmaking.find(watch)

    async def call_partner_add(self, arguments: Arguments, watch: Watch) -> Any:
        own, entries = self._node.disk(), partners.all_partners(self._node.database)
        if not arguments["master_only"]:
            raise UsageError("partners with space are made with `coopfs partner invite` and accept: say --master-only")
        entry = next((entry for entry in entries if entry.name == arguments["by"]), None)
        if entry is None:
            code = invitation.decode(arguments["by"])
            changing.check_trustees(own)
            known = next((entry for entry in entries if entry.key == code.inviter), None)
            entry = known or await self._node.agreeing.accept(code)
        await changing.entrust(own, entry)
        return {"name": entry.name}

    async def call_partner_resize(self, arguments: Arguments, watch: Watch) -> Any:
        entry = changing.find(partners.all_partners(self._node.database), arguments["partner"])
        await self._node.amending.wish(entry, arguments["size"])
        waits = await self._node.amending.settle([entry])
        return {"size": self._size_with(entry.key), "waits_for": waits.get(entry.name)}

    def _size_with(self, key: NodeKey) -> int:
        agreement = self._node.hosting.agreement(key)
        return 0 if agreement is None else agreement.inviter_gives

    async def call_partner_lose(self, arguments: Arguments, watch: Watch) -> Any:
        entry = changing.find(partners.all_partners(self._node.database), arguments["partner"])
        await changing.lose(self._node.disk(), entry)
        return {"finds": self._node.matchmaking.is_wanted}

    async def call_partner_end(self, arguments: Arguments, watch: Watch) -> Any:
        name = arguments["partner"]
        if all(ending.name != name for ending in self._node.farewells.owed.values()):
            entry = changing.find(partners.all_partners(self._node.database), name)
            leaving.confirmed(leaving.meaning_of_end(entry, self._node.own, self._node.hosting), arguments["yes"])
            await leaving.end(entry, self._node.own, self._node.hosting, self._node.farewells)
        return {"untold": await self._node.farewells.settle()}

    async def call_leave(self, arguments: Arguments, watch: Watch) -> Any:
        node, entries = self._node, partners.all_partners(self._node.database)
        if node.own is not None and node.own.mountpoint is not None:
            raise UsageError(f"the disk is mounted at {node.own.mountpoint}: copy what is to be kept, and unmount it")
        if entries:
            leaving.confirmed(leaving.meaning_of_leaving(len(entries), node.own), arguments["yes"])
            departure.mark(node.home)
            if node.own is not None:
                node.own.give_up("this node has left its partners: its disk is no more, and goes when the daemon ends")
            for entry in entries:
                await leaving.end(entry, None, node.hosting, node.farewells)
        return {"untold": await self._node.farewells.settle()}

    async def call_partner_replace(self, arguments: Arguments, watch: Watch) -> Any:
        own, entries = self._node.disk(), partners.all_partners(self._node.database)
        old = changing.find(entries, arguments["partner"], own)
        changing.column_of(own, old)
        self._node.candidates((arguments["by"],))
        new = next((entry for entry in entries if entry.name == arguments["by"]), None)
        if new is None:
            code = invitation.decode(arguments["by"])
            changing.check_size(own, code.name, code.given)
            new = next(
                (entry for entry in entries if entry.key == code.inviter), None
            ) or await self._node.agreeing.accept(code)
        await changing.give(own, old, new)
        return {"name": new.name}

    def describe(self) -> list[dict[str, Any]]:
        """Every partner, then those that do not know yet that they are none."""
        node = self._node
        entries, endings = partners.all_partners(node.database), node.farewells.owed.values()
        known = [
            {
                **status.describe_partner(entry, node.hosting.agreement(entry.key), node.roster, node.attendant),
                "resize": node.amending.describe(entry),
            }
            for entry in entries
        ]
        over = [status.describe_ending(ending, node.roster, node.attendant) for ending in endings]
        return known + [{**ending, "resize": NOTHING_ASKED} for ending in over]
