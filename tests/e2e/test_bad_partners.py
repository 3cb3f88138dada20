"""Partners that are too few, too small, not who they should be, or strangers that mean harm."""

import json
import os
import secrets
import socket
import subprocess
from contextlib import ExitStack, suppress
from subprocess import PIPE

import pytest
import trio

from coopfs.cli.detach import COOPFS
from coopfs.cli.node import create_home
from coopfs.config import Config, load
from coopfs.core import agreement, invitation
from coopfs.core.agreement import Agreement
from coopfs.core.identity import Identity
from coopfs.core.wire.node_requests import Hello
from coopfs.errors import ProtocolError, Refused
from coopfs.limits import HANDSHAKE_TIMEOUT, PROTOCOL_VERSION
from coopfs.net.channel import LocalNode
from coopfs.net.dialer import Contact, visit
from coopfs.net.tcp import dial_tcp
from coopfs.tasks.recovery.nobody import Nobody
from coopfs.types import Proposal
from tests.e2e.commands import coopfs, well
from tests.e2e.waiting import until
from tests.e2e.world import MIB, World

SHORT = ("--block-size", "128K")


def test_too_few_partners(world: World) -> None:
    world.start("nina")
    world.swap("nina", ("p1", "p2"), 8 * MIB)
    home = world.home("nina")
    for arguments, words in (
        (("--data", "2", "--redundancy", "1"), "3 partners are needed, there are 2"),
        (("--data", "1", "--redundancy", "0"), "--no-redundancy"),
        (("--data", "1", "--redundancy", "1", "--partner", "p1", "--partner", "p9"), "no partner is called 'p9'"),
        (("--data", "1", "--redundancy", "1", "--partner", "p1", "--partner", "p1"), "2 partners are needed"),
        (("--data", "1", "--redundancy", "0", "--no-redundancy"), "name them with --partner"),
    ):
        said = coopfs("format", *arguments, *SHORT, home=home)
        assert said.code == 2
        assert words in said.line
    assert coopfs("status", home=home).out.count("no disk yet") == 1
    well(coopfs("format", "--data", "1", "--redundancy", "1", *SHORT, home=home))
    again = coopfs("format", "--data", "1", "--redundancy", "1", *SHORT, home=home)
    assert again.code == 2
    assert "has a disk already" in again.line


def test_a_format_that_was_cut_short_is_finished_with_the_same_words(world: World) -> None:
    """One partner is away, so the daemon waits for it, and is killed meanwhile."""
    world.start("oscar")
    world.swap("oscar", ("p1", "p2"), 8 * MIB)
    world.kill("p2")
    home = world.home("oscar")
    same = ["format", "--data", "1", "--redundancy", "1", *SHORT]
    with subprocess.Popen([*COOPFS, "--home", str(home), *same], stdout=PIPE, stderr=PIPE) as formatting:
        until((home / "disks" / "forming").exists)
        world.kill("oscar")
        assert formatting.wait() == 6
        assert formatting.stderr is not None
        assert b"ended before it answered" in formatting.stderr.read()
    world.restart("oscar")
    other = coopfs(
        "format", "--data", "1", "--redundancy", "0", "--no-redundancy", "--partner", "p1", *SHORT, home=home
    )
    assert other.code == 2
    assert "begun and not finished" in other.line
    world.restart("p2")
    well(coopfs(*same, home=home))
    assert world.call("oscar", "status")["disk"]["k"] == 1


def test_a_partner_that_gives_too_little(world: World) -> None:
    world.start("peggy")
    world.swap("peggy", ("p1",), 8 * MIB)
    world.swap("peggy", ("p2",), 1 * MIB)
    said = coopfs("format", "--data", "1", "--redundancy", "1", *SHORT, home=world.home("peggy"))
    assert said.code == 2
    assert said.line.startswith("p2 gives 1048576 bytes, which is too little")


def test_a_partner_that_offers_less_than_was_invited(world: World) -> None:
    """Nobody's own program does this; a stranger's may."""
    code = invitation.decode(world.call("p1", "partner_invite", size=8 * MIB)["code"])
    seed = secrets.token_bytes(32)
    proposal = _proposal(code, seed, given=1 * MIB)
    with pytest.raises(Refused, match=r"offers 1\.0 MiB, 8\.0 MiB needed"):
        trio.run(_offer, code, seed, PROTOCOL_VERSION, proposal)
    world.start("quentin")
    world.call("quentin", "partner_accept", code=code.encode())  # the code is still good for an honest one


def test_a_node_that_speaks_another_version(world: World) -> None:
    code = invitation.decode(world.call("p1", "partner_invite", size=8 * MIB)["code"])
    seed = secrets.token_bytes(32)
    proposal = _proposal(code, seed, given=8 * MIB)
    with pytest.raises(ProtocolError, match="version"):
        trio.run(_offer, code, seed, PROTOCOL_VERSION + 7, proposal)
    _serves_as_before(world)


async def _offer(code: invitation.Invitation, seed: bytes, version: int, proposal: Proposal) -> None:
    """Dial the inviter as a node of this version, and propose."""
    hello = Hello(secrets.token_bytes(16), version, version, serves=True)
    node = LocalNode(Identity.from_seed(seed), hello, secrets.token_bytes)
    contact = Contact(code.inviter, code.addresses)
    await visit(node, dial_tcp, contact, Nobody(), lambda partner: partner.agree(proposal))


def _proposal(code: invitation.Invitation, seed: bytes, given: int) -> Proposal:
    key, start = Identity.from_seed(seed).key, 1_700_000_000
    signature = agreement.sign(seed, Agreement(code.inviter, key, code.given, given, start))
    return Proposal(code.token, given, code.given, "stranger", ("127.0.0.1:1",), start, signature)


