"""After a repair nobody goes on with what they remembered of the damaged tables."""

from pathlib import Path

import pytest
import trio

from coopfs.core import acl
from coopfs.core.acl import Acl, Entry, Tag
from coopfs.core.findings import AddName, Adjust, AdjustTotals, Bury, Fix, RemoveName, Sum
from coopfs.core.records import Extent, Image, Inode, Name, Xattr
from coopfs.core.stale import Stale, stale_by_fix, stale_by_image
from coopfs.fs.attributes import CAPABILITY
from coopfs.fs.callers import ROOT
from coopfs.fs.posix import PosixError
from coopfs.limits import ROOT_INO
from tests.sim.owner import Owner
from tests.sim.world import Geometry
from tests.tasks.homes import SETTLED, group_of, play
from tests.tasks.test_check import damage, look, some_tree

NAMED = (
    *(Entry(Tag.OWNER, 7), Entry(Tag.USER, 7, 1000), Entry(Tag.OWNING_GROUP, 7)),
    *(Entry(Tag.MASK, 7), Entry(Tag.OTHER, 0)),
)


def test_attributes_that_were_believed_to_be_absent_are_there_again(tmp_path: Path) -> None:
    async def main(owner: Owner) -> None:
        await some_tree(owner)
        disk = owner.own.disk
        d = disk.tree.lookup(ROOT_INO, b"d").ino
        disk.attributes.set(d, acl.DEFAULT, Acl(NAMED).encode(), 0, ROOT)
        disk.attributes.set(d, CAPABILITY, b"some", 0, ROOT)
        await group_of(owner, b"c")
        await trio.sleep(SETTLED)
        await damage(owner, f"DELETE FROM xattrs WHERE ino = {d}")
        await owner.apply(("create", ((b"d", b"bare"), 0o644)))
        assert owner.own.local.metadata.xattrs.names(disk.tree.lookup(d, b"bare").ino) == []
        with pytest.raises(PosixError):
            disk.attributes.get(d, CAPABILITY)
        answer = await look(owner, repair=True)
        assert answer["repaired"] >= 2, answer
        assert disk.attributes.get(d, CAPABILITY) == b"some"
        await owner.apply(("create", ((b"d", b"heir"), 0o644)))
        assert owner.own.local.metadata.xattrs.names(disk.tree.lookup(d, b"heir").ino) == [acl.ACCESS]

    play(tmp_path, Geometry(2, 1), main)


PLAIN = (0o100644, 0, 0, 1, 0, 0, 0, 0, 0)


@pytest.mark.parametrize(
    ("image", "stale"),
    [
        (Inode(7, *PLAIN, parent=1, name=b"a"), [(7, None), (1, b"a")]),
        (Inode(7, *PLAIN), [(7, None)]),
        (Name(1, b"b", 7), [(7, None), (1, b"b")]),
        (Xattr(7, b"user.x", b""), [(7, None)]),
        (Extent(7, 0, 1, 1, 0, 1, 1), [(7, None)]),
    ],
    ids=["inode", "unnamed inode", "name", "xattr", "extent"],
)
def test_what_an_image_makes_stale(image: Image, stale: list[Stale]) -> None:
    assert list(stale_by_image(image)) == stale


@pytest.mark.parametrize(
    ("fix", "stale"),
    [
        (Adjust(Sum.LINKS, 7, 1), [(7, None)]),
        (Adjust(Sum.STORED, 7, 1), [(7, None)]),
        (Adjust(Sum.LIVE, 7, 1), []),
        (AdjustTotals(1, 1, 1, 1), []),
        (AddName(1, b"a", 7), [(7, None), (1, b"a")]),
        (RemoveName(1, b"a"), [(1, b"a")]),
        (Bury(7), [(7, None)]),
    ],
    ids=repr,
)
def test_what_a_fix_makes_stale(fix: Fix, stale: list[Stale]) -> None:
    assert list(stale_by_fix(fix)) == stale
