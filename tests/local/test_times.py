"""Times of changes, by a clock that is set back."""

from pathlib import Path

from coopfs.fs.callers import ROOT
from coopfs.fs.files import Changes
from tests.fs.parts import START, commit, new_disk, open_disk

HOUR = 3_600_000_000_000  # ns


def test_every_change_has_a_later_ctime_whatever_the_clock_says(tmp_path: Path) -> None:
    """Else a backup program that compares it, and the size, would take a changed file for the one that it knows."""
    now = [START]
    disk = new_disk(tmp_path, clock=lambda: now[0])
    node = disk.tree.create(1, b"file", 0o100644, 0, 0)
    times = [node.ctime]
    for time in (START + 1, START + 1, START - HOUR, START - HOUR, START - HOUR // 2, START + HOUR):
        now[0] = time
        times.append(disk.files.set_attributes(node.ino, Changes(mode=0o100600), ROOT).ctime)
    assert times == sorted(set(times))
    assert times[-1] == START + HOUR
    now[0] = START - HOUR
    commit(disk)
    disk.close()
    again = open_disk(tmp_path, clock=lambda: now[0])
    assert again.files.set_attributes(node.ino, Changes(mode=0o100644), ROOT).ctime > times[-1]
    again.close()
