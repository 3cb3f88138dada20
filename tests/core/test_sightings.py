"""What partners say of where they see this node: bounded, forgotten, and never more than a candidate."""

import pytest

from coopfs.core.sightings import Sightings
from coopfs.limits import MAX_OBSERVED, MAX_SIGHTINGS, SIGHTING_LIFETIME
from coopfs.types import NodeKey


def who(number: int) -> NodeKey:
    return NodeKey(number.to_bytes(32, "big"))


def test_an_address_is_a_host_and_the_port_of_this_node() -> None:
    sightings = Sightings()
    sightings.note(who(1), "203.0.113.1", 0.0)
    sightings.note(who(2), "2001:db8::1", 1.0)
    assert sightings.addresses(7530, 1.0) == ("[2001:db8::1]:7530", "203.0.113.1:7530")


@pytest.mark.parametrize(
    "host",
    [
        "",
        "a.example",
        "127.0.0.1",
        "::1",
        "0.0.0.0",
        "224.0.0.1",
        "fe80::1",
        "fe80::1%e",
        "203.0.113.1:5",
        "2001:DB8::1",
    ],
)
def test_what_nobody_could_call_is_ignored(host: str) -> None:
    sightings = Sightings()
    sightings.note(who(1), host, 0.0)
    assert sightings.addresses(7530, 0.0) == ()


def test_what_most_partners_say_comes_first_and_one_has_one_voice() -> None:
    sightings = Sightings()
    for number in range(10):
        sightings.note(who(1), f"203.0.113.{number}", 0.0)
    for number in (2, 3):
        sightings.note(who(number), "198.51.100.1", 0.0)
    sightings.note(who(4), "192.0.2.1", 0.0)
    assert sightings.addresses(1, 0.0) == ("198.51.100.1:1", "192.0.2.1:1")
    assert len(sightings.addresses(1, 0.0)) == MAX_OBSERVED


def test_a_word_is_forgotten_after_a_day() -> None:
    sightings = Sightings()
    sightings.note(who(1), "203.0.113.1", 0.0)
    sightings.note(who(2), "203.0.113.2", 5.0)
    assert sightings.addresses(1, SIGHTING_LIFETIME) == ("203.0.113.2:1",)


def test_only_so_many_partners_are_remembered() -> None:
    sightings = Sightings()
    for number in range(2 * MAX_SIGHTINGS):
        sightings.note(who(number), "203.0.113.1" if number < MAX_SIGHTINGS else "203.0.113.2", 0.0)
    assert sightings.addresses(1, 0.0) == ("203.0.113.2:1",)
