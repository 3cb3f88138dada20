"""A directory with very many entries, by coreutils and findutils: listed and emptied while entries come and go."""

from collections import Counter
from itertools import count
from pathlib import Path

from suitelib.shell import end, require, run, start
from suitelib.suite import REMOUNT, Step, Suite, Trial

ENTRIES, FEW_ENTRIES = 200_000, 1_000
TIMEOUT = 3600.0  # seconds: a thousand are made each second, or fewer
LIST = "find . -mindepth 1 -printf '%f\\n'"
DOOMED = "[0-4]"  # the last digit of those that go


def _crowd(trial: Trial) -> Path:
    return trial.top / "crowd"


def _names(trial: Trial) -> set[str]:
    return {f"entry {number:07d}" for number in range(trial.size(ENTRIES, FEW_ENTRIES))}


def _remaining(trial: Trial) -> set[str]:
    return {name for name in _names(trial) if int(name[-1]) > 4}


def _create(trial: Trial) -> None:
    _crowd(trial).mkdir()
    last = trial.size(ENTRIES, FEW_ENTRIES) - 1
    script = f"seq -f 'entry %07.0f' 0 {last} | xargs -d '\\n' touch"
    run("sh", "-c", script, cwd=_crowd(trial), timeout=TIMEOUT)


def _lists(trial: Trial, wanted: set[str]) -> None:
    found = Counter(run("sh", "-c", LIST, cwd=_crowd(trial), timeout=TIMEOUT).splitlines())
    _judge(found, wanted)
    require(len(found) == len(wanted), f"{len(found) - len(wanted)} that are not there")


def _judge(found: Counter[str], wanted: set[str]) -> None:
    require(not (lost := wanted - found.keys()), f"{len(lost)} left out, such as {min(lost, default='')}")
    twice = [name for name, times in found.items() if times > 1]
    require(not twice, f"{len(twice)} listed twice, such as {min(twice, default='')}")


def _list_all(trial: Trial) -> None:
    _lists(trial, _names(trial))


def _list_changing(trial: Trial) -> None:
    """What is there all the time is listed once, whatever comes and goes beside it."""
    crowd, passing = _crowd(trial), []
    out = trial.beside / "listing"
    lister = start("sh", "-c", f"{LIST} >'{out}'", cwd=crowd)
    try:
        for number in count():
            if number >= 50 and lister.poll() is not None:
                break
            new = crowd / f"passing {number % 1000}"
            if number % 2000 < 1000:
                new.touch()
                passing.append(new)
            else:
                new.unlink()
                passing.remove(new)
    finally:
        end(lister)
    for path in passing:
        path.unlink()
    found = Counter(out.read_text().splitlines())
    _judge(Counter({name: times for name, times in found.items() if name.startswith("entry")}), _names(trial))


def _delete_half(trial: Trial) -> None:
    run("find", ".", "-name", f"*{DOOMED}", "-delete", cwd=_crowd(trial), timeout=TIMEOUT)
    _lists(trial, _remaining(trial))


def _list_half(trial: Trial) -> None:
    _lists(trial, _remaining(trial))


def _remove(trial: Trial) -> None:
    run("rm", "-r", _crowd(trial), timeout=TIMEOUT)


ENTRIES_SUITE = Suite(
    "entries",
    ("find", "xargs", "seq", "touch", "rm"),
    ("findutils", "coreutils"),
    (
        Step("create", _create),
        Step("list", _list_all),
        Step("list while some come and go", _list_changing, timed=False),
        Step("delete half of what is listed", _delete_half),
        REMOUNT,
        Step("list again", _list_half),
        Step("remove", _remove),
    ),
)
