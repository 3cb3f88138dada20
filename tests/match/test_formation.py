"""Daemons that know nothing but a matching server become each other's partners, and make a disk."""

import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest

from coopfs.cli import client, detach
from coopfs.cli.detach import COOPFS
from coopfs.limits import MIB
from tests.e2e.commands import coopfs, well
from tests.e2e.waiting import until
from tests.match.daemons import serving

pytestmark = pytest.mark.slow

COUNT = 4
SETTINGS = """
match_servers = ["{server}", "http://127.0.0.1:1"]
match_partners = {partners}
match_size = "30M"
match_together = true
"""


@contextmanager
def daemon(home: Path, server: str, partners: int) -> Iterator[Path]:
    """A new node that looks for partners; it may be stopped before."""
    well(coopfs("init", "--name", home.name, "--listen", "127.0.0.1:0", home=home))
    file = home / "coopfs.toml"
    kept = [line for line in file.read_text().splitlines() if not line.startswith("match_")]
    file.write_text("\n".join(kept) + SETTINGS.format(server=server, partners=partners))
    log = home.with_suffix(".log")
    with log.open("wb") as output:
        child = subprocess.Popen([*COOPFS, "--home", str(home), "serve"], stdout=output, stderr=output)
    try:
        until(lambda: client.answers(home))
        yield home
    finally:
        child.terminate()
        assert child.wait(timeout=detach.START_TIMEOUT) == 0, log.read_text()
        assert "Traceback" not in log.read_text()


def test_from_nothing(tmp_path: Path) -> None:
    with ExitStack() as stack:
        server = stack.enter_context(serving(str(tmp_path / "match.sqlite"), tmp_path, "--together"))
        homes = [stack.enter_context(daemon(tmp_path / f"node-{number}", server, COUNT - 1)) for number in range(COUNT)]

        def lacking() -> list[int]:
            return [client.call(home, "status")["matching"]["lacking"] for home in homes]

        until(lambda: lacking() == [0] * COUNT)
        for home in homes:
            entries = client.call(home, "partner_list")["partners"]
            assert {entry["name"] for entry in entries} == {other.name for other in homes} - {home.name}
            assert {(entry["given"], entry["taken"]) for entry in entries} == {(16 * MIB, 16 * MIB)}
        said = well(coopfs("partner", "find", home=homes[0]))
        assert "there are all the 3 partners that are wanted" in said.out
        assert "127.0.0.1:1: the matching server cannot be reached" in said.err
        well(coopfs("format", "--data", "2", "--redundancy", "1", "--block-size", "64K", home=homes[0]))
        status = httpx.get(f"{server}/v0/status").json()
        assert (status["members"], len(status["matches"])) == (COUNT, COUNT * (COUNT - 1) // 2)
        assert "all 3 partners that are wanted are there" in well(coopfs("status", home=homes[0])).out


def test_who_is_lost_is_followed_by_somebody_else(tmp_path: Path) -> None:
    with ExitStack() as stack:
        server = stack.enter_context(serving(str(tmp_path / "match.sqlite"), tmp_path, "--together"))
        homes = [stack.enter_context(daemon(tmp_path / f"node-{number}", server, 2)) for number in range(3)]
        owner = homes[0]
        until(lambda: [client.call(each, "status")["matching"]["lacking"] for each in homes] == [0, 0, 0])
        well(coopfs("format", "--data", "1", "--redundancy", "1", "--block-size", "128K", home=owner))
        aunt = stack.enter_context(daemon(tmp_path / "aunt", server, 0))
        code = client.call(aunt, "partner_invite", {"size": MIB})["code"]
        well(coopfs("partner", "add", "--master-only", code, home=owner))  # who is none of the two that are wanted
        mountpoint = tmp_path / "mnt"
        mountpoint.mkdir()
        well(coopfs("mount", str(mountpoint), home=owner))
        (mountpoint / "file").write_bytes(b"kept" * 100_000)
        well(coopfs("sync", "--complete", home=owner))
        client.call(homes[2], "stop")
        until(lambda: not client.answers(homes[2]))
        stack.enter_context(daemon(tmp_path / "heir", server, 2))
        assert "this node looks for another, or" in well(coopfs("partner", "lose", "node-2", home=owner)).out

        def holders() -> dict[str, str]:
            columns = client.call(owner, "status")["disk"]["columns"]
            return {column["partner"]: column["state"] for column in columns}

        until(lambda: holders() == {"node-1": "caught up", "heir": "caught up"}, patience=120)
        well(coopfs("sync", "--complete", home=owner))
        assert "node-2 is lost. heir gets its part of the disk" in owner.with_suffix(".log").read_text()
        well(coopfs("check", "--deep", home=owner))
        assert (mountpoint / "file").read_bytes() == b"kept" * 100_000
        well(coopfs("umount", home=owner))
