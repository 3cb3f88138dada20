"""Nodes behind real NAT: one reachable end is enough for a partnership, and where there is none, a relay.

Each network is a set of namespaces that the test makes and takes down again.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from coopfs.config import Config
from coopfs.demo import mounts
from tests.e2e.commands import coopfs, mount_coopfs, well
from tests.e2e.internet import OPEN, PORT, ROUTER_A, Internet
from tests.e2e.waiting import until

SIZE = 48 << 20
DISK = {"data": 1, "redundancy": 0, "block_size": 128 << 10, "partners": None, "no_redundancy": True}


@pytest.fixture
def internet(tmp_path: Path) -> Iterator[Internet]:
    with Internet(tmp_path) as internet:
        yield internet


def swap(internet: Internet, inviter: str, acceptor: str) -> None:
    code = internet.call(inviter, "partner_invite", size=SIZE)["code"]
    internet.call(acceptor, "partner_accept", code=code)


def partners(internet: Internet, name: str) -> dict[str, dict[str, Any]]:
    told: Any = internet.call(name, "partner_list")["partners"]
    return {partner["name"]: partner for partner in told}


def own_addresses(internet: Internet, name: str) -> list[str]:
    """What a node gives to others."""
    told: Any = internet.call(name, "status")["node"]
    return list(told["listen"])


def way(internet: Internet, name: str, partner: str) -> str | None:
    """By which address they are connected now."""
    found = partners(internet, name)[partner]["way"]
    return None if found is None else str(found["address"])


def write_and_lose(internet: Internet, owner: str, mnt: Path) -> Path:
    """Something that all partners have; then the machine is gone. The kit."""
    mnt.mkdir()
    well(mount_coopfs(internet.work / owner, mnt))
    try:
        (mnt / "file").write_text("kept")
        well(coopfs("sync", "--complete", home=internet.work / owner))
        kit = internet.work / "kit"
        well(coopfs("kit", "export", kit, home=internet.work / owner))
        internet.kill(owner)
    finally:
        mounts.unmount(mnt)
    return kit


def test_two_nodes_behind_nat_hold_data_through_a_relay(internet: Internet, tmp_path: Path) -> None:
    """When the machine is gone, a restore finds the partner by the relay in the kit."""
    relay = internet.relay()
    for name, space in (("alice", "a"), ("bob", "b")):
        internet.node(name, space, Config(name, relays=(relay,)))
    swap(internet, "alice", "bob")
    internet.call("alice", "format", **DISK)
    assert way(internet, "alice", "bob") == f"relay/{relay}"
    assert way(internet, "bob", "alice") == f"relay/{relay}"

    internet.kill("relay")
    until(lambda: way(internet, "alice", "bob") is None)
    internet.relay()
    until(lambda: way(internet, "alice", "bob") == f"relay/{relay}")

    kit = write_and_lose(internet, "alice", tmp_path / "mnt")
    well(internet.run("a", "restore", "copy", kit, tmp_path / "copy"))
    assert (tmp_path / "copy" / "file").read_text() == "kept"
    log = (tmp_path / "relay.log").read_text()
    assert "is joined with" in log
    assert "Traceback" not in log


def test_one_reachable_end_is_enough(internet: Internet, tmp_path: Path) -> None:
    """No relay: who is behind a router calls, again when the other one was away."""
    carol = f"{OPEN}:{PORT}"
    internet.node("carol", "open", Config("carol", advertise=(carol,)))
    internet.node("alice", "a", Config("alice"))
    swap(internet, "carol", "alice")
    internet.call("alice", "format", **DISK)
    assert way(internet, "carol", "alice") == ROUTER_A
    internet.kill("carol")
    until(lambda: way(internet, "alice", "carol") is None)
    internet.start("carol", "open")
    until(lambda: way(internet, "alice", "carol") == carol)
    kit = write_and_lose(internet, "alice", tmp_path / "mnt")
    well(internet.run("b", "restore", "copy", kit, tmp_path / "copy"))
    assert (tmp_path / "copy" / "file").read_text() == "kept"


def test_a_restore_waits_for_partners_that_can_only_call(internet: Internet, tmp_path: Path) -> None:
    """carol burns; bob, behind his router, goes on calling where she was."""
    internet.node("carol", "open", Config("carol", advertise=(f"{OPEN}:{PORT}",)))
    internet.node("bob", "b", Config("bob"))
    swap(internet, "carol", "bob")
    internet.call("carol", "format", **DISK)
    kit = write_and_lose(internet, "carol", tmp_path / "mnt")
    alone = internet.run("open", "restore", "copy", kit, tmp_path / "copy")
    assert alone.code == 9
    assert "partners gives a master block" in alone.line
    well(internet.run("open", "restore", "copy", "--listen", f"[::]:{PORT}", kit, tmp_path / "copy"))
    assert (tmp_path / "copy" / "file").read_text() == "kept"
    there = ("--listen", f"[::]:{PORT}", "--await-calls")
    well(internet.run("open", "--home", tmp_path / "carol again", "takeover", *there, kit))


def test_a_forwarded_port_is_found_without_its_owner_naming_it(internet: Internet) -> None:
    """carol sees alice come from the router's address, and alice gives that to others."""
    internet.forward_port("a")
    internet.node("carol", "open", Config("carol", advertise=(f"{OPEN}:{PORT}",)))
    internet.node("alice", "a", Config("alice"))
    internet.node("bob", "b", Config("bob"))
    swap(internet, "carol", "alice")
    seen = f"{ROUTER_A}:{PORT}"
    until(lambda: seen in own_addresses(internet, "alice"))
    swap(internet, "alice", "bob")
    until(lambda: way(internet, "bob", "alice") == seen)


def test_who_cannot_be_reached_is_told_to_accept(internet: Internet) -> None:
    internet.node("carol", "open", Config("carol", advertise=(f"{OPEN}:{PORT}",)))
    internet.node("alice", "a", Config("alice"))
    code = str(internet.call("alice", "partner_invite", size=SIZE)["code"])
    said = coopfs("partner", "accept", code, home=internet.work / "carol")
    assert said.code == 12
    assert "let this node invite" in said.line
