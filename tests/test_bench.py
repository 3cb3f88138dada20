"""contrib/bench runs, and its figures are all there. What they are is for a person to judge."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import trio
import trio.testing

import coopfs

BENCH = Path(coopfs.__file__).parent.parent / "contrib" / "bench"

IN_FRONT = {"write", "write_fsync", "create", "readdir", "stat", "tar"}
STREAMED = {"until_held", "until_complete", "cpu_owner", "cpu_partners", "memory_owner", "memory_partner"}
RESTORED = {"restore_ready", "read", "read_degraded", "read_small", "cpu_restore", "memory_restore"}
EVICTED = {"evicted", "evicted_degraded"}
OVER_A_LINE = {"line", "line_share", "line_sent"}
AS_ROOT = {"lookup"}  # only root can let the kernel forget a mount
BESIDE_NULL = IN_FRONT | {"until_held", "until_complete", "read", "read_degraded", "read_small"} | EVICTED
BESIDE_DISK = BESIDE_NULL - {"write"}  # without fsync the disk's figure would be that of memory


@pytest.mark.slow
def test_a_tiny_run_has_all_figures_and_leaves_nothing(tmp_path: Path) -> None:
    work = tmp_path / "work"
    work.mkdir()
    output = tmp_path / "figures.json"
    sizes = ["--size", "8", "--files", "120", "--rounds", "1"]
    command = [sys.executable, str(BENCH), *sizes, "--dir", str(work), "--json", str(output)]
    command += ["--plot", str(tmp_path / "figures.svg")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "of null" in done.stdout

    document = json.loads(output.read_text())
    figures = document["figures"]
    assert document["sizes"] == {"size": 8 << 20, "files": 120, "rounds": 1}
    always = IN_FRONT | STREAMED | RESTORED | EVICTED | OVER_A_LINE
    assert figures.keys() == always | (AS_ROOT if os.geteuid() == 0 else set())
    assert all(figure["value"] >= 0 and figure["unit"] for figure in figures.values())
    assert all(figures[name]["of_null"] > 0 for name in BESIDE_NULL)
    assert all(figures[name]["of_disk"] > 0 for name in BESIDE_DISK)

    assert figures["line_sent"]["value"] >= 1, "all that was held went over the line"
    assert 0 < figures["line_share"]["value"] < 1.1
    drawn = ElementTree.parse(tmp_path / "figures.svg").getroot()
    words = [element.text or "" for element in drawn.iter("{http://www.w3.org/2000/svg}text")]
    assert all(any(word.startswith(figure["what"]) for word in words) for figure in figures.values())

    assert not list(work.iterdir())
    assert str(work) not in Path("/proc/self/mountinfo").read_text()


@pytest.mark.slow
def test_growth_is_told_of_disks_of_several_sizes(tmp_path: Path) -> None:
    work = tmp_path / "work"
    work.mkdir()
    output = tmp_path / "growth.json"
    command = [sys.executable, str(BENCH), "--growth", "900", "--growth", "300", "--dir", str(work)]
    done = subprocess.run([*command, "--json", str(output)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "verdict: " in done.stdout
    document = json.loads(output.read_text())
    assert [size.pop("files") for size in document["sizes"]] == [300, 900]
    names = document["ratios"].keys()
    assert all(size.keys() == names for size in document["sizes"])
    assert {"restore", "killed", "changed", "sparse_write", "rows_sparsest", "owner_memory"} <= names
    assert not list(work.iterdir())


def test_growth_of_one_size_is_refused(tmp_path: Path) -> None:
    command = [sys.executable, str(BENCH), "--growth", "300", "--growth", "300", "--dir", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "give it twice" in done.stderr
    assert not list(tmp_path.iterdir())


def test_help_explains_every_figure() -> None:
    done = subprocess.run([sys.executable, str(BENCH), "--help"], capture_output=True, text=True, check=True)
    told = set(re.findall(r"\w+", done.stdout))
    assert told >= (IN_FRONT | STREAMED | RESTORED | EVICTED | OVER_A_LINE | AS_ROOT)


@pytest.mark.parametrize(
    "wrong",
    [
        ["--plot", "figures.png"],
        ["--plot", "x.svg", "--growth", "9", "--growth", "99"],
        ["--plot", "x.svg", "--recovery"],
    ],
)
def test_a_plot_of_something_else_is_refused(tmp_path: Path, wrong: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, str(BENCH), *wrong, "--dir", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert done.returncode != 0
    assert "--plot" in done.stderr
    assert not list(tmp_path.iterdir())


Make = Callable[[float, float], Any]  # of a Line of slowlink: rate, delay


@pytest.fixture
def slow_line(monkeypatch: pytest.MonkeyPatch) -> Make:
    monkeypatch.syspath_prepend(str(BENCH.parent))
    from benchlib.slowlink import Line

    return Line


async def test_a_line_carries_at_its_rate_and_late(slow_line: Make, autojump_clock: trio.testing.MockClock) -> None:
    """A line of 1000 bytes per second that delays by 2 s; two connections share it fairly."""
    line = slow_line(1000, 2)
    arrived: dict[str, list[float]] = {"a": [], "b": []}

    async def send(name: str) -> None:
        for _ in range(10):
            arrived[name].append(await line.accept(100))

    async with trio.open_nursery() as nursery:
        start = trio.current_time()
        nursery.start_soon(send, "a")
        nursery.start_soon(send, "b")
    times = sorted(arrived["a"] + arrived["b"])
    assert times == pytest.approx([start + 2 + 0.1 * number for number in range(1, 21)])
    assert abs(arrived["a"][-1] - arrived["b"][-1]) < 0.11
    assert line.carried == 2000


async def test_what_comes_out_of_a_line_is_what_went_in(
    slow_line: Make, autojump_clock: trio.testing.MockClock
) -> None:
    line = slow_line(10_000_000, 0.5)
    sent = os.urandom(300_000)
    mine, theirs = trio.socket.socketpair()
    source, target = trio.socket.socketpair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(line.carry, trio.SocketStream(theirs), trio.SocketStream(source))
        nursery.start_soon(trio.SocketStream(mine).send_all, sent)
        began, found = trio.current_time(), bytearray()
        while len(found) < len(sent):
            found += await trio.SocketStream(target).receive_some()
        mine.shutdown(trio.socket.SHUT_WR)
        assert await trio.SocketStream(target).receive_some() == b""
    assert found == sent
    assert trio.current_time() - began >= 0.5
    for end in (mine, theirs, source, target):
        end.close()


def test_growth_is_held_against_n_log_n_and_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCH.parent))
    from benchlib.growth import COSTS, Size, ratio, verdict

    def disks(name: str, *values: float) -> list[Size]:
        sizes = zip((10_000, 100_000, 1_000_000), values, strict=True)
        return [Size(files, {**dict.fromkeys(COSTS, 1e-9), name: value}) for files, value in sizes]

    constant = disks("lookup", 30e-6, 30e-6, 30e-6)
    assert ratio(constant, "lookup") < 1
    assert verdict(constant, "lookup") == ""
    assert verdict(disks("lookup", 30e-6, 30e-6, 70e-6), "lookup") == "worse than n log n"
    assert verdict(disks("restore", 0.5, 5, 59), "restore") == ""
    assert verdict(disks("restore", 0.5, 5, 61), "restore") == "above its bound"
    assert verdict(disks("owner_memory", 100e6, 149e6, 399e6), "owner_memory") == ""
    assert verdict(disks("owner_memory", 100e6, 151e6, 399e6), "owner_memory") == "above its bound"


@pytest.mark.slow
def test_what_losses_cost(tmp_path: Path) -> None:
    work, output = tmp_path / "work", tmp_path / "figures.json"
    work.mkdir()
    sizes = ["--files", "50", "--size", "4", "--seconds", "1"]
    command = [sys.executable, str(BENCH), "--recovery", *sizes, "--dir", str(work), "--json", str(output)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "held again, and written to" in done.stdout
    document = json.loads(output.read_text())
    assert document["sizes"] == {"files": 50, "size": 4 << 20, "seconds": 1}
    values = {name: figure["value"] for name, figure in document["figures"].items()}
    points = {
        f"{kind}_{rate}_{of}" for kind in ("point", "unheld") for rate in (1, 10, 100) for of in ("median", "most")
    }
    assert points < values.keys()
    assert all(value >= 0 for value in values.values())
    assert values["takeover_read"] < values["takeover_writable"] <= values["takeover_content"]
    for where in ("here", "evicted"):
        assert 1 <= values[f"sent_{where}"] < 1.2, "a block goes to one partner, once"
    assert values["fetched_here"] < 1, "what is here need not be fetched"
    assert not list(work.iterdir())