def test_codes(world: World) -> None:
    world.start("ruth", "sybil")
    ruth, sybil, p1 = world.home("ruth"), world.home("sybil"), world.home("p1")
    code = well(coopfs("partner", "invite", "--size", "1M", home=p1)).out.strip()
    mistyped = code[:20] + ("0" if code[20] != "0" else "1") + code[21:]
    own = coopfs("partner", "accept", code, home=p1)
    assert own.code == 2
    assert "own" in own.line
    for wrong in (mistyped, code[:-3], "hello"):
        said = coopfs("partner", "accept", wrong, home=ruth)
        assert said.code == 2
        assert "mistyped" in said.line
    well(coopfs("partner", "accept", code, home=ruth))
    stolen = coopfs("partner", "accept", code, home=sybil)
    assert stolen.code == 12
    assert "has been used" in stolen.line
    assert [p["name"] for p in world.call("sybil", "partner_list")["partners"]] == []
    assert not list((sybil / "hosted").iterdir()), "the space it reserved is given back"
    twice = coopfs("partner", "accept", code, home=ruth)
    assert twice.code == 2
    assert "already" in twice.line
    second = well(coopfs("partner", "invite", "--size", "1M", home=p1)).out.strip()
    assert coopfs("partner", "accept", second, home=ruth).code == 2


def test_a_code_of_somebody_who_is_away(world: World) -> None:
    world.start("trent", "ursula")
    code = world.call("trent", "partner_invite", size=MIB)["code"]
    world.kill("trent")
    said = coopfs("partner", "accept", code, home=world.home("ursula"))
    assert said.code == 12
    assert "cannot be reached" in said.line
    assert not list((world.home("ursula") / "hosted").iterdir())
    world.restart("trent")
    well(coopfs("partner", "accept", code, home=world.home("ursula")))


def test_another_node_at_a_partners_address(world: World) -> None:
    owner = world.owner("victor", data=1, redundancy=1, partners=("p1", "p2"))
    (owner.mount() / "a").write_text("a")
    owner.sync(complete=True)
    world.kill("p2")
    address = load(world.home("p2")).listen
    create_home(world.home("impostor"), Config(name="p2", listen=address, advertise=(address,)))
    world.restart("impostor")

    def trouble() -> str:
        partners = json.loads(well(coopfs("partner", "list", "--json", home=owner.home)).out)
        (p2,) = (partner for partner in partners if partner["name"] == "p2")
        assert not p2["up"]
        return str(p2["trouble"])

    until(lambda: "another node answers at this address" in trouble())
    (owner.mount_point / "b").write_text("b")
    os.sync()
    owner.export_kit()
    owner.lose()
    said = owner.restore()
    assert said.code == 9
    assert "p2" in said.line
    well(owner.restore("--accept-older"))
    assert (owner.view / "a").read_text() == "a"
    assert world.call("impostor", "status")["hosted"] == []
    world.kill("impostor")


GARBAGE = {
    "random bytes": secrets.token_bytes(200_000),
    "a web browser": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 1000,
    "a huge length": b"\xff" * 8,
    "zeros": bytes(100_000),
    "nothing": b"",
}


@pytest.mark.parametrize("kind", GARBAGE)
def test_garbage_ends_the_connection_and_nothing_else(world: World, kind: str) -> None:
    with _connect(world, "p1") as stranger, suppress(OSError):  # turned away before all was said
        stranger.sendall(GARBAGE[kind])
        stranger.shutdown(socket.SHUT_WR)
        while stranger.recv(65536):
            pass
    _serves_as_before(world)


def test_strangers_that_drip_are_turned_away_in_time(world: World) -> None:
    """More of them than may be in handshake at once: they get no more than HANDSHAKE_TIMEOUT, then others can."""
    with ExitStack() as stack:
        dripping = [stack.enter_context(_connect(world, "p1")) for _ in range(100)]
        alive = set(range(len(dripping)))

        def drip() -> bool:
            for number in sorted(alive):
                try:
                    dripping[number].send(b"\0", socket.MSG_DONTWAIT)
                except (ConnectionResetError, BrokenPipeError):
                    alive.discard(number)
            return not alive

        until(drip, patience=3 * HANDSHAKE_TIMEOUT)
    _serves_as_before(world)


def _connect(world: World, name: str) -> socket.socket:
    host, port = load(world.home(name)).listen.rsplit(":", 1)
    return socket.create_connection((host, int(port)), timeout=60.0)


def _serves_as_before(world: World) -> None:
    """The same process answers, and takes up an invitation over its port."""
    well(coopfs("status", home=world.home("p1")))
    world.start("walter")
    code = world.call("p1", "partner_invite", size=MIB)["code"]
    world.call("walter", "partner_accept", code=code)
    assert len(list((world.home("walter") / "hosted").iterdir())) == 1


def test_a_daemon_does_not_die_of_a_bad_line_on_its_control_socket(world: World) -> None:
    for line in (
        b"",
        b"\n",
        b"garbage\n",
        b'{"call": 1}\n',
        b"[" * 100_000 + b"\n",
        b'{"call": "status", "args": 3}\n',
    ):
        with socket.socket(socket.AF_UNIX) as control:
            control.connect(str(world.home("p1") / "control.sock"))
            control.sendall(line)
            control.shutdown(socket.SHUT_WR)
            answer = control.makefile("rb").read()
        assert b"one line of JSON" in answer
    well(coopfs("status", home=world.home("p1")))
