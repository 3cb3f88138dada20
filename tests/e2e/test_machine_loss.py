"""The main job: back up with real tools, lose the machine and partners, see everything again."""

import os
import shutil
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from coopfs.demo import mounts
from coopfs.demo.compare import compare
from tests.e2e.commands import coopfs, tool, well
from tests.e2e.trees import inodes, make_tree
from tests.e2e.waiting import until
from tests.e2e.world import PARTNERS, Owner, World


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    top = make_tree(tmp_path_factory.mktemp("original") / "tree", seed=1)
    yield top
    shutil.rmtree(top)


# tar stores no sockets, and hard links of files and symbolic links only
TAR_LOSES = frozenset({"tree/special", "tree/special/socket", "tree/special/character again"})


def rsync(tree: Path, target: Path) -> None:
    tool("rsync", "-aHAXS", "--", tree, f"{target}/")


def tar(tree: Path, target: Path) -> None:
    """What tar cannot keep is TAR_LOSES."""
    archive = target.parent / "archive.tar"
    flags: list[str | Path] = ["--format=posix", "--xattrs", "--xattrs-include=*", "--sparse", "-f", archive]
    tool("tar", "-c", "--exclude=tree/special/socket", *flags, "-C", tree.parent, tree.name)
    tool("tar", "-x", "-p", "--numeric-owner", *flags, "-C", target)
    archive.unlink()


def same(tree: Path, copies: Path, *, but: frozenset[str] = frozenset()) -> None:
    """Every byte and attribute, except of the paths in `but`."""
    result = compare([tree], copies, watch=lambda done: None)
    differences = [difference for difference in result.differences if difference.path not in but]
    assert not differences, "\n".join(map(str, differences[:20]))
    assert result.entries > 600


def burn(owner: Owner, *, partners: tuple[str, ...]) -> None:
    """Lose the machine and these partners."""
    owner.export_kit()
    owner.lose()
    owner.world.kill(*partners)


def test_complete_survives_the_machine_and_two_partners(world: World, tree: Path, tmp_path: Path) -> None:
    owner = world.owner("erin")
    mnt = owner.mount()
    rsync(tree, mnt)
    same(tree, mnt)
    holes = mnt / "tree" / "content" / "only a hole"
    assert holes.stat().st_blocks < 10, "holes cost nothing"
    assert tool("rsync", "-aHAXSni", "--", tree, f"{mnt}/") == "", "a second run finds nothing to do"
    owner.sync(complete=True)
    before = inodes(mnt)
    burn(owner, partners=("p3", "p6"))

    said = well(owner.restore())
    assert "the newest whole state is of " in said.err
    same(tree, owner.view)
    assert inodes(owner.view) == before
    with pytest.raises(OSError, match="Read-only"):
        (owner.view / "new").touch()
    _partners_come_and_go(owner, tree)
    mounts.unmount(owner.view)

    well(coopfs("restore", "copy", owner.kit, tmp_path / "copy"))
    same(tree, tmp_path / "copy")
    copied = (tmp_path / "copy" / "tree" / "content" / "holes").stat()
    assert copied.st_blocks * 512 < 1_000_000


def _partners_come_and_go(owner: Owner, tree: Path) -> None:
    """With p3 and p6 gone, six are left of the six that are needed: the loss of one more stops reading, not the view;
    when others come back it goes on."""
    world = owner.world
    contents: list[bytes | OSError] = []

    def read() -> None:
        try:
            contents.append((owner.view / "tree" / "content" / "big").read_bytes())
        except OSError as error:
            contents.append(error)

    _forget_pages()
    world.kill("p1")
    until(lambda: "p1" in owner.view_log)
    reader = threading.Thread(target=read)
    reader.start()
    assert (owner.view / "tree" / "names" / "-rf").lstat().st_size == 3, "metadata needs no partner"
    until(lambda: "missing p1, p3, p6" in owner.view_log)
    assert not contents
    assert _state(owner) == b"not readable now: missing p1, p3, p6"
    world.restart("p3")
    reader.join()
    assert contents == [(tree / "content" / "big").read_bytes()]
    until(lambda: _state(owner) == b"readable")
    world.kill("p2")
    world.restart("p1")
    _forget_pages()
    same(tree, owner.view)
    world.restart("p2", "p6")


