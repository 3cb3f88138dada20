"""Replay, newest group first, against a disk that applies operations in order (design R3, R4)."""

import random
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from coopfs.core import records
from coopfs.core.records import Extent, Image, Inode, Name, Record, Tombstone, Truncate, Type, Xattr
from coopfs.core.replay import Replay

Key = tuple[Any, ...]


def replayed(groups: Iterable[list[Record]]) -> dict[Key, Image]:
    """The state after groups that are given newest first, each through its encoding."""
    state: dict[Key, Image] = {}
    replay = Replay()
    for group in groups:
        for image in replay.group(records.decode_all(records.join(map(records.encode, group)))):
            state.setdefault(records.key_of(image), image)
    return {key: image for key, image in state.items() if key[0] != Type.TRUNCATE}


class Disk:
    """The naive model: what is there now, the images of the open group, and the groups closed so far."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.state: dict[Key, Image] = {}
        self.groups: list[list[Record]] = []
        self.states: list[dict[Key, Image]] = []
        self.open: dict[Key, Record] = {}
        self.where: dict[Key, int] = {}  # newest closed group that has an image of this key
        self.next_ino = 1

    def put(self, image: Image) -> None:
        key = records.key_of(image)
        self.state[key] = image
        self.open[key] = image

    def remove(self, key: Key) -> None:
        """A tombstone, unless the key was born in this group."""
        del self.state[key]
        self.open.pop(key, None)
        if any(key in map(records.key_of, group) for group in self.groups):
            self.open[key] = Tombstone(key)

    def inode(self, ino: int) -> Inode:
        image = self.state[Type.INODE, ino]
        assert isinstance(image, Inode)
        return image

    def touch(self, ino: int) -> None:
        size = max((e.end for e in self.extents(ino)), default=0)
        self.put(Inode(ino, 0o100644, 0, 0, 1, 0, size, 0, self.random.randrange(10**9), 0, 1, b"n%d" % ino))

    def inos(self) -> list[int]:
        return [key[1] for key in self.state if key[0] == Type.INODE]

    def extents(self, ino: int) -> list[Extent]:
        return [e for e in self.state.values() if isinstance(e, Extent) and e.ino == ino]

    # --- operations -----------------------------------------------------------------------------------------------

    def create(self) -> None:
        self.touch(self.next_ino)
        self.next_ino += 1

    def write(self, ino: int) -> None:
        offset = self.random.randrange(1, 9) * 100
        self.put(Extent(ino, offset, 100, self.random.randrange(50), self.random.randrange(999), 100, 100))
        self.touch(ino)

    def truncate(self, ino: int) -> None:
        size = self.random.randrange(900)
        for e in self.extents(ino):
            if e.offset >= size:
                del self.state[records.key_of(e)]
                self.open.pop(records.key_of(e), None)
            elif e.end > size:
                self.put(Extent(ino, e.offset, size - e.offset, e.stripe, e.at, size - e.offset, size - e.offset))
        previous = self.open.get((Type.TRUNCATE, ino))
        least = min(size, previous.size) if isinstance(previous, Truncate) else size
        self.open[Type.TRUNCATE, ino] = Truncate(ino, least)
        self.touch(ino)

    def punch(self, ino: int) -> None:
        for e in self.extents(ino)[:1]:
            self.remove(records.key_of(e))

    def xattr(self, ino: int) -> None:
        name = self.random.choice([b"user.a", b"user.b"])
        if (Type.XATTR, ino, name) in self.state and self.random.random() < 0.5:
            self.remove((Type.XATTR, ino, name))
        else:
            self.put(Xattr(ino, name, b"%d" % self.random.randrange(99)))

    def link(self, ino: int) -> None:
        name = self.random.choice([b"x", b"y", b"z"])
        if (Type.NAME, 1, name) in self.state:
            self.remove((Type.NAME, 1, name))
        else:
            self.put(Name(1, name, ino))

    def unlink(self, ino: int) -> None:
        """The inode with all that is its own: one tombstone; its further names one by one."""
        for key, image in list(self.state.items()):
            if isinstance(image, Name) and image.ino == ino:
                self.remove(key)
            elif isinstance(image, Extent | Xattr) and image.ino == ino:
                del self.state[key]
        for key in [k for k in self.open if k[0] in (Type.EXTENT, Type.XATTR, Type.TRUNCATE) and k[1] == ino]:
            del self.open[key]
        self.remove((Type.INODE, ino))

    def step(self) -> None:
        inos = self.inos()
        operation = self.random.choice(
            [self.write] * 4 + [self.truncate, self.punch, self.xattr, self.link, self.unlink]
        )
        if not inos or self.random.random() < 0.15:
            self.create()
        else:
            operation(self.random.choice(inos))

    def close(self) -> None:
        group = list(self.open.values())
        self.random.shuffle(group)  # the order within a group means nothing
        self.groups.append(group)
        self.states.append(dict(self.state))
        self.open = {}

    def retire_oldest(self, first: int) -> None:
        """Copy what is newest in group `first` into the open group, then close: what retiring a head does (R3)."""
        newer = {records.key_of(r) for group in self.groups[first + 1 :] for r in group}
        for record in self.groups[first]:
            key = records.key_of(record)
            if key in self.state and key not in newer and self.state[key] == record:
                self.open.setdefault(key, record)


def history(seed: int) -> Disk:
    disk = Disk(seed)
    for _ in range(disk.random.randrange(1, 12)):
        for _ in range(disk.random.randrange(1, 12)):
            disk.step()
        disk.close()
    return disk


def test_replay_of_any_prefix_is_the_disk_at_that_moment() -> None:
    for seed in range(300):
        disk = history(seed)
        for moment, state in enumerate(disk.states):
            assert replayed(reversed(disk.groups[: moment + 1])) == state, f"seed {seed}, group {moment}"


def test_heads_can_be_retired_one_after_the_other() -> None:
    for seed in range(100):
        disk = history(seed)
        for first in range(len(disk.groups) + 3):
            disk.retire_oldest(first)
            disk.step()
            disk.close()
            assert replayed(reversed(disk.groups[first + 1 :])) == disk.state, f"seed {seed}, head {first}"


def test_what_is_left_of_the_head_group_is_applied_whole() -> None:
    """The head may move into the middle of a group: what stays of that group counts, what went is copied."""
    for seed in range(200):
        disk = history(seed)
        disk.retire_oldest(0)
        disk.close()
        keep = disk.random.randrange(len(disk.groups[0]) + 1)
        state = replayed([*reversed(disk.groups[1:]), disk.groups[0][:keep]])
        assert state == disk.state, f"seed {seed}, {keep} records kept"


def test_a_group_does_not_kill_its_own_images() -> None:
    extent = Extent(7, 100, 10, 1, 0, 10, 10)
    assert replayed([[Truncate(7, 5), extent]]) == {records.key_of(extent): extent}
    assert replayed([[Truncate(7, 5)], [extent]]) == {}


def test_the_least_of_several_truncates_counts() -> None:
    extents = [Extent(7, at, 10, 1, 0, 10, 10) for at in (10, 20, 30)]
    groups: list[list[Record]] = [[Truncate(7, 30)], [Truncate(7, 15)], [Truncate(7, 25)], list(extents)]
    kept: dict[Key, set[int]] = defaultdict(set)
    for key in replayed(groups):
        kept[key[:2]].add(key[2])
    assert kept == {(Type.EXTENT, 7): {10}}


def test_one_tombstone_kills_an_inode_with_its_extents_and_xattrs_and_nothing_else() -> None:
    mine: list[Record] = [Inode(7, 0o100644, 0, 0, 1, 0, 9, 0, 0, 0), Extent(7, 5, 4, 1, 0, 4, 4), Xattr(7, b"a", b"")]
    other: list[Record] = [Inode(8, 0o100644, 0, 0, 1, 0, 9, 0, 0, 0), Extent(8, 5, 4, 1, 0, 4, 4), Xattr(8, b"a", b"")]
    state = replayed([[Tombstone((Type.INODE, 7))], mine + other])
    assert list(state.values()) == other
