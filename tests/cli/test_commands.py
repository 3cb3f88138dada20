"""Every command as a user meets it: help, one line per error, exit codes, and what it asks of the daemon."""

import json
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest

from coopfs import __version__, errors
from coopfs.cli.main import cli
from coopfs.cli.mount_helper import mount_coopfs
from coopfs.cli.run import EXIT_CODES, run
from coopfs.core.keys import make_keys
from coopfs.core.kit import Kit, KitDisk, KitPartner, to_text
from coopfs.core.master import Floor
from coopfs.types import NodeKey
from tests.cli.fake_daemon import answering, error, progress, result

Captured = pytest.CaptureFixture[str]

STATUS: dict[str, Any] = {
    "node": {
        "name": "alice",
        "key": "ab" * 32,
        "listen": ["a.example:7530"],
        "relays": [],
        "trouble": None,
        "uptime": {"share": 0.9876, "hours": 2000},
        "promise": {
            **{"level": "95%", "share": 0.9876, "wanted": 0.95, "seconds_left": 270_000},
            **{"state": "kept", "warning": None},
        },
    },
    "disk": {
        "id": "cd" * 16,
        "k": 6,
        "m": 2,
        "rows": 1000,
        "rows_used": 120,
        "row_bytes": 1 << 20,
        "bytes": 1000 << 20,
        "bytes_free": 880 << 20,
        "reserve_bytes": 31 << 20,
        "cleaning": {"data_rows": 100, "live_bytes": 80 << 20, "log_rows": 20},
        "mounted": "/mnt/[x]",
        "epoch": 1,
        "groups": {"open": 1, "closed": 2, "written": 3, "held": 4, "complete": 5},
        "held_at": None,
        "fsyncs_waiting": 0,
        "cache": {
            **{"size": 10 << 30, "used": 2 << 30, "dirty": 3 << 20, "dirty_size": 7 << 30},
            **{"writers_waiting": 0, "refill": None},
        },
        "compression": {"level": 1, "content_bytes": 8 << 30, "stored_bytes": 2 << 30},
        "scrub": {"days": 90.0, "done": 30, "of": 120, "finished_at": None, "wrong": 0, "silent": 0},
        **{"offline": False, "found": None},
        "outlook": {
            **{"now": 0.0043, "within": 1.2e-7, "within_days": 14.0, "weakest": {"stripes": 7, "blocks": 6}},
            **{"lag_seconds": 61, "waiting_seconds": 7_200, "help": {"partner": "b[o]b", "now": 0.0011}},
        },
        "not_held_bytes": 3 << 20,
        "below_target": 7,
        "repair_seconds_left": 10_800,
        "margin": 1,
        "replacement": None,
        "growth": None,
        "reshaping": None,
        "keys": None,
        "trustees": [],
        "unsent": None,
        "lost_content": 0,
        "kit": {"exported_at": "2026-01-02 03:04:05 UTC", "holders": 8, "needed": 2, "lacks": []},
        "kit_wanted": None,
        "held_group": 0,
        "trouble": "bob [has] lost blocks",
        "columns": [
            {
                **{"column": 0, "partner": "bob", "state": "catching up", "trouble": None},
                **{"missing": 7, "lost": 7, "damaged": 1, "disputed": 0, "foreign": 0},
            }
        ],
    },
    "partners": [
        {
            "name": "bob",
            "key": "ef" * 32,
            "up": True,
            "way": None,
            "given": 1 << 30,
            "taken": 1 << 30,
            "last_seen": None,
            "trouble": "refused",
            "ended": False,
            "resize": {"wish": None, "asks": None},
            "uptime": {"share": 0.91234, "hours": 312},
            "expected": 0.91234,
            "since": "2026-01-02 03:04:05 UTC",
            "promised": "95%",
        }
    ],
    "matching": {
        "wanted": 3,
        "lacking": 2,
        "stepping": {"newcomer": "new[1]", "fellow": "bob", "step": "moving", "waits_for": "a new kit"},
        "bidding": {"between": ["dora", "em[i]l"], "trouble": "dora: no [room]"},
        "odd": True,
        "size": 64 << 30,
        "servers": {"https://one.example": None, "https://two.example": "it [does] not answer"},
        "trouble": None,
    },
    "hosted": [{"partner": "bob", "disk": "01" * 16, "store": "23" * 16, "rows": 4000, "used": 17}],
}


