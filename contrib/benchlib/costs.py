"""What processes have cost so far: processor time and memory, from proc(5)."""

import os
from collections.abc import Iterable
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")  # per second


def cpu_seconds(pids: Iterable[int]) -> float:
    """User and system time of these processes together; children that have ended do not count."""
    total = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        total += int(fields[11]) + int(fields[12])
    return total / _TICKS


def peak_memory(pid: int) -> float:
    """The most MB (10^6 bytes) that were resident at any time."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise AssertionError("every process that runs has VmHWM")
