"""A matching server under load: members that announce themselves and search, on SQLite and on PostgreSQL.

The server has one core to itself; who loads it, and PostgreSQL, have the others. Questions are sent at their times,
whether earlier ones are answered or not, and each one's time counts from when it should have been sent. What 10^6
members need is reckoned from the processor time of one question. In the end several servers, which keep nothing
themselves, share one PostgreSQL and the questions, as behind a proxy that takes turns; they have all cores.
"""

import os
import random
import subprocess
import time
from base64 import b64encode
from collections.abc import Callable, Iterator, Sequence, Set
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import trio
from suitelib import postgres

from coopfs.cli.client import Watch
from coopfs.cli.detach import COOPFS
from coopfs.core.announcement import INCARNATION, Announcement, sign
from coopfs.core.identity import Identity
from coopfs.levels import SHARES, Share
from coopfs.limits import ANNOUNCE_INTERVAL

SECONDS = 30  # of each load
SEARCHES = 100  # a second
WANTED = 4  # candidates of one search
CONNECTIONS = 32  # kept open, as by a reverse proxy
GOAL = 0.050  # seconds, of 99 in 100 questions
MANY = 1_000_000  # members, by calculation
CORES = frozenset(os.sched_getaffinity(0))
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Result:
    """p50, p99, worst: seconds; announce, search: processor seconds of the server for one; cores: for MANY members."""

    database: str
    members: int
    questions: int
    p50: float
    p99: float
    worst: float
    announce: float
    search: float
    cores: float


