"""What `coopfs status` shows of the node and its partners: plain values, for people and for programs."""

from collections.abc import Sequence
from typing import Any

from coopfs.app.disk.status import date
from coopfs.app.partners.promises import Promised
from coopfs.core.agreement import Agreement
from coopfs.core.choice import expected
from coopfs.core.promise import promised_share
from coopfs.local.hosted.endings import Ending
from coopfs.local.hosted.hosting import Hosting
from coopfs.local.partners import PartnerEntry
from coopfs.net.relayed import Waiting
from coopfs.net.roster import Roster
from coopfs.tasks.attendant import Attendant


def describe_uptime(seen: tuple[float, int] | None) -> dict[str, Any] | None:
    """The share of the time that a node was up in the last 90 days, and of how many hours seen."""
    return None if seen is None else {"share": round(seen[0], 4), "hours": seen[1] // 3600}


def describe_promise(promised: Promised | None) -> dict[str, Any] | None:
    """The uptime that this node has promised, of several the one that is nearest to being broken: the share kept, and
    seconds that it may still be down."""
    if promised is None:
        return None
    kept = promised.kept
    told = {"level": promised.level, "share": round(kept.share, 4), "wanted": kept.wanted}
    return {**told, "seconds_left": kept.left, "state": str(kept.state), "warning": promised.warning or None}


def describe_partner(
    entry: PartnerEntry, agreed: Agreement | None, roster: Roster, attendant: Attendant
) -> dict[str, Any]:
    """One partner: bytes given and taken, since when, what uptime both have promised; whether it is up, by which way,
    why not, and how much it was; expected: the share of the time that it is taken to be up."""
    link, seen = roster.live(entry.key), attendant.share(entry.key)
    promised = None if agreed is None else promised_share(agreed.uptime)
    return {
        "name": entry.name,
        "key": entry.key.hex(),
        "addresses": list(entry.addresses),
        "up": link is not None,
        "way": None if link is None else {"address": link.at, "dialled": link.dialled},
        "trouble": roster.trouble.get(entry.key),
        "given": entry.given,
        "taken": entry.taken,
        "last_seen": None if entry.last_seen is None else date(entry.last_seen),
        "ended": False,
        "since": None if agreed is None else date(agreed.start),
        "promised": None if agreed is None else agreed.uptime or None,
        "uptime": describe_uptime(seen),
        "expected": expected(seen, promised),
    }


def describe_ending(ending: Ending, roster: Roster, attendant: Attendant) -> dict[str, Any]:
    """Who was a partner and does not know yet that the agreement is over: as a partner that gives nothing."""
    entry = PartnerEntry(ending.name, ending.peer, ending.addresses, 0, 0)
    return {**describe_partner(entry, None, roster, attendant), "ended": True}


def describe_relays(relays: Sequence[str], waiting: Waiting) -> list[dict[str, Any]]:
    """The relays of this node: whether it waits there, why not."""
    return [{"address": at, "up": at in waiting.up, "trouble": waiting.trouble.get(at)} for at in relays]


def describe_hosted(hosting: Hosting, names: dict[bytes, str]) -> list[dict[str, Any]]:
    """The stores kept for others."""
    return [
        {
            "partner": names.get(store.peer, store.peer.hex()[:12]),
            "disk": store.disk.hex(),
            "store": store.store.hex(),
            "rows": store.rows,
            "used": store.used,
        }
        for store in hosting.hosted()
    ]