def _state(owner: Owner) -> bytes:
    return os.getxattr(owner.view / "tree" / "content" / "big", "user.coopfs.state")


def _forget_pages() -> None:
    """Make the kernel ask the view again."""
    Path("/proc/sys/vm/drop_caches").write_text("3")


def test_held_survives_the_machine_and_one_partner(world: World, tree: Path) -> None:
    owner = world.owner("frank")
    mnt = owner.mount()
    world.kill("p8")
    tar(tree, mnt)
    same(tree, mnt, but=TAR_LOSES)
    owner.sync(complete=False)
    assert os.getxattr(mnt / "tree" / "content" / "big", "user.coopfs.state").startswith(b"held ")
    owner.export_kit()
    owner.lose()
    world.restart("p8")  # it has nothing of this
    world.kill("p4")

    well(owner.restore())
    same(tree, owner.view, but=TAR_LOSES)
    assert stat.S_ISFIFO((owner.view / "tree" / "special" / "fifo").stat().st_mode)


def test_the_view_of_an_older_state_is_not_shown_in_silence(world: World) -> None:
    """1+1 with one partner gone: the other may lack something newer, so it asks; away from a terminal it ends."""
    owner = world.owner("grace", data=1, redundancy=1, partners=PARTNERS[:2])
    (owner.mount() / "a").write_text("held")
    owner.sync(complete=True)
    burn(owner, partners=("p2",))
    said = owner.restore()
    assert said.code == 9
    assert "p2" in said.line
    assert "--accept-older" in said.line
    well(owner.restore("--accept-older"))
    assert (owner.view / "a").read_text() == "held"


def test_too_few_partners_are_named(world: World, tmp_path: Path) -> None:
    owner = world.owner("heidi", data=2, redundancy=1, partners=PARTNERS[:3])
    (owner.mount() / "a").write_text("a")
    owner.sync(complete=True)
    burn(owner, partners=("p1", "p3"))
    for said in (
        owner.restore("--accept-older"),
        coopfs("restore", "copy", "--accept-older", owner.kit, tmp_path / "x"),
    ):
        assert said.code == 9
        assert "p1" in said.line
        assert "p3" in said.line
    world.restart("p3")
    well(owner.restore("--accept-older"))
    assert (owner.view / "a").read_text() == "a"


def test_a_read_only_kit_restores_until_it_is_taken_back(world: World, tmp_path: Path) -> None:
    owner = world.owner("ivan", data=2, redundancy=1, partners=PARTNERS[:3])
    (owner.mount() / "a").write_text("shared")
    owner.sync(complete=True)
    kit = tmp_path / "reader.kit"
    phrase = tmp_path / "phrase"
    phrase.write_text("horse\n")
    made = well(coopfs("kit", "export", "--read-only", "--passphrase-file", phrase, kit, home=owner.home))
    assert "3 of 3 partners know it" in made.out
    shown = well(coopfs("kit", "show", "--passphrase-file", phrase, kit)).out
    assert "read only" in shown
    reader = next(line.split()[1] for line in shown.splitlines() if line.startswith("reader"))
    assert reader[:12] in well(coopfs("kit", "readers", home=owner.home)).out
    copy = ("restore", "copy", "--passphrase-file", phrase, kit)
    well(coopfs(*copy, tmp_path / "beside"))
    assert (tmp_path / "beside" / "a").read_text() == "shared"
    (owner.mount_point / "b").write_text("the owner goes on")
    owner.sync(complete=True)

    assert coopfs("kit", "revoke", "no such", home=owner.home).code == 2
    well(coopfs("kit", "revoke", reader[:12], home=owner.home))
    said = coopfs(*copy, tmp_path / "late")
    assert said.code == 9
    assert "no agreement" in said.line
    assert "no read-only kit" in well(coopfs("kit", "readers", home=owner.home)).out
    well(coopfs("kit", "export", "--read-only", tmp_path / "another.kit", home=owner.home))
    owner.lose()
    well(coopfs("restore", "copy", tmp_path / "another.kit", tmp_path / "after"))
    assert (tmp_path / "after" / "b").read_text() == "the owner goes on"
