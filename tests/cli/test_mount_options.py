"""What mount(8) passes on, and what of it reaches the daemon."""

import pytest

from coopfs.cli.mount_options import parse_options, split_options
from coopfs.errors import UsageError


@pytest.mark.parametrize(
    ("groups", "chosen"),
    [
        ([], []),
        (["rw"], []),
        (["ro,nosuid,nodev,noexec,noatime"], ["noatime", "nodev", "noexec", "nosuid", "ro"]),
        (["ro", "rw"], []),
        (["rw,noexec,nosuid,nodev,user=alice,exec"], ["nodev", "nosuid"]),
        (["defaults,_netdev,nofail,x-systemd.automount,comment=mine,,"], []),
        (["allow_other, ro"], ["allow_other", "ro"]),
        (["cache=1G,ro", "cache=2M"], ["cache=2097152", "ro"]),
        (["cache=1G", "cache=auto"], ["cache=auto"]),
        (["compress=zstd:19", "compress=zstd,ro"], ["compress=zstd:1", "ro"]),
        (["compress=off"], ["compress=off"]),
        (["fsync=local,cache=1M", "fsync=partners"], ["cache=1048576", "fsync=partners"]),
    ],
)
def test_the_daemon_gets_what_the_mount_must_know(groups: list[str], chosen: list[str]) -> None:
    assert parse_options(groups) == chosen


def test_a_setting_that_is_none_is_refused() -> None:
    with pytest.raises(UsageError, match="'both' is no setting of fsync; use local or partners"):
        parse_options(["fsync=both"])


def test_unknown_options_are_refused_by_name() -> None:
    with pytest.raises(UsageError, match="'cash=9', 'frob'"):
        parse_options(["ro,frob", "cash=9"])


@pytest.mark.parametrize("option", ["compress=", "compress=lzo", "compress=zstd:", "compress=zstd:20", "cache=much"])
def test_wrong_values_are_refused_in_one_line(option: str) -> None:
    with pytest.raises(UsageError, match=r"zstd:1 to zstd:19$|is not a size"):
        parse_options([option])


def test_a_sloppy_mount_can_tell_them_apart() -> None:
    assert split_options(["ro,cash=9"]) == (["ro"], ["cash=9"])
