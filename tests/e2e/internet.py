"""A little internet of network namespaces: one open network, and homes behind routers with NAT and a firewall.

    198.51.100.1  in the open   ---+--- router a (198.51.100.11) --- 192.168.1.2  home a
                                   +--- router b (198.51.100.12) --- 192.168.1.2  home b

The routers translate addresses (nftables masquerade) and let nothing in that was not asked for. Both homes have the
same address, as homes do. Processes share files and Unix sockets with the test: only their network is another one.
"""

import os
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from coopfs.cli import detach
from coopfs.cli.client import call
from coopfs.cli.node import create_home
from coopfs.config import Config
from tests.e2e.commands import Said, tool

OPEN = "198.51.100.1"
ROUTER_A = "198.51.100.11"
HOME = "192.168.1.2"
PORT = 7530
HOMES = ("a", "b")
RULES = """
table ip nat {
    chain out {
        type nat hook postrouting priority srcnat
        oifname "wan" masquerade
    }
    chain in {
        type nat hook prerouting priority dstnat
        FORWARDED
    }
}
table ip filter {
    chain through {
        type filter hook forward priority filter
        policy drop
        iifname "lan" accept
        ct state established,related accept
        ct status dnat accept
    }
    chain to {
        type filter hook input priority filter
        policy drop
        ct state established,related accept
    }
}
"""


class Internet:
    """A context: at the end its processes and namespaces are gone. work: for homes and logs."""

    def __init__(self, work: Path) -> None:
        self.work = work
        self._name = f"coopfs-{os.getpid()}"
        self._spaces: list[str] = []
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Self:
        try:
            self._build()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    # --- the network ----------------------------------------------------------------------------------------------

    def _build(self) -> None:
        self._space("open")
        self._ip("open", "link", "add", "name", "hub", "type", "bridge")
        self._ip("open", "addr", "add", f"{OPEN}/24", "dev", "hub")
        self._ip("open", "link", "set", "hub", "up")
        for number, home in enumerate(HOMES, 11):
            router = f"router-{home}"
            self._space(router)
            self._space(home)
            self._wire("open", f"to-{home}", router, "wan", f"198.51.100.{number}/24")
            self._ip("open", "link", "set", f"to-{home}", "master", "hub")
            self._wire(home, "eth0", router, "lan", "192.168.1.1/24")
            self._ip(home, "addr", "add", f"{HOME}/24", "dev", "eth0")
            self._ip(home, "route", "add", "default", "via", "192.168.1.1")
            tool(*self._inside(router), "sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward")
            self._rule(router, RULES.replace("FORWARDED", ""))

    def forward_port(self, home: str) -> None:
        """What a careful owner does at the router."""
        self._rule(f"router-{home}", f"add rule ip nat in iifname wan tcp dport {PORT} dnat to {HOME}")

    def _rule(self, router: str, rules: str) -> None:
        path = self.work / "rules"
        path.write_text(rules)
        tool(*self._inside(router), "nft", "-f", path)

    def _space(self, name: str) -> None:
        tool("ip", "netns", "add", f"{self._name}-{name}")
        self._spaces.append(name)
        self._ip(name, "link", "set", "lo", "up")

    def _wire(self, near: str, plug: str, far: str, socket: str, address: str) -> None:
        """Two ends of a cable; the far one gets an address."""
        self._ip(near, "link", "add", plug, "type", "veth", "peer", "name", socket, "netns", f"{self._name}-{far}")
        self._ip(near, "link", "set", plug, "up")
        self._ip(far, "addr", "add", address, "dev", socket)
        self._ip(far, "link", "set", socket, "up")

    def _ip(self, space: str, *words: str) -> None:
        tool(*self._inside(space), "ip", *words)  # ip -n would mount, which it cannot in a chroot

    def _inside(self, space: str) -> Sequence[str]:
        return ["nsenter", f"--net=/run/netns/{self._name}-{space}"]

    # --- what runs in it ------------------------------------------------------------------------------------------

    def node(self, name: str, space: str, config: Config) -> None:
        """A new home, and its daemon in this network."""
        create_home(self.work / name, config)
        self.start(name, space)

    def start(self, name: str, space: str) -> None:
        """The daemon of a home that exists."""
        home, log = self.work / name, self.work / f"{name}.log"
        child = self._spawn(name, space, "--home", str(home), "serve")
        detach.wait_until_it_answers(home, child, log)

    def relay(self, *options: str) -> str:
        """A relay in the open; its address. It may be called again once it was killed."""
        self._spawn("relay", "open", "relay", "serve", *options)
        return f"{OPEN}:7531"

    def kill(self, name: str) -> None:
        """SIGKILL a daemon, or the relay."""
        child = self._running.pop(name)
        child.kill()
        child.wait()

    def call(self, name: str, what: str, **arguments: object) -> dict[str, object]:
        """A control call of a node."""
        answer: dict[str, object] = call(self.work / name, what, arguments, timeout=60.0)
        return answer

    def run(self, space: str, *words: str | Path) -> Said:
        """`coopfs` in this network."""
        command = [*self._inside(space), *detach.COOPFS, *map(str, words)]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=120, check=False)
        return Said(done.returncode, done.stdout.decode(), done.stderr.decode())

    def _spawn(self, name: str, space: str, *words: str) -> subprocess.Popen[bytes]:
        with (self.work / f"{name}.log").open("ab") as log:
            command = [*self._inside(space), *detach.COOPFS, *words]
            child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self._running[name] = child
        return child

    def _end(self) -> None:
        for child in self._running.values():
            child.send_signal(signal.SIGTERM)
        for child in self._running.values():
            child.wait(60.0)
        for space in self._spaces:
            tool("ip", "netns", "del", f"{self._name}-{space}")
