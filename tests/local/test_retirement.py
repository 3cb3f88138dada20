"""Retiring heads: whatever happens in between, what is left of the log says what the tables say (R3, R4)."""

from pathlib import Path
from random import Random

import pytest

from coopfs.core.header import NO_PLACE
from coopfs.core.records import Record, decode_all
from coopfs.fs.disk import Disk
from coopfs.local.groups import State
from coopfs.local.log import Log, Sealed
from coopfs.local.retirement import Retirement
from coopfs.types import Kind, Place, make_version
from tests.fs.operations import Chooser, OurSide
from tests.fs.parts import close_group, commit, drop_slowly, new_disk, open_disk, ticking
from tests.local.test_images import groups_of, newest_images, tables_of

STEPS = 300


class Chain:
    """The sealed part of a log: one meta stripe for each closed group, its records kept here as if on the partners."""

    def __init__(self, disk: Disk) -> None:
        self.records: dict[int, list[Record]] = {}  # stripe -> records
        self.open(disk)

    def open(self, disk: Disk) -> None:
        """After a start: what was not committed is forgotten."""
        self.disk = disk
        self.log = Log(disk.database, disk.metadata.stripes.take_id)
        self.retirement = Retirement(disk.metadata, self.log)
        alive = [i for (i,) in disk.database.read("SELECT id FROM stripes WHERE kind != ?", (Kind.DATA,))]
        self.records = {id_: self.records[id_] for id_ in alive}

    def seal(self) -> None:
        """The oldest closed group goes into a meta stripe."""
        closed = self.log.groups(State.CLOSED)
        if not closed:
            return
        told = list(self.log.images(closed[0]))
        id_ = self.log.new_stripe_id()
        place = Place(make_version(1, id_), id_)
        stripe = Sealed(id_, Kind.END, closed[0], None, 1, 0, (), b"", place, NO_PLACE, 0)
        self.log.add_meta(stripe, b"", [key for key, _ in told if key is not None])
        self.log.drop_images(closed[0])
        self.log.set_state(closed[0], State.SEALED)
        self.records[id_] = [record for _, image in told for record in decode_all(image)]

    def groups(self) -> list[list[Record]]:
        """What a restore would read at the end of the open group, oldest first."""
        query = "SELECT id FROM stripes WHERE kind != ? AND died IS NULL ORDER BY version"
        sealed = [self.records[id_] for (id_,) in self.disk.database.read(query, (Kind.DATA,))]
        return sealed + groups_of(self.disk)


@pytest.mark.parametrize("seed", range(25))
def test_what_is_left_of_the_log_is_the_disk(seed: int, tmp_path: Path) -> None:
    random = Random(seed)
    chooser = Chooser(random)
    clock = ticking()
    ours = OurSide(new_disk(tmp_path, clock=clock))
    chain = Chain(ours.disk)
    retired = 0
    for step in range(STEPS):
        drop_slowly(ours.disk, seed)
        ours.apply(chooser.next())
        match random.randrange(20):
            case 0:
                commit(ours.disk)
            case 1:
                close_group(ours.disk)
            case 2 | 3:
                chain.seal()
            case 4 | 5 | 6 if chain.log.chain.length():
                retired += chain.retirement.step(random.randrange(1, 12))
            case 8:
                ours.disk.metadata.reclaim()
            case 7 if random.random() < 0.3:
                commit(ours.disk)
                if chain.log.chain.length() and random.random() < 0.5:
                    chain.retirement.step(5)  # marked and not committed: the crash forgets it
                ours.disk.close()
                ours = OurSide(open_disk(tmp_path, clock))
                chain.open(ours.disk)
                ours.disk.bury_orphans()
            case _:
                continue
        commit(ours.disk)
        assert newest_images(chain.groups()) == tables_of(ours.disk), f"seed {seed} step {step}"
    assert retired > 2
    ours.disk.close()


def test_a_head_costs_only_what_is_still_newest(tmp_path: Path) -> None:
    side = OurSide(new_disk(tmp_path))
    for name in (b"a", b"b", b"c"):
        side.apply(("create", ((name,), 0o644)))
    close_group(side.disk)
    chain = Chain(side.disk)
    chain.seal()
    side.apply(("chmod", ((b"b",), 0o600)))
    close_group(side.disk)
    chain.seal()
    assert chain.retirement.step(100)
    assert close_group(side.disk) == 3
    told = [key for key, _ in chain.log.images(3)]
    assert told == [(1, 1, 0), (1, 2, 0), (1, 4, 0)], "the root and a and c; b has a newer image"
    side.disk.close()