class Crowd:
    """Members, and what they ask: HTTP as it goes over the wire, through a proxy that says who they are."""

    def __init__(self, size: int) -> None:
        entropy = random.Random(size)
        self._entropy = entropy
        self._said: list[tuple[bytes, Announcement, str]] = []
        for number in range(size):
            seed = entropy.randbytes(32)
            address = f"{entropy.randrange(20, 90)}.{entropy.randrange(256)}.{entropy.randrange(256)}.1"
            said = Announcement(
                node=Identity.from_seed(seed).key,
                incarnation=bytes(INCARNATION),
                name=f"node-{number}",
                addresses=(f"{address}:7530",),
                site=f"town {entropy.randrange(max(1, size // 3))}",
                system=entropy.choice(("linux", "linux", "freebsd", "darwin")),
                storage=entropy.randrange(14, 20),
                uptime=Share(entropy.choice(SHARES)),
                needs=entropy.randrange(5),
                partners=entropy.randrange(9),
                time=0,
                sequence=0,
            )
            self._said.append((seed, said, address))

    def __len__(self) -> int:
        return len(self._said)

    def announce(self, number: int) -> bytes:
        return self._question("announce", number, "")

    def search(self, number: int) -> bytes:
        return self._question("search", number, f', "count": {WANTED}')

    def anybody(self) -> int:
        return self._entropy.randrange(len(self._said))

    def _question(self, path: str, number: int, more: str) -> bytes:
        seed, said, address = self._said[number]
        now = time.time_ns()
        signed = sign(seed, replace(said, time=now // 10**9, sequence=now // 1000))
        body = f'{{"announcement": "{b64encode(signed).decode()}"{more}}}'
        head = f"POST /v0/{path} HTTP/1.1\r\nHost: match\r\nX-Forwarded-For: {address}\r\n"
        return f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode()


class Load:
    """Questions to servers at these ports, which take turns; `took` has the seconds of each."""

    def __init__(self, ports: Sequence[int]) -> None:
        self.took: list[float] = []
        self._ports = ports
        self._send, self._receive = trio.open_memory_channel[tuple[float, bytes]](100_000)

    async def run(self, questions: Iterator[tuple[float, Callable[[], bytes]]]) -> None:
        """Each at its time, in seconds from now."""
        started = trio.current_time()
        async with trio.open_nursery() as nursery:
            for number in range(CONNECTIONS):
                nursery.start_soon(self._ask, self._ports[number % len(self._ports)])
            async with self._send:
                for at, question in questions:
                    await trio.sleep_until(started + at)
                    await self._send.send((started + at, question()))

    async def _ask(self, port: int) -> None:
        stream = await trio.open_tcp_stream("127.0.0.1", port)
        async with stream:
            async for due, question in self._receive:
                await stream.send_all(question)
                status = await _answer(stream)
                assert status in (b"200", b"409"), status  # two of one node may overtake each other
                self.took.append(trio.current_time() - due)


async def _answer(stream: trio.SocketStream) -> bytes:
    """The status of one answer, read to its end."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += await stream.receive_some()
    head, _, body = data.partition(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
    while len(body) < length:
        body += await stream.receive_some()
    return head.split()[1]


@contextmanager
def serving(database: str, cores: Set[int]) -> Iterator[tuple[int, int]]:
    """Process id and port of a server that has these cores."""
    command = ["taskset", "-c", ",".join(map(str, cores)), *COOPFS, "match", "serve"]
    command += ["--listen", "127.0.0.1:0", "--proxy", "127.0.0.1", "--database", database]
    child = subprocess.Popen(command, stdout=subprocess.PIPE)
    try:
        assert child.stdout is not None
        yield child.pid, int(child.stdout.readline().rsplit(b":", 1)[1])
    finally:
        child.terminate()
        child.communicate()


def _processor(pid: int) -> float:
    """Seconds that it has taken."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def measure(name: str, database: str, crowd: Crowd, watch: Watch, fronts: int = 1) -> Result:
    """A register with all members in it, then both loads together. fronts: servers that share the database; one has the
    last core to itself."""
    with ExitStack() as stack:
        cores = CORES if fronts > 1 else {max(CORES)}
        servers = [stack.enter_context(serving(database, cores)) for _ in range(fronts)]

        def spent() -> float:
            return sum(_processor(pid) for pid, _ in servers)

        def load(step: str, questions: Iterator[tuple[float, Callable[[], bytes]]]) -> tuple[float, list[float]]:
            watch(f"{name}: {step}", 0, 0)
            before, running = spent(), Load([port for _, port in servers])
            trio.run(running.run, questions)
            return (spent() - before) / max(1, len(running.took)), running.took

        announce, _ = load("all members announce", ((0.0, lambda n=n: crowd.announce(n)) for n in range(len(crowd))))
        together, took = load("announce and search", _mixture(crowd))
    took.sort()
    share = _announcements(len(crowd)) / (_announcements(len(crowd)) + SEARCHES)
    search = (together - share * announce) / (1 - share)
    cores = _announcements(MANY) * announce + SEARCHES * MANY / len(crowd) * search
    p50, p99 = (took[int(len(took) * part)] for part in (0.5, 0.99))
    return Result(name, len(crowd), len(took), p50, p99, took[-1], announce, search, cores)


def _announcements(members: int) -> float:
    """A second."""
    return members / ANNOUNCE_INTERVAL


def _mixture(crowd: Crowd) -> Iterator[tuple[float, Callable[[], bytes]]]:
    """Both kinds, each evenly over the time."""
    ats = [(n / _announcements(len(crowd)), crowd.announce) for n in range(int(SECONDS * _announcements(len(crowd))))]
    ats += [(n / SEARCHES, crowd.search) for n in range(SECONDS * SEARCHES)]
    for at, ask in sorted(ats, key=lambda each: each[0]):
        yield at, lambda ask=ask: ask(crowd.anybody())


def run(work: Path, members: int, fronts: int, watch: Watch) -> list[Result]:
    """On each database, and with so many servers on one. PostgreSQL is started in `work`, which its owner must be able
    to reach."""
    os.sched_setaffinity(0, CORES - {max(CORES)} or CORES)
    results = [measure("SQLite", str(work / "match.sqlite"), Crowd(members), watch)]
    work.chmod(0o755)
    data = work / "postgresql" / "data"
    data.parent.mkdir()
    postgres.initialise(data)
    with postgres.server(data) as reach:
        address = f"postgresql://{postgres.owner()}@/{postgres.DATABASE}?host={reach[reach.index('-h') + 1]}"
        results.append(measure("PostgreSQL", address, Crowd(members), watch))
        results.append(measure(f"{fronts} share it", address, Crowd(members), watch, fronts))
    return results


def show(results: list[Result]) -> str:
    """A table, and whether the goal is met."""
    first, often = results[0], f"{ANNOUNCE_INTERVAL / 60:.0f} min"
    lines = [
        f"matching server on one core: {first.members:,} members, each announces itself every {often}",
        f"({_announcements(first.members):.0f} a second), and {SEARCHES} searches a second, for {SECONDS} s",
        "",
        f"{'':12}{'p50':>9}{'p99':>9}{'worst':>9}{'announce':>12}{'search':>12}{'cores for 10^6':>16}",
    ]
    for result in results:
        times = "".join(f"{1000 * each:6.1f} ms" for each in (result.p50, result.p99, result.worst))
        costs = "".join(f"{1000 * each:9.2f} ms" for each in (result.announce, result.search))
        lines.append(f"{result.database:12}{times}{costs}{result.cores:16.1f}")
    met = all(result.p99 < GOAL for result in results)
    lines += [
        "",
        f"p99 below {1000 * GOAL:.0f} ms: {'yes' if met else 'NO'}; announce, search: processor time of the server;",
    ]
    lines.append("of servers that share PostgreSQL, with all cores: of all of them together")
    lines.append(f"10^6 members: {_announcements(MANY):,.0f} announcements a second, and searches in proportion")
    return "\n".join(lines)


def as_json(results: list[Result]) -> dict[str, Any]:
    return {"matching": [asdict(result) for result in results]}
