"""What a loss costs: how much the machine's own would cost now, and how long and how many bytes it takes to be whole.

1. a tree of small files and a large one, complete at eight partners; the line of the owner is counted all the time;
2. for each upload bandwidth, files are written at half of what the line carries: how old is what is held, and how much
   is not;
3. a partner is lost and another one gets its column, once while this machine has all content, once while it has but
   little: what is sent and fetched for that;
4. the machine is lost and taken over, until it can be written again: all that was found is held then.
"""

import shutil
import statistics
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchlib import subjects, workload
from benchlib.costs import cpu_seconds, peak_memory
from benchlib.figures import number
from coopfs.cli import client, detach
from coopfs.cli.client import Watch
from coopfs.config import load
from coopfs.core import storeformat
from coopfs.demo import mounts
from coopfs.demo.exporting import export_kit
from coopfs.demo.network import OWNER
from coopfs.errors import CoopfsError

RATES = (1, 10, 100)  # Mbit/s
FREE = 1e9  # bytes per second of a line that holds nobody up
TICK = 0.25  # seconds between two writes
POLL = 0.2  # seconds between two looks
PATIENCE = 1800.0  # seconds for one step
VICTIMS = subjects.PARTNERS[:2]


class Spared(subjects.Distant):
    """Two nodes more than the disk needs."""

    spares = ("p9", "p10")


@dataclass(frozen=True, slots=True)
class Cost:
    """One figure."""

    what: str
    unit: str
    value: float


Costs = dict[str, Cost]


def run(work: Path, files: int, size: int, seconds: int, watch: Watch) -> Costs:
    """In a directory that exists and is empty. seconds: of writing at each rate."""
    found: Costs = {}
    written = sum(_pace(rate) for rate in RATES) * seconds
    with subjects.network(Spared, work, int(size + files * len(workload.SMALL) + written), watch) as network:
        network.carried(str(FREE))
        watch(f"make {files} files", 0, 0)
        workload.create(network.mount / "tree", files)
        workload.write(network.mount / "large", size, workload.leave)
        _sync(network)
        for rate in RATES:
            watch(f"write over {rate} Mbit/s", 0, 0)
            _recovery_point(found, network, rate, seconds)
        for victim, spare, here in zip(VICTIMS, Spared.spares, (True, False), strict=True):
            watch(f"replace {victim}", 0, 0)
            if not here:
                subjects.shrink_cache(network)
            _replace(found, network, victim, spare, "here" if here else "evicted")
        watch("take over", 0, 0)
        _take_over(found, network, files)
    return found


def _pace(rate: int) -> float:
    """Bytes per second of content that are half of what so many Mbit/s carry."""
    return rate * 1e6 / 8 * subjects.DATA / (subjects.DATA + subjects.REDUNDANCY) / 2


def _recovery_point(found: Costs, network: Spared, rate: int, seconds: int) -> None:
    network.carried(str(rate * 1e6 / 8))
    enough = threading.Event()
    writer = threading.Thread(target=_write, args=(network.mount / f"at {rate}", _pace(rate), enough))
    ages, waiting = [], []
    writer.start()
    try:
        enough.wait(seconds / 2)  # then what is held has begun to follow
        until = time.monotonic() + seconds / 2
        while time.monotonic() < until:
            disk = _disk(network)
            held = datetime.strptime(disk["held_at"], "%Y-%m-%d %H:%M:%S UTC").replace(tzinfo=UTC).timestamp()
            ages.append(time.time() - held)
            waiting.append(disk["not_held_bytes"] / workload.MB)
            time.sleep(POLL)
    finally:
        enough.set()
        writer.join()
        network.carried(str(FREE))
    _sync(network)
    line = f"written at half of {rate} Mbit/s"
    for kind, of in (("median", statistics.median), ("most", max)):
        found[f"point_{rate}_{kind}"] = Cost(f"{line}: age of what is held, {kind}", "s", of(ages))
        found[f"unheld_{rate}_{kind}"] = Cost(f"{line}: not held, {kind}", "MB", of(waiting))


def _write(path: Path, pace: float, enough: threading.Event) -> None:
    began, written = time.monotonic(), 0
    with path.open("wb", buffering=0) as file:
        while not enough.wait(TICK):
            due = int(pace * (time.monotonic() - began)) - written
            while due > 0:
                some = file.write(workload.content(min(due, workload.REQUEST), written))
                due, written = due - some, written + some