def commands(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    yield path
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name)


@pytest.mark.parametrize("path", list(commands(cli)), ids=" ".join)
def test_every_command_has_help(path: tuple[str, ...], capsys: Captured) -> None:
    assert run(cli, "coopfs", [*path, "--help"]) == 0
    shown = capsys.readouterr()
    assert shown.out.startswith(f"Usage: {' '.join(('coopfs', *path))}")
    assert shown.err == ""


def test_every_option_is_explained() -> None:
    for path in commands(cli):
        command: click.Command = cli
        for name in path:
            assert isinstance(command, click.Group)
            command = command.commands[name]
        assert command.help, path
        for parameter in command.params:
            if isinstance(parameter, click.Option) and not parameter.hidden:
                assert parameter.help, (path, parameter.name)


@pytest.mark.parametrize("path", [(), ("partner",), ("kit",), ("restore",)], ids=" ".join)
def test_a_group_without_a_command_shows_its_help(path: tuple[str, ...], capsys: Captured) -> None:
    assert run(cli, "coopfs", path) == 0
    assert "Commands:" in capsys.readouterr().out


def test_every_error_has_a_documented_exit_code() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.CoopfsError)]
    assert {kind.exit_code for kind in kinds} == set(EXIT_CODES) - {0, 130}


@pytest.mark.parametrize("kind", [errors.KitError, errors.HomeError, errors.NotRestorable, errors.ProtocolError])
def test_an_error_is_one_line_and_its_exit_code(kind: type[errors.CoopfsError], capsys: Captured) -> None:
    @click.command()
    def fails() -> None:
        raise kind("the first\nand the rest")

    assert run(fails, "coopfs", []) == kind.exit_code
    assert capsys.readouterr() == ("", "coopfs: the first and the rest\n")


def test_our_own_bugs_keep_their_traceback() -> None:
    @click.command()
    def fails() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run(fails, "coopfs", [])


def test_an_interrupt_is_130() -> None:
    @click.command()
    def fails() -> None:
        raise KeyboardInterrupt

    assert run(fails, "coopfs", []) == 130


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["statsu"], "coopfs: No such command 'statsu'."),
        (["status", "--jsno"], "coopfs: No such option"),
        (["partner", "invite", "--size", "lots"], "coopfs: Invalid value for '--size': 'lots' is not a size"),
        (["format", "--data", "0", "--redundancy", "1"], "coopfs: Invalid value for '--data'"),
        (["format", "--target", "100"], "coopfs: Invalid value for '--target'"),
        (["demo", "--keep"], "coopfs: --keep and --stop need --dir D"),
        (["demo", "--keep", "--stop", "--dir", "x"], "coopfs: --keep and --stop exclude each other"),
        (["demo", "/nonexistent"], "coopfs: /nonexistent is not a directory"),
        (["init", "--name", "a b"], "coopfs: 'a b' is not a name"),
        (["init", "--listen", "7530"], "coopfs: '7530' is not an address"),
        (["mount", "/mnt", "-o", "frob"], "coopfs: unknown mount option 'frob'"),
    ],
)
def test_wrong_usage_is_one_line_and_2(arguments: list[str], line: str, capsys: Captured) -> None:
    assert run(cli, "coopfs", arguments) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith(line)
    assert shown.err.count("\n") == 1


