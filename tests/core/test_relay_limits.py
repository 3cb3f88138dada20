"""Who may come to a relay, and how much may pass: counts by place and by node, bytes by day."""

import pytest

from coopfs import limits
from coopfs.core.dayquota import DAY, DayQuota
from coopfs.core.door import Door, place_of
from coopfs.errors import PartnerAway, Refused
from coopfs.types import NodeKey

NODE, OTHER = NodeKey(b"n" * 32), NodeKey(b"o" * 32)


@pytest.mark.parametrize(
    ("host", "place"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
    ],
)
def test_one_line_is_one_place(host: str, place: str) -> None:
    assert place_of(host) == place


def test_a_place_has_a_bounded_number_of_connections() -> None:
    door = Door()
    for _ in range(limits.RELAY_PER_SOURCE):
        door.enter("a", 0.0)
    with pytest.raises(Refused, match="connections already"):
        door.enter("a", 0.0)
    door.enter("b", 0.0)
    door.leave("a")
    door.enter("a", 0.0)


def test_a_relay_has_a_bounded_number_of_connections() -> None:
    door = Door()
    for number in range(limits.RELAY_CONNECTIONS):
        door.enter(str(number), 0.0)
    with pytest.raises(Refused, match="no connection left"):
        door.enter("one more", 0.0)


def test_who_comes_too_often_waits_for_the_next_minute() -> None:
    door = Door()
    for _ in range(limits.RELAY_NEW):
        door.enter("a", 59.0)
        door.leave("a")
    with pytest.raises(Refused, match="too often"):
        door.enter("a", 59.9)
    door.enter("a", 60.0)


def test_only_so_many_places_are_remembered_in_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "RELAY_SOURCES", 3)
    door = Door()
    for place in "abc":
        door.enter(place, 0.0)
        door.leave(place)
    with pytest.raises(Refused):
        door.enter("d", 0.0)
    door.enter("a", 0.0)
    door.enter("d", 60.0)


def test_a_node_has_a_bounded_number_of_connections() -> None:
    door = Door()
    for _ in range(limits.RELAY_PER_NODE):
        door.admit(NODE)
    with pytest.raises(Refused):
        door.admit(NODE)
    door.admit(OTHER)
    door.dismiss(NODE)
    door.admit(NODE)


def test_a_node_may_send_so_much_a_day() -> None:
    quota = DayQuota(lambda node: 100)
    quota.spend(NODE, 60, 0.0)
    quota.spend(NODE, 60, DAY - 1)  # the piece that crosses the line passes
    with pytest.raises(PartnerAway, match="in a day"):
        quota.spend(NODE, 1, DAY - 1)
    with pytest.raises(PartnerAway):
        quota.check(NODE, DAY - 1)
    quota.spend(OTHER, 1, DAY - 1)
    quota.spend(NODE, 1, DAY)


def test_only_so_many_nodes_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("coopfs.core.dayquota.RELAY_NODES", 1)
    quota = DayQuota(lambda node: 100)
    quota.spend(NODE, 1, 0.0)
    with pytest.raises(PartnerAway, match="too many nodes"):
        quota.check(OTHER, 0.0)
    quota.spend(NODE, 1, 0.0)


def test_each_node_may_have_its_own_quota() -> None:
    quota = DayQuota({NODE: 10, OTHER: 0}.__getitem__)
    quota.spend(NODE, 10, 0.0)
    quota.spend(OTHER, 1 << 40, 0.0)
    quota.check(OTHER, 0.0)
    with pytest.raises(PartnerAway, match="the 10 bytes"):
        quota.check(NODE, 0.0)


def test_without_a_quota_everything_passes() -> None:
    quota = DayQuota(lambda node: 0)
    for _ in range(10):
        quota.spend(NODE, 1 << 40, 0.0)
