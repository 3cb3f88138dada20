"""The manuals name every command, option, exit code and key that there is, and none that there is not."""

import re
from pathlib import Path

import click
import pytest

from coopfs import config
from coopfs.cli import mount_options
from coopfs.cli.main import cli
from coopfs.cli.mount_helper import mount_coopfs
from coopfs.cli.run import EXIT_CODES
from coopfs.core.geometry import check_layout
from coopfs.errors import UsageError
from coopfs.limits import MAX_BLOCK_SIZE, MIN_BLOCK_SIZE
from coopfs.types import Layout
from tests.cli.test_commands import STATUS, commands

MAN = Path(__file__).parents[2] / "man"


def manual(name: str) -> str:
    return (MAN / name).read_text(encoding="utf-8")


def find(path: tuple[str, ...]) -> click.Command:
    command: click.Command = cli
    for name in path:
        assert isinstance(command, click.Group)
        command = command.commands[name]
    return command


def options(command: click.Command) -> set[str]:
    named = (parameter for parameter in command.params if isinstance(parameter, click.Option) and not parameter.hidden)
    return {name.removeprefix("-") for parameter in named for name in parameter.opts}


LEAVES = [path for path in commands(cli) if path and not isinstance(find(path), click.Group)]


@pytest.mark.parametrize("path", LEAVES, ids=" ".join)
def test_every_command_is_documented_with_its_options(path: tuple[str, ...]) -> None:
    entries = re.findall(rf"^\.It Cm {' '.join(path)}\b.*$", manual("coopfs.1"), re.MULTILINE)
    assert entries
    documented = set(re.findall(r"Fl (\S+)", " ".join(entries)))
    assert documented == options(find(path)) - {"-home"}


def test_no_command_is_documented_that_is_not_there() -> None:
    for line in re.findall(r"^\.It Cm (.*)$", manual("coopfs.1"), re.MULTILINE):
        words = tuple(re.split(r" (?=[A-Z])", line)[0].split())
        assert words in LEAVES


def test_what_status_tells_of_the_disk_is_documented() -> None:
    section = manual("coopfs.1").split(".It Li disk\n")[1].split(".It Li partners\n")[0]
    assert [key for key in STATUS["disk"] if not re.search(rf"\b{key}\b", section)] == []


def test_the_block_sizes_are_those_of_the_program() -> None:
    words = " ".join(manual("coopfs.1").split())
    assert f"at most {MAX_BLOCK_SIZE >> 20}M, and at least {MIN_BLOCK_SIZE >> 10}K" in words
    check_layout(Layout(1, 1, 1, 88 << 10))
    for layout in (Layout(1, 1, 1, 84 << 10), Layout(1, 5, 1, MIN_BLOCK_SIZE)):
        with pytest.raises(UsageError, match="use at least"):
            check_layout(layout)
    check_layout(Layout(1, 6, 1, MIN_BLOCK_SIZE))


def test_the_exit_codes_are_those_of_the_program() -> None:
    section = manual("coopfs.1").split(".Sh EXIT STATUS")[1].split(".El")[0]
    documented = {}
    for code, text in re.findall(r"^\.It (\d+)\n((?:(?!\.It).*\n)+)", section, re.MULTILINE):
        words = re.sub(r"^\.Cm demo :$", "demo:", text, flags=re.MULTILINE)
        documented[int(code)] = " ".join(words.split())
    assert documented == EXIT_CODES


def test_every_key_of_the_configuration_is_documented() -> None:
    keys = re.findall(r"^\.It Cm (\S+) No =", manual("coopfs.toml.5"), re.MULTILINE)
    assert keys == list(config.Config.__dataclass_fields__)


def test_the_example_configuration_is_valid() -> None:
    example = manual("coopfs.toml.5").split(".Bd -literal -offset indent\n")[1].split(".Ed")[0]
    assert config.parse(example, "example").name == "attic"


def test_the_mount_options_are_those_of_the_program() -> None:
    lines = re.findall(r"^\.(?:It )?Cm (.+)$", manual("mount.coopfs.8"), re.MULTILINE)
    written = {name for line in lines for name in re.findall(r"[\w*=-]+", re.sub(r" Ns Ar \w+", "", line))}
    documented = {re.sub("=.*", "=", name) for name in written}
    known = {*mount_options.PASSED_ON, *mount_options.TAKEN_BACK, *mount_options.FOR_OTHERS}
    prefixes = {f"{prefix}*" if prefix.endswith("-") else prefix for prefix in mount_options.PREFIXES_FOR_OTHERS}
    assert documented == known | prefixes | {f"{name}=" for name in mount_options.SETTINGS}


def test_every_option_of_the_mount_helper_is_documented() -> None:
    listed = set(re.findall(r"^\.It Fl (\S+)", manual("mount.coopfs.8"), re.MULTILINE))
    assert listed == options(mount_coopfs)
