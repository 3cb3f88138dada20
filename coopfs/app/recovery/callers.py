"""Partners that nobody can call, in a restore: they call the node whose kit it is, where that one was."""

from collections.abc import Collection

import trio

from coopfs.app.recovery.dialogue import Dialogue
from coopfs.limits import RECONNECT_MAX
from coopfs.net.roster import Roster
from coopfs.net.tcp import listen_tcp, serve_tcp
from coopfs.types import NodeKey


async def wait_for_calls(roster: Roster, nodes: Collection[NodeKey], talk: Dialogue, nursery: trio.Nursery) -> None:
    """Listen, if the user wants that, until all these nodes are connected, whoever called, or each must have tried.
    UsageError: it cannot listen there."""
    if talk.listen is None:
        return
    nursery.start_soon(serve_tcp, await listen_tcp(talk.listen), roster.accept)
    with trio.move_on_after(RECONNECT_MAX):
        while (missing := sum(roster.live(node) is None for node in nodes)) > 0:
            talk.watch("waiting for partners to call", len(nodes) - missing, len(nodes))
            await roster.changed()
    talk.watch("waiting for partners to call", len(nodes), len(nodes))