def _take_over(found: Costs, network: Spared, files: int) -> None:
    listen, advertise = (load(network.home(OWNER)).listen, load(network.home(OWNER)).advertise)
    network.kill(OWNER)
    mounts.unmount(network.mount)
    shutil.rmtree(network.home(OWNER))
    began = time.perf_counter()
    where = [f"--listen={listen}", *(f"--advertise={address}" for address in advertise)]
    command = [*detach.COOPFS, "--home", str(network.home(OWNER)), "takeover", *where, str(network.kit)]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, capture_output=True)
    read = time.perf_counter() - began
    subjects.call_back(network, (OWNER,))
    while not mounts.is_mounted(network.mount):
        try:
            client.call(network.home(OWNER), "mount", {"mountpoint": str(network.mount), "options": []})
        except CoopfsError:  # not all is held again
            time.sleep(POLL)
    (network.mount / "first").write_bytes(b"x")
    writable = time.perf_counter() - began
    pid = network.pid(OWNER)
    what = f"takeover of {files} files"
    found["takeover_read"] = Cost(f"{what}: everything found", "s", read)
    found["takeover_writable"] = Cost(f"{what}: held again, and written to", "s", writable)
    found["takeover_cpu"] = Cost(f"{what}: CPU of the new daemon until then", "s", cpu_seconds([pid]))
    _until(lambda: _disk(network)["cache"]["refill"] is None)
    found["takeover_content"] = Cost(f"{what}: all content here again", "s", time.perf_counter() - began)
    found["takeover_memory"] = Cost(f"{what}: most memory of the new daemon", "MB", peak_memory(pid))


def _replace(found: Costs, network: Spared, victim: str, spare: str, where: str) -> None:
    home = network.home(OWNER)
    given = next(p["taken"] for p in client.call(home, "partner_list")["partners"] if p["name"] == victim)
    network.kill(victim)
    _until(lambda: _columns(network)[victim] == "unreachable")
    client.call(home, "partner_lose", {"partner": victim})
    code = client.call(network.home(spare), "partner_invite", {"size": given})["code"]
    sent, got = network.carried()
    began = time.perf_counter()
    client.call(home, "partner_replace", {"partner": victim, "by": code})
    _until(lambda: _columns(network).get(spare) == "caught up" and _disk(network)["replacement"] is None)
    seconds = time.perf_counter() - began
    after = network.carried()
    column = _stored(network.home(spare))
    what = f"a column replaced, content {where}"
    found[f"column_{where}"] = Cost(f"{what}: its blocks", "MB", column / workload.MB)
    found[f"sent_{where}"] = Cost(f"{what}: sent for each byte of them", "bytes", (after[0] - sent) / column)
    found[f"fetched_{where}"] = Cost(f"{what}: fetched for each byte of them", "bytes", (after[1] - got) / column)
    found[f"replaced_{where}"] = Cost(f"{what}: until it counts", "s", seconds)
    _export_kit(network)


def _stored(home: Path) -> int:
    """Bytes of the blocks in the only store of a home, as its index has them."""
    (store,) = (kept["store"] for kept in client.call(home, "status")["hosted"])
    with (home / "hosted" / store).open("rb") as file:
        header = storeformat.decode_header(file.read(storeformat.PAGE))
        slab = file.read(header.rows * storeformat.ENTRY)
    return sum(length for _, _, length, _ in storeformat.decode_entries(slab, header.store, 0))


def _columns(network: Spared) -> dict[str, str]:
    return {column["partner"]: column["state"] for column in _disk(network)["columns"]}


def _disk(network: Spared) -> Any:
    return client.call(network.home(OWNER), "status")["disk"]


def _sync(network: Spared) -> None:
    client.call(network.home(OWNER), "sync", {"path": None, "complete": True}, timeout=PATIENCE)


def _export_kit(network: Spared) -> None:
    export_kit(network.home(OWNER), network.kit)


def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            raise CoopfsError(f"a step took more than {PATIENCE:g} seconds")
        time.sleep(POLL)


def show(found: Costs) -> None:
    """The table."""
    table = Table("figure")
    table.add_column("", justify="right")
    table.add_column("unit")
    for cost in found.values():
        table.add_row(cost.what, number(cost.value), cost.unit)
    Console(width=None if Console().is_terminal else 132).print(table)


def as_json(found: Costs, files: int, size: int, seconds: int) -> dict[str, Any]:
    """One run for programs."""
    return {
        "sizes": {"files": files, "size": size, "seconds": seconds},
        "figures": {name: asdict(cost) for name, cost in found.items()},
    }
