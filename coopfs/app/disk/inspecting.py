"""What `coopfs log PATH` shows: how far a file, or all below a directory, has got, and since when it is held."""

import stat
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import trio

from coopfs.app.disk.own_disk import OwnDisk, Watch
from coopfs.app.disk.status import date
from coopfs.limits import LISTING_PAGE, LOG_EXTENTS
from coopfs.local.nodes import Node
from coopfs.tasks.writing.file_state import STATES, StateOfFile


@dataclass(slots=True)
class _Sum:
    """Of a walk: entries and bytes by state, the newest change, and inodes with several names met so far."""

    entries: Counter[str] = field(default_factory=Counter)
    bytes: Counter[str] = field(default_factory=Counter)
    group: int = 0
    linked: set[int] = field(default_factory=set)


async def inspect(own: OwnDisk, path: Path, watch: Watch) -> dict[str, Any]:
    """UsageError: the path is not in the mount."""
    node = own.local.metadata.nodes.get(own.inode_at(path))
    if stat.S_ISDIR(node.mode):
        return {"path": str(path), "kind": "directory", **await _directory(own, node, watch)}
    return {"path": str(path), "kind": "file", **_file(own, node)}


def _file(own: OwnDisk, node: Node) -> dict[str, Any]:
    metadata, state_of = own.local.metadata, StateOfFile(own.ledger)
    group = metadata.images.newest_group(node)
    stripes = metadata.extents.stripes_of(node.ino)
    runs = metadata.extents.runs(node.ino, 0, node.size)
    return {
        "size": node.size,
        "stored": node.stored,
        "state": state_of.word(stripes, group),
        "share": state_of.share(stripes, group),
        **_times(own, group),
        "extents": [
            {
                "offset": run.offset,
                "length": run.length,
                "stripe": run.stripe,
                "state": state_of.word_of_stripe(run.stripe),
                "blocks": state_of.blocks(run.stripe)[0],
            }
            for run in runs[:LOG_EXTENTS]
        ],
        "more_extents": max(0, len(runs) - LOG_EXTENTS),
        "blocks_each": own.ledger.layout.n,
    }


async def _directory(own: OwnDisk, top: Node, watch: Watch) -> dict[str, Any]:
    total = _Sum()
    _count(own, top, total)
    waiting = [top.ino]
    while waiting:
        ino, after = waiting.pop(), 0
        while page := own.local.metadata.names.page(ino, after, LISTING_PAGE):
            for after, _, child in page:  # noqa: B007 (the last cookie is where the next page begins)
                node = own.local.metadata.nodes.get(child)
                if _count(own, node, total) and stat.S_ISDIR(node.mode):
                    waiting.append(child)
            watch("look at entries", sum(total.entries.values()), 0)
            await trio.lowlevel.checkpoint()
    worst = next(word for word in STATES if total.entries[word])
    return {
        "entries": {word: total.entries[word] for word in STATES},
        "bytes": {word: total.bytes[word] for word in STATES},
        "state": worst,
        **_times(own, total.group),
    }


def _count(own: OwnDisk, node: Node, total: _Sum) -> bool:
    """False: it was met under another name before."""
    if node.nlink > 1 and not stat.S_ISDIR(node.mode):
        if node.ino in total.linked:
            return False
        total.linked.add(node.ino)
    group = own.local.metadata.images.newest_group(node)
    word = StateOfFile(own.ledger).word_of_group(group)
    total.entries[word] += 1
    total.bytes[word] += node.stored
    total.group = max(total.group, group)
    return True


def _times(own: OwnDisk, group: int) -> dict[str, Any]:
    known = own.local.metadata.groups.get(group)  # not after a takeover: a rebuilt database begins with a new group
    closed = known.closed_at if known is not None else None
    since = own.chronicle.held_since(group) if group <= own.ledger.progress.barrier else None
    return {
        "group": group,
        "changed_at": None if closed is None else date(closed),
        "held_since": None if since is None else date(since),
    }