def test_home_may_stand_before_or_after_the_command_or_in_the_environment(
    tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = str(tmp_path / "h")
    for arguments in (["--home", home, "status"], ["status", "--home", home]):
        assert run(cli, "coopfs", arguments) == errors.HomeError.exit_code
        assert home in capsys.readouterr().err
    monkeypatch.setenv("COOPFS_HOME", home)
    assert run(cli, "coopfs", ["status"]) == errors.HomeError.exit_code
    assert home in capsys.readouterr().err


def test_the_version_is_printed(capsys: Captured) -> None:
    assert run(cli, "coopfs", ["--version"]) == 0
    assert capsys.readouterr().out == f"coopfs {__version__}\n"


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_shells_are_taught_to_complete(shell: str, capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    """As click does it: the line in the manual asks for the script, the script asks for words."""
    monkeypatch.setenv("_COOPFS_COMPLETE", f"{shell}_source")
    with pytest.raises(SystemExit, match="0"):
        run(cli, "coopfs", [])
    assert "_COOPFS_COMPLETE" in capsys.readouterr().out
    monkeypatch.setenv("_COOPFS_COMPLETE", f"{shell}_complete")
    monkeypatch.setenv("COMP_WORDS", "coopfs kit ")
    monkeypatch.setenv("COMP_CWORD", "2")
    with pytest.raises(SystemExit, match="0"):
        run(cli, "coopfs", [])
    assert {"export", "show"} <= set(capsys.readouterr().out.replace(",", "\n").split())


def test_init_makes_a_home_once(tmp_path: Path, capsys: Captured) -> None:
    arguments = ["init", "--home", str(tmp_path / "h"), "--name", "alice", "--advertise", "a.example:7530"]
    assert run(cli, "coopfs", arguments) == 0
    assert "node key" in capsys.readouterr().out
    config = (tmp_path / "h" / "coopfs.toml").read_text()
    assert 'name = "alice"' in config
    assert 'advertise = ["a.example:7530"]' in config
    assert run(cli, "coopfs", arguments) == errors.HomeError.exit_code
    assert (tmp_path / "h" / "coopfs.toml").read_text() == config


@pytest.mark.parametrize(
    ("arguments", "request_sent"),
    [
        (["sync"], {"call": "sync", "args": {"path": None, "complete": False}}),
        (["sync", "/mnt/a", "--complete"], {"call": "sync", "args": {"path": "/mnt/a", "complete": True}}),
        (["mount", "/mnt", "-o", "ro"], {"call": "mount", "args": {"mountpoint": "/mnt", "options": ["ro"]}}),
        (["umount"], {"call": "umount", "args": {}}),
    ],
)
def test_commands_ask_the_daemon(tmp_path: Path, arguments: list[str], request_sent: dict[str, Any]) -> None:
    with answering(tmp_path, [progress("work", 1, 1), result()]) as requests:
        assert run(cli, "coopfs", ["--home", str(tmp_path), *arguments]) == 0
    assert requests == [request_sent]


def test_format_asks_for_what_is_said(tmp_path: Path, capsys: Captured) -> None:
    said = ["--data", "2", "--redundancy", "1", "--block-size", "64K", "--partner", "b", "--partner", "c"]
    with answering(tmp_path, [progress("work", 1, 1), result(data=2, redundancy=1, choice=None)]) as requests:
        assert run(cli, "coopfs", ["--home", str(tmp_path), "format", *said]) == 0
    asked = {"data": 2, "redundancy": 1, "target": None, "block_size": 65536, "partners": ["b", "c"]}
    assert requests == [{"call": "format", "args": {**asked, "no_redundancy": False}}]
    assert capsys.readouterr().out.splitlines()[0] == "formatted 2+1"


@pytest.mark.parametrize(
    ("target", "words"),
    [
        (
            [],
            "of the splits of 8 partners this stores the least that reaches 99.9 %: a restore works at a random moment",
        ),
        (
            ["--target", "99.99"],
            "8 partners do not reach 99.99 %; this split comes nearest: a restore works at a random",
        ),
    ],
)
def test_format_tells_what_it_has_chosen(tmp_path: Path, target: list[str], words: str, capsys: Captured) -> None:
    choice = {"k": 4, "m": 4, "failure": 0.00043, "unsure": 0.00043, "loss": 1e-9}
    with answering(tmp_path, [result(data=4, redundancy=4, choice=choice)]) as requests:
        assert run(cli, "coopfs", ["--home", str(tmp_path), "format", *target]) == 0
    args = requests[0]["args"]
    assert (args["data"], args["redundancy"], args["target"]) == (None, None, float(target[1]) if target else None)
    first, why, _ = capsys.readouterr().out.splitlines()
    assert first == "formatted 4+4"
    assert why.startswith(words)
    assert "moment with 99.957 %, each byte takes 2.00 at partners" in why


@pytest.mark.parametrize(("repaired", "code"), [(True, 0), (False, 13)])
def test_check_tells_what_it_found(tmp_path: Path, capsys: Captured, repaired: bool, code: int) -> None:
    finding = {"about": "blocks", "text": "p1 lacks 2 blocks", "repaired": repaired}
    told = {
        "found": 1,
        "repaired": int(repaired),
        "findings": [finding],
        "lost": ["/a"],
        "notes": ["p2 is away"],
        **{"left": 0, "continued": None},
    }
    for extra in ([], ["--json"]):
        with answering(tmp_path, [progress("log", 1, 1), result(**told, checked={"blocks": 7})]) as requests:
            assert run(cli, "coopfs", ["--home", str(tmp_path), "check", "--deep", *extra]) == code
        assert requests == [{"call": "check", "args": {"deep": True, "repair": False, "anew": False}}]
        shown = capsys.readouterr()
        assert ("1 of 1 findings are not repaired" in shown.err) is not repaired
        if extra:
            assert json.loads(shown.out)["lost"] == ["/a"]
        else:
            assert shown.out.splitlines()[:3] == [
                f"{'repaired' if repaired else 'damaged'}: p1 lacks 2 blocks",
                "content is lost: /a",
                "not checked: p2 is away",
            ]
        (tmp_path / "control.sock").unlink()


def test_a_check_says_where_it_goes_on_and_where_the_next_one_does(tmp_path: Path, capsys: Captured) -> None:
    told = {
        "found": 0,
        "repaired": 0,
        "findings": [],
        "lost": [],
        "notes": ["p2 did not show"],
        "checked": {"blocks": 9},
    }
    before = {"begun_at": "2026-01-02 03:04:05 UTC", "blocks": 5}
    with answering(tmp_path, [result(**told, left=4, continued=before)]) as requests:
        assert run(cli, "coopfs", ["--home", str(tmp_path), "check", "--deep", "--anew"]) == 12
    assert requests == [{"call": "check", "args": {"deep": True, "repair": False, "anew": True}}]
    shown = capsys.readouterr()
    assert shown.out.splitlines() == [
        "goes on with the check of 2026-01-02 03:04:05 UTC, which had looked at 5 blocks",
        "not checked: p2 did not show",
        "checked 9 blocks; found nothing",
    ]
    assert shown.err == "coopfs: not all blocks could be looked at: the same command goes on where this check ended\n"


def test_the_daemons_error_is_the_commands(tmp_path: Path, capsys: Captured) -> None:
    with answering(tmp_path, [error("two partners are away", 9)]):
        assert run(cli, "coopfs", ["--home", str(tmp_path), "sync"]) == 9
    assert capsys.readouterr().err == "coopfs: two partners are away\n"


def test_an_invitation_prints_the_code_alone(tmp_path: Path, capsys: Captured) -> None:
    with answering(tmp_path, [result(code="COOP-1234")]) as requests:
        assert run(cli, "coopfs", ["--home", str(tmp_path), "partner", "invite", "--size", "10G"]) == 0
    assert capsys.readouterr().out == "COOP-1234\n"
    assert requests[0]["args"] == {"size": 10 << 30, "uptime": None}


@pytest.mark.parametrize(
    ("level", "words"),
    [
        ("95%", "both have promised to be reachable 95 % of the time"),
        ("mon-fri 08:00-18:00 Europe/Paris", "reachable at these hours: mon-fri 08:00-18:00 Europe/Paris"),
        (None, "alice is now a partner\n"),
    ],
)
def test_who_accepts_learns_what_is_promised(tmp_path: Path, level: str | None, words: str, capsys: Captured) -> None:
    with answering(tmp_path, [result(name="alice", uptime=level)]):
        assert run(cli, "coopfs", ["--home", str(tmp_path), "partner", "accept", "COOP"]) == 0
    assert words in capsys.readouterr().out


def test_partner_list_shows_the_agreements(tmp_path: Path, capsys: Captured) -> None:
    with answering(tmp_path, [result(partners=STATUS["partners"])]):
        assert run(cli, "coopfs", ["--home", str(tmp_path), "partner", "list"]) == 0
    _, headers, row, way = capsys.readouterr().out.splitlines()
    assert headers.split() == ["name", "now", "given", "taken", "since", "promised", "was", "up", "last", "seen"]
    assert row.split() == ["bob", "up", "1.0", "GiB", "1.0", "GiB", "2026-01-02", "95%", "91.2", "%", "now"]
    assert way.startswith("bob: ")


def test_a_code_may_be_given_in_several_words(tmp_path: Path) -> None:
    with answering(tmp_path, [result(name="alice", uptime=None)]) as requests:
        assert run(cli, "coopfs", ["--home", str(tmp_path), "partner", "accept", "COOP", "12 34"]) == 0
    assert requests[0]["args"] == {"code": "COOP 12 34"}


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (("partner", "invite", "--size", "0"), "'0' is nothing at all; write for example 500M"),
        (("partner", "resize", "bob", "0K"), "'0K' is nothing at all"),
        (("resize", "0"), "'0' is nothing at all"),
        (("partner", "invite", "--size", "1G", "--uptime", "96%"), "coopfs: '96%' is no uptime level; there are 50%"),
    ],
)
def test_what_cannot_be_agreed_on_is_said_at_once(command: tuple[str, ...], said: str, capsys: Captured) -> None:
    assert run(cli, "coopfs", command) == 2
    assert said in capsys.readouterr().err


