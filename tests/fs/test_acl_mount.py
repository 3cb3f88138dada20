"""ACLs through the kernel: enforced for others, inherited whatever the umask is, carried by the usual tools."""

import os
import stat
import subprocess
from pathlib import Path

import pytest

from tests.fs.operations import ROOT, masking
from tests.fs.server import Server

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not ROOT, reason="only root can become somebody else"),
    pytest.mark.skipif(not os.access("/dev/fuse", os.R_OK | os.W_OK), reason="/dev/fuse cannot be opened"),
]

ALICE, BOB, STAFF, GUESTS = 1801, 1802, 1901, 1902
NAMES = ("system.posix_acl_access", "system.posix_acl_default")
TAR = "cd '{source}' && tar --acls -cf - . | tar -C '{target}' --acls -xpf -"


def tool(*command: str | Path) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def setfacl(*arguments: str | Path) -> None:
    tool("setfacl", *arguments)


def getfacl(top: Path) -> list[str]:
    """What it says of each file, not in the order of the directories."""
    said = subprocess.run(["getfacl", "-R", "-n", "-E", "."], cwd=top, check=True, capture_output=True, text=True)
    return sorted(said.stdout.split("\n\n"))


def succeeds(user: int, script: str, at: Path, groups: tuple[int, ...] = (GUESTS,)) -> bool:
    """Whether a shell script works for this user; groups: first the one that new files get."""
    done = subprocess.run(
        ["sh", "-c", f"umask 027; {script}"],
        cwd=at,
        user=user,
        group=groups[0],
        extra_groups=groups,
        capture_output=True,
    )
    return done.returncode == 0


def make_tree(top: Path) -> None:
    """What setfacl does in its many ways, and what is created below a default ACL."""
    with masking(0o077):
        (top / "plain").write_text("x")
        (top / "shared" / "deep").mkdir(parents=True)
        (top / "shared" / "deep" / "old").write_text("x")
        setfacl("-R", "-m", f"u:{ALICE}:rwX,g:{STAFF}:rX", top / "shared")
        setfacl("-R", "-d", "-m", f"u:{ALICE}:rwx,g:{STAFF}:rx,o::-", top / "shared")
        (top / "shared" / "new").write_text("x")
        (top / "shared" / "below" / "further").mkdir(parents=True)
        (top / "shared" / "below" / "further" / "newest").touch(mode=0o640)
        os.mkfifo(top / "shared" / "fifo", 0o622)
        (top / "shared" / "link").symlink_to("new")
        setfacl("-m", f"u:{BOB}:rwx,m::r", top / "plain")
        (top / "masked").touch()
        setfacl("-m", f"u:{BOB}:rw", top / "masked")
        (top / "masked").chmod(0o604)
        (top / "bare").touch()
        setfacl("-m", f"u:{BOB}:rw", top / "bare")
        setfacl("-b", top / "bare")
        (top / "forgets").mkdir()
        setfacl("-d", "-m", f"u:{BOB}:rw", top / "forgets")
        setfacl("-k", top / "forgets")


def test_tools_see_what_they_see_on_ext4_and_carry_it(open_server: Server, open_place: Path) -> None:
    source, made = open_place / "source", open_server.mountpoint / "made"
    for top in (source, made):
        top.mkdir()
        make_tree(top)
    wanted = getfacl(source)
    assert f"user:{ALICE}:rwx" in "".join(wanted)
    assert getfacl(made) == wanted
    assert not os.listxattr(made / "bare"), "what the mode can say is no attribute"
    copies = [open_server.mountpoint / name for name in ("rsync", "cp", "tar")]
    for copy in copies:
        copy.mkdir()
    tool("rsync", "-aHAX", f"{source}/", f"{copies[0]}/")
    tool("cp", "-a", f"{source}/.", copies[1])
    tool("sh", "-c", TAR.format(source=source, target=copies[2]))
    assert [getfacl(copy) for copy in copies] == [wanted] * 3
    open_server.stop()
    open_server.start()
    assert [getfacl(copy) for copy in (made, *copies)] == [wanted] * 4
    open_server.stop()


def test_the_kernel_enforces_them_for_others(open_server: Server) -> None:
    top = open_server.mountpoint / "top"
    top.mkdir(mode=0o700)
    (top / "letter").write_text("secret")
    (top / "letter").chmod(0o600)
    assert not succeeds(ALICE, "cat letter", top)
    setfacl("-m", f"u:{ALICE}:x", top)
    setfacl("-m", f"u:{ALICE}:rw,g:{STAFF}:r", top / "letter")
    assert succeeds(ALICE, "cat letter && echo more >>letter && ! ls", top)
    assert not succeeds(BOB, "cat letter", top)
    setfacl("-m", f"g:{STAFF}:rx", top)
    assert succeeds(BOB, "cat letter && ls && ! (echo more >>letter)", top, (GUESTS, STAFF))
    (top / "letter").chmod(0o640)  # the mask
    assert succeeds(ALICE, "cat letter && ! (echo more >>letter)", top)
    assert not succeeds(ALICE, "setfacl -m u::rwx letter", top), "it is not hers"
    setfacl("-x", f"u:{ALICE}", top / "letter")
    assert not succeeds(ALICE, "cat letter", top), "nor does the kernel remember"
    open_server.stop()


def test_what_others_create_is_theirs_and_follows_the_default(open_server: Server) -> None:
    top = open_server.mountpoint / "top"
    top.mkdir()
    setfacl("-m", f"u:{ALICE}:rwx", top)
    setfacl("-d", "-m", f"u:{BOB}:rwx", top)
    assert succeeds(ALICE, "touch file && mkdir dir && touch dir/mine", top)
    assert stat.S_IMODE((top / "file").stat().st_mode) == 0o664, "the umask does not count"
    assert succeeds(BOB, "echo x >>file && echo x >>dir/mine && ! touch new", top)
    assert succeeds(ALICE, "setfacl -b file && ! setfacl -b .", top)
    assert not succeeds(BOB, "echo x >>file", top)
    open_server.stop()


def test_who_is_not_in_the_group_loses_setgid_with_an_acl(open_server: Server, open_place: Path) -> None:
    """As on ext4: else anybody could make programs that run with a group's rights."""
    modes = []
    for top in (open_server.mountpoint, open_place):
        for number, groups in enumerate([(GUESTS,), (GUESTS, STAFF)]):
            program = top / f"program {number}"
            program.touch()
            os.chown(program, ALICE, STAFF)
            program.chmod(0o2755)
            assert succeeds(ALICE, f"setfacl -m u:{BOB}:rx '{program.name}'", top, groups)
            modes.append(stat.S_IMODE(program.stat().st_mode))
    assert modes == [0o755, 0o2755] * 2
    open_server.stop()


def test_bad_values_are_refused(open_server: Server) -> None:
    (open_server.mountpoint / "file").touch()
    (open_server.mountpoint / "link").symlink_to("file")
    bad = b"\2\0\0\0" + b"\1\0\7\0\xff\xff\xff\xff"
    minimal = bad + b"\4\0\0\0\xff\xff\xff\xff" + b"\x20\0\0\0\xff\xff\xff\xff"
    for name in NAMES:
        for path, value, answer in [
            ("file", b"\2\0\0\0x", "Invalid argument"),
            ("file", bad, "Invalid argument" if name == NAMES[0] else "Permission denied"),
            ("link", minimal, "not supported"),
        ]:
            with pytest.raises(OSError, match=answer):
                os.setxattr(open_server.mountpoint / path, name, value, follow_symlinks=False)
    open_server.stop()
