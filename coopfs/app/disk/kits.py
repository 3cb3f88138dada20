"""Recovery kits of this node's disk: with all power, or for a reader whom the partners are told to let in (design R14,
R16).
"""

import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import trio

from coopfs.app.disk.own_disk import OwnDisk
from coopfs.app.disk.status import date
from coopfs.app.requests import FOREVER
from coopfs.core.identity import SEED_SIZE, Identity
from coopfs.core.kit import Kit, KitDisk, KitPartner
from coopfs.core.master import VAULT
from coopfs.limits import GRANT_PATIENCE
from coopfs.local.partners import PartnerEntry
from coopfs.types import NodeKey

Addresses = Mapping[NodeKey, tuple[str, ...]]


async def whole(own: OwnDisk, name: str, seed: bytes, entries: Sequence[PartnerEntry]) -> Kit:
    """The kit that can take this node's place. seed: its identity; entries: all partners, of whom it names those too
    that only store here: after a takeover they must be told where this node is."""
    if own.trouble is None:
        await own.keeper.move_floor()
    kit = _kit(own, name, seed, {entry.key: entry.addresses for entry in entries})
    named = {partner.node for partner in kit.partners}
    others = tuple(KitPartner(e.key, e.name, e.addresses) for e in entries if e.key not in named)
    return replace(kit, partners=kit.partners + others)


async def read_only(own: OwnDisk, name: str, known: Addresses, until: int) -> tuple[Kit, int]:
    """A kit that can only read, until a time in seconds since 1970, and how many partners have let its reader in yet.

    Saved, then told; GRANT_PATIENCE is waited for the partners that are up. UsageError: too many. StateError.
    """
    seed = secrets.token_bytes(SEED_SIZE)
    reader = Identity.from_seed(seed).key
    own.readers.add(reader, until, int(time.time()), own.keys.newest)
    await own.committer.commit()
    told = await _tell(own, reader)
    await own.keeper.move_floor()
    kit = _kit(own, name, seed, known)
    disks = tuple(replace(disk, keys=disk.keys.readers()) for disk in kit.disks)
    return replace(kit, disks=disks), told


async def revoke(own: OwnDisk, prefix: str) -> dict[str, Any]:
    """Take a reader back, as `read_only` lets one in. UsageError: none or several keys begin so."""
    reader = own.readers.revoke(prefix)
    await own.committer.commit()
    return {"reader": reader.key.hex(), "told": await _tell(own, reader.key), "partners": len(own.columns.columns)}


def describe_readers(own: OwnDisk) -> list[dict[str, Any]]:
    """Who is let in to read, until when, and how many partners know."""
    return [
        {
            "reader": reader.key.hex(),
            "revoked": reader.until == 0,
            "until": None if reader.until in (0, FOREVER) else date(reader.until),
            "told": len(reader.told),
            "older": reader.read_key < own.keys.ages[-1].id,
            "partners": len(own.columns.columns),
        }
        for reader in own.readers.all()
    ]


async def _tell(own: OwnDisk, key: NodeKey) -> int:
    """How many partners know what stands about this reader, once all that are up have been told."""

    def told() -> int:
        return next((len(r.told) for r in own.readers.all() if r.key == key), len(own.columns.columns))

    own.granter.changed.notify()
    with trio.move_on_after(GRANT_PATIENCE):
        await own.granter.changed.wait_until(lambda: told() >= own.columns.reached)
    await own.committer.commit()
    return told()


def _kit(own: OwnDisk, name: str, seed: bytes, known: Addresses) -> Kit:
    stores = {store.node: store for store in own.keeper.stores if store.role != VAULT}.values()
    listed = tuple(KitPartner(s.node, s.name, known.get(s.node, s.addresses)) for s in stores)
    keys = own.keys.with_secrets(own.keys.secrets)  # as they are now
    return Kit(name, seed, (KitDisk(keys, own.keeper.block.floor),), listed, int(time.time()))