def test_partners_are_found_on_demand(tmp_path: Path, capsys: Captured) -> None:
    told = {**STATUS["matching"], "found": ["bob"], "hindrances": ["carol: it is at the same site"]}
    done = {**told, "found": [], "hindrances": [], "lacking": 0, "bidding": None}
    asking = progress("ask the matching servers", 0, 0)
    with answering(tmp_path, [asking, result(**told)], [result(**done)]):
        assert run(cli, "coopfs", ["--home", str(tmp_path), "partner", "find"]) == 0
        first = capsys.readouterr()
        assert run(cli, "coopfs", ["--home", str(tmp_path), "partner", "find"]) == 0
    assert "bob is now a partner\nnobody is free: asking to step between dora and em[i]l\n2 of 3" in first.out
    *_, asked, carol, two = first.err.splitlines()
    assert asked == "ask the matching servers"
    assert [carol, two] == ["carol: it is at the same site", "https://two.example: it [does] not answer"]
    assert capsys.readouterr().out == "there are all the 3 partners that are wanted\n"


def test_status_is_readable_and_json_is_complete(tmp_path: Path, capsys: Captured) -> None:
    with answering(tmp_path, [result(**STATUS)]):
        assert run(cli, "coopfs", ["--home", str(tmp_path), "status"]) == 0
    shown = capsys.readouterr().out
    for words in (
        "node alice",
        "6+2 on 1 partners",
        "a restore works at a random moment with 99.57 %, and within 14 days with 99.999988 %",
        "the weakest 7 stripes are on 6 partners; what was held last took 61 s to get there; the oldest that is not",
        "waits for 2 hours",
        "most would help that b[o]b were always up: then 99.89 %",
        "it keeps its promise to be reachable 95 % of the time, and may be off for 75 hours more",
        "it was up for 98.8 % of the last 2000 hours",
        "91.2 %",
        "/mnt/[x]",
        "nothing is held yet",
        "3.0 MiB written since is not held yet; 1 of 1 partners are reached",
        "bob [has] lost",
        "refused",
        "7 stripes",
        "2 of 3 partners are lacking (64.0 GiB with each)",
        "new[1] steps between this node and bob: it gets what bob stores, which counts until then; a new kit",
        "nobody is free: asking to step between dora and em[i]l; dora: no [room]",
        "with match_partners = 4 this node may, and gives 64.0 GiB more",
        "https://two.example: it [does] not answer",
        "bob",
    ):
        assert words in shown
    home = tmp_path / "other"
    with answering(home, [result(**STATUS)]):
        assert run(cli, "coopfs", ["--home", str(home), "status", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == STATUS


@pytest.mark.parametrize(
    ("partners", "matching", "said"),
    [
        (1, {}, "no disk yet: find partners with coopfs partner invite or find"),
        (3, {}, "no disk yet: make one with coopfs format, which uses these 3 partners"),
        (1, {"servers": {}}, "match_partners is set, but match_servers names no server"),
    ],
)
def test_status_says_what_to_do_next(
    partners: int, matching: dict[str, Any], said: str, tmp_path: Path, capsys: Captured
) -> None:
    node = {**STATUS["node"], "uptime": {"share": 0.09, "hours": 0}, "trouble": None}
    told = {**STATUS, "node": node, "disk": None, "matching": {**STATUS["matching"], **matching}}
    told |= {"partners": STATUS["partners"][:1] * partners}
    with answering(tmp_path, [result(**told)]):
        assert run(cli, "coopfs", ["--home", str(tmp_path), "status"]) == 0
    shown = capsys.readouterr().out
    assert said in shown
    assert "it was up for" not in shown, "of minutes there is nothing to say"


def test_the_columns_of_two_layouts_are_told_apart(tmp_path: Path, capsys: Captured) -> None:
    (column,) = STATUS["disk"]["columns"]
    columns = [{**column, "column": number, "partner": name} for number, name in ((0, "bob"), (1, "anna"), (0, "bob"))]
    with answering(tmp_path, [result(**{**STATUS, "disk": {**STATUS["disk"], "columns": columns}})]):
        assert run(cli, "coopfs", ["--home", str(tmp_path), "status"]) == 0
    shown = capsys.readouterr().out
    assert re.search(r"1 +anna .*\n(.*\n)?.*and of the layout that it gets:.*\n +0 +bob", shown)


@pytest.mark.parametrize(
    ("up", "last_seen", "shown"),
    [(True, None, "now"), (False, None, "never"), (False, "2026-01-02 03:04:05 UTC", "2026-01-02")],
)
def test_status_tells_when_a_partner_was_seen(
    up: bool, last_seen: str | None, shown: str, tmp_path: Path, capsys: Captured
) -> None:
    partner = {**STATUS["partners"][0], "up": up, "last_seen": last_seen}
    with answering(tmp_path, [result(**{**STATUS, "disk": None, "partners": [partner], "hosted": []})]):
        assert run(cli, "coopfs", ["--home", str(tmp_path), "status"]) == 0
    (row,) = (line for line in capsys.readouterr().out.splitlines() if line.startswith("bob"))
    assert shown in row.split()


@pytest.mark.parametrize(
    ("address", "dialled", "shown"),
    [
        ("b.example:7530", True, "at b.example:7530"),
        ("192.0.2.1", False, "from 192.0.2.1"),
        ("relay/r.example:7531", True, "at relay r.example:7531"),
        ("relay/r.example:7531", False, "from relay r.example:7531"),
    ],
)
def test_status_tells_by_which_way_a_partner_is_reached(
    address: str, dialled: bool, shown: str, tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "150")
    partner = {**STATUS["partners"][0], "trouble": None, "way": {"address": address, "dialled": dialled}}
    node = {**STATUS["node"], "relays": [{"address": "r.example:1", "up": False, "trouble": "no [such] host"}]}
    with answering(tmp_path, [result(**{**STATUS, "node": node, "disk": None, "partners": [partner]})]):
        assert run(cli, "coopfs", ["--home", str(tmp_path), "status"]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert shown in told
    assert "nobody can call through the relay at r.example:1: no [such] host" in told


def test_a_long_reason_does_not_take_the_place_of_who_and_what(
    tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    why = "the connection ended: no answer came within 126 seconds, though it was asked three times over"
    column = {**STATUS["disk"]["columns"][0], "partner": "bob-the-builder", "state": "takes nothing", "trouble": why}
    disk = {**STATUS["disk"], "columns": [column]}
    with answering(tmp_path, [result(**{**STATUS, "disk": disk, "partners": [], "hosted": []})]):
        assert run(cli, "coopfs", ["--home", str(tmp_path), "status"]) == 0
    told = capsys.readouterr().out
    assert re.search(r"bob-the-builder +takes nothing", told)
    assert "".join(why.split()) in "".join(re.sub(r".*takes nothing +7 +7 +1", "", told).split())


FILE_LOG: dict[str, Any] = {
    **{"path": "/mnt/a [b]", "kind": "file", "size": 5, "stored": 5, "state": "held", "share": 75, "group": 7},
    **{"changed_at": "2026-01-02 03:04:05 UTC", "held_since": "2026-01-02 03:04:09 UTC", "blocks_each": 4},
    "extents": [{"offset": 0, "length": 5, "stripe": 3, "state": "held", "blocks": 3}],
    "more_extents": 2,
}
DIRECTORY_LOG: dict[str, Any] = {
    **{"path": "/mnt", "kind": "directory", "state": "dirty", "group": 9, "changed_at": None, "held_since": None},
    "entries": {"dirty": 1, "sent": 0, "written": 0, "held": 0, "complete": 12},
    "bytes": {"dirty": 10, "sent": 0, "written": 0, "held": 0, "complete": 3 << 20},
}


@pytest.mark.parametrize(
    ("answer", "options", "words"),
    [
        (FILE_LOG, [], ["/mnt/a [b]: held, held since 2026-01-02 03:04:09 UTC", "75 % of its blocks", "in group 7"]),
        (FILE_LOG, ["-v"], ["3 of 4", "and 2 more"]),
        (DIRECTORY_LOG, ["-v"], ["/mnt: not sent yet", "1 entry dirty, 10 B", "12 entries complete, 3.0 MiB"]),
    ],
)
def test_log_says_what_is_held(
    answer: dict[str, Any], options: list[str], words: list[str], tmp_path: Path, capsys: Captured
) -> None:
    with answering(tmp_path, [result(**answer)], [result(**answer)]) as requests:
        assert run(cli, "coopfs", ["--home", str(tmp_path), "log", "/mnt/x", *options]) == 0
        shown = capsys.readouterr().out
        assert run(cli, "coopfs", ["--home", str(tmp_path), "log", "/mnt/x", "--json"]) == 0
    assert all(each in shown for each in words)
    assert ("3 of 4" in shown) == (options == ["-v"] and answer is FILE_LOG)
    assert json.loads(capsys.readouterr().out) == answer
    assert requests[0] == {"call": "log", "args": {"path": "/mnt/x"}}


@pytest.mark.parametrize(
    "disk",
    [None, {**STATUS["disk"], "held_at": "2026-01-02 03:04:05 UTC", "kit": None, "mounted": None, "trouble": None}],
)
def test_status_of_a_disk_in_another_state(tmp_path: Path, capsys: Captured, disk: dict[str, Any] | None) -> None:
    with answering(tmp_path, [result(**{**STATUS, "disk": disk, "partners": [], "hosted": []})]):
        assert run(cli, "coopfs", ["--home", str(tmp_path), "status"]) == 0
    assert ("no disk yet" if disk is None else "everything up to 2026-01-0") in capsys.readouterr().out


def test_an_older_daemon_is_one_line_and_6(tmp_path: Path, capsys: Captured) -> None:
    with answering(tmp_path, [result(node={"name": "alice"}, partners=[])]):
        assert run(cli, "coopfs", ["--home", str(tmp_path), "status"]) == 6
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("coopfs: this command is of coopfs ")
    assert line.endswith("does not tell: restart the daemon")


def test_a_kit_is_written_once_and_for_its_owner_only(tmp_path: Path, capsys: Captured) -> None:
    kit = tmp_path / "kit.txt"
    arguments = ["--home", str(tmp_path), "kit", "export", str(kit)]
    with answering(tmp_path, [result(text="the kit\n")], [result(text="another\n")]):
        assert run(cli, "coopfs", arguments) == 0
        assert run(cli, "coopfs", arguments) == 2
    assert kit.read_text() == "the kit\n"
    assert stat.S_IMODE(kit.stat().st_mode) == 0o600
    assert "is there already" in capsys.readouterr().err


@pytest.mark.parametrize("content", [None, b"", b"hello\n", b"\xff\xfe\n", b"a" * (2 << 20)])
def test_what_is_no_kit_is_one_line_and_4(tmp_path: Path, capsys: Captured, content: bytes | None) -> None:
    kit = tmp_path / "kit.txt"
    if content is not None:
        kit.write_bytes(content)
    assert run(cli, "coopfs", ["kit", "show", str(kit)]) == 4
    assert capsys.readouterr().err.count("\n") == 1


def test_a_kit_tells_what_it_is_for_and_no_secret(tmp_path: Path, capsys: Captured) -> None:
    read_key, signing_seed, identity = b"r" * 32, b"s" * 32, b"i" * 32
    disk = KitDisk(make_keys(read_key, signing_seed), Floor(version=1 << 48, date=86400))
    kit = Kit("alice", identity, (disk,), (KitPartner(NodeKey(b"p" * 32), "bob", ("bob.example:7530",)),), 90000)
    (tmp_path / "kit.txt").write_text(to_text(kit, "1970-01-02"))
    assert run(cli, "coopfs", ["kit", "show", str(tmp_path / "kit.txt")]) == 0
    shown = capsys.readouterr().out
    for words in (
        "alice",
        "1970-01-02 01:00:00 UTC",
        "1970-01-02 00:00:00 UTC",
        "bob.example:7530",
        disk.keys.disk.hex(),
    ):
        assert words in shown
    for secret in (read_key, signing_seed, identity):
        assert secret.hex() not in shown


def test_the_mount_helper_asks_a_running_daemon(tmp_path: Path) -> None:
    run(cli, "coopfs", ["init", "--home", str(tmp_path)])
    with answering(tmp_path, [], [result()]) as requests:
        assert run(mount_coopfs, "mount.coopfs", [str(tmp_path), "/mnt", "-o", "rw,nosuid,_netdev"]) == 0
    assert requests == [{"call": "mount", "args": {"mountpoint": "/mnt", "options": ["nosuid"]}}]


def test_the_mount_helper_needs_a_home(tmp_path: Path, capsys: Captured) -> None:
    assert run(mount_coopfs, "mount.coopfs", [str(tmp_path), "/mnt", "-o", "rw"]) == errors.HomeError.exit_code
    assert capsys.readouterr().err.startswith(f"mount.coopfs: {tmp_path} is not a home")


def test_the_mount_helper_refuses_unknown_options_unless_sloppy(tmp_path: Path, capsys: Captured) -> None:
    run(cli, "coopfs", ["init", "--home", str(tmp_path)])
    assert run(mount_coopfs, "mount.coopfs", [str(tmp_path), "/mnt", "-o", "frob"]) == 2
    assert run(mount_coopfs, "mount.coopfs", [str(tmp_path), "/mnt", "-f", "-s", "-o", "frob"]) == 0


def test_plan_prints_what_reaches_the_target(capsys: Captured) -> None:
    assert run(cli, "coopfs", ["plan", "--target", "99.99", "--partner", "0.90"]) == 0
    first = next(line for line in capsys.readouterr().out.splitlines() if line.startswith(" 6"))
    assert first.split() == ["6", "6", "12", "99.9950", "%", "2.00", "bytes", "5", "losses", "over", "99.99999999", "%"]


def test_plan_answers_programs(capsys: Captured) -> None:
    assert run(cli, "coopfs", ["plan", "--target", "99.99", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["nearest"] is None
    assert [(choice["k"], choice["m"]) for choice in answer["choices"]][:2] == [(6, 6), (7, 6)]
    assert answer["choices"][0]["overhead"] == 2.0


def test_plan_says_when_nothing_reaches_the_target(capsys: Captured) -> None:
    assert run(cli, "coopfs", ["plan", "--partners", "4"]) == 0
    shown = capsys.readouterr().out
    assert "2  2  4          99.63 %" in shown
    assert "That is the nearest to 99.9 % that up to 4 partners come" in shown
    assert "find more partners, or such as are up for longer" in shown
    assert run(cli, "coopfs", ["plan", "--partner", "0.5"]) == 0
    shown = capsys.readouterr().out
    assert re.search(r"2 +2 +4 +69 %", shown)
    assert "find partners that are up for longer, as more of these do not help" in shown


def partner_seen(name: str, share: float, hours: int, expected: float) -> dict[str, Any]:
    return {**STATUS["partners"][0], "name": name, "uptime": {"share": share, "hours": hours}, "expected": expected}


@pytest.mark.parametrize(("names", "works"), [("abcd", "nearest to 99.9 % that these"), ("abcdefgh", "format --data")])
def test_plan_goes_by_what_was_measured(tmp_path: Path, names: str, works: str, capsys: Captured) -> None:
    seen = [partner_seen(name, 0.95, 2000, 0.95) for name in names]
    seen[0] |= {"uptime": None, "expected": 0.9}
    seen[1] |= {"uptime": {"share": 1.0, "hours": 20}, "expected": 0.9}
    with answering(tmp_path, [result(partners=seen)]) as requests:
        assert run(cli, "coopfs", ["--home", str(tmp_path), "plan", "--measured"]) == 0
    assert requests == [{"call": "partner_list", "args": {}}]
    shown = capsys.readouterr().out
    assert "a was not seen yet, and is taken to be up 90 % of the time" in shown
    assert "b was up 100 % of 20 hours seen, which is too few to go by: it is taken to be up 90 % of the time" in shown
    assert "c was up 95 % of 2000 hours seen\n" in shown
    assert works in shown


@pytest.mark.parametrize("wrong", [["--partner", "0.5"], ["--partners", "9"]])
def test_what_is_measured_is_not_assumed(wrong: list[str], capsys: Captured) -> None:
    assert run(cli, "coopfs", ["plan", "--measured", *wrong]) == 2
    assert "--measured goes by the partners there are" in capsys.readouterr().err


@pytest.mark.parametrize("wrong", [["--target", "100"], ["--partner", "1.5"], ["--partners", "1"], ["--repair", "0"]])
def test_plan_refuses_what_cannot_be(wrong: list[str], capsys: Captured) -> None:
    assert run(cli, "coopfs", ["plan", *wrong]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
