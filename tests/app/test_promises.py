"""A node that is about to break its promise tells its owner, in words, once."""

import sys
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from coopfs.app.owner import check_command, tell_owner
from coopfs.app.partners.promises import Promises
from coopfs.core.uptime import DAY, HOUR
from coopfs.errors import UsageError
from coopfs.levels import parse_uptime
from coopfs.limits import PROMISE_AGAIN, PROMISE_CHECK
from coopfs.local.nodedb import NodeDatabase
from coopfs.tasks.attendant import Attendant
from coopfs.types import NodeKey
from coopfs.zones import check_zone

BEGAN = 20_000 * DAY
WRITE = "import sys; open(sys.argv[1], 'a').write(sys.stdin.read())"


@pytest.fixture
def database(tmp_path: Path) -> NodeDatabase:
    return NodeDatabase(tmp_path / "node.sqlite")


async def test_the_owner_is_told_when_it_gets_worse_and_once_a_day(
    database: NodeDatabase, autojump_clock: MockClock
) -> None:
    told: list[tuple[float, str]] = []

    async def note(title: str, text: str) -> None:
        told.append((trio.current_time(), text))

    asleep = 0.0
    levels: list[str] = ["50%", "", "95%"]

    def wall() -> float:
        return BEGAN + trio.current_time() + asleep

    attendant = Attendant(database, NodeKey(b"m" * 32), list, lambda key: False, wall)
    promises = Promises(attendant, lambda: levels, note)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(attendant.run)
        nursery.start_soon(promises.run)
        await trio.sleep(HOUR)
        worst = promises.worst()
        assert worst is not None
        assert (worst.level, worst.warning, told) == ("95%", "", [])
        asleep = 29.0 * HOUR  # of the 36 that may be missed in 30 days
        await trio.sleep(2 * PROMISE_CHECK)
        ((_, text),) = told
        assert "has promised its partners to be reachable 95 % of the time" in text
        assert "If it is off for 7.0 hours more, the promise is broken." in text
        assert "Leave it on, keep it from sleeping" in text
        asleep += 8 * HOUR
        await trio.sleep(2 * PROMISE_CHECK)
        assert len(told) == 2
        assert "More than that was missed" in told[1][1]
        await trio.sleep(PROMISE_AGAIN + PROMISE_CHECK)
        assert len(told) == 3
        assert told[2][0] - told[1][0] == pytest.approx(PROMISE_AGAIN, abs=PROMISE_CHECK)
        levels.remove("95%")
        await trio.sleep(2 * PROMISE_AGAIN)
        assert len(told) == 3
        nursery.cancel_scope.cancel()
    database.close()


async def test_a_command_gets_the_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DBUS_SESSION_BUS_ADDRESS", raising=False)
    await tell_owner([sys.executable, "-c", WRITE, str(tmp_path / "mail")], "title", "$(text) 'as it is'")
    assert (tmp_path / "mail").read_text() == "title\n\n$(text) 'as it is'\n"


async def test_the_desktop_is_told_where_there_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "notify-send"
    program.write_text('#!/bin/sh\nprintf "%s\\n" "$@" > "$(dirname "$0")/shown"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.delenv("DBUS_SESSION_BUS_ADDRESS", raising=False)
    await tell_owner([], "title", "text")
    assert not (tmp_path / "shown").exists(), "no session, no desktop"
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nonexistent")
    await tell_owner([], "title", "text")
    assert (tmp_path / "shown").read_text() == "--app-name=coopfs\n--\ntitle\ntext\n"


@pytest.mark.parametrize(
    ("command", "why"),
    [
        (["/nonexistent/mail"], "No such file"),
        ([sys.executable, "-c", "import sys; sys.exit('no mail here')"], "exit code 1: no mail here"),
    ],
)
async def test_a_command_that_fails_is_logged(
    command: list[str], why: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DBUS_SESSION_BUS_ADDRESS", raising=False)
    await tell_owner(command, "title", "text")
    assert "the owner could not be told" in caplog.text
    assert why in caplog.text


@pytest.mark.parametrize(
    ("command", "said"), [([], 0), ([sys.executable, "-c", ""], 0), (["/nonexistent/mail"], 1), (["no-such-mail"], 1)]
)
def test_a_command_that_cannot_be_run_is_told_at_the_start(
    command: list[str], said: int, caplog: pytest.LogCaptureFixture
) -> None:
    check_command(command)
    assert len(caplog.records) == said
    assert all(command[0] in record.getMessage() for record in caplog.records)


def test_a_zone_must_be_known_here() -> None:
    for text in ("95%", "mon-fri 08-18 Europe/Paris", "sat,sun UTC"):
        assert check_zone(parse_uptime(text)) == parse_uptime(text)
    with pytest.raises(UsageError, match="'Europe/Pariss' is no time zone that this machine knows"):
        check_zone(parse_uptime("08-18 Europe/Pariss"))
