"""Who is proposed to whom: nobody near, only equal levels, as widely spread as can be, by lot among equals."""

import random
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coopfs.core.matching import Spot, choose, choose_pairs, fold, near, pairs_of, spot_of, subnets_of, suits
from coopfs.levels import Share, parse_uptime
from coopfs.types import NodeKey
from tests.core.test_announcement import PLAIN


def spot(number: int, site: str = "", *subnets: str, system: str = "linux") -> Spot:
    return Spot(NodeKey(number.to_bytes(32, "big")), site, subnets, system)


@pytest.mark.parametrize(
    ("hosts", "subnets"),
    [
        (["8.8.8.8", "8.8.8.200"], ("8.8.8.0/24",)),
        (["2a01:4f8:1:2::3", "2a01:4f8:1:ffff::1"], ("2a01:4f8:1::/48",)),
        (["::ffff:8.8.8.8"], ("8.8.8.0/24",)),
        (["attic.example.org"], ()),
        (["192.168.1.2", "8.8.8.8"], ("8.8.8.0/24",)),
        (["192.168.1.2", "fe80::1"], ("192.168.1.0/24", "fe80::/48")),
        (["127.0.0.1", "attic.example.org"], ("127.0.0.0/24",)),
    ],
)
def test_subnets(hosts: list[str], subnets: tuple[str, ...]) -> None:
    assert subnets_of(hosts) == subnets


def test_where_an_announcement_comes_from() -> None:
    named = replace(PLAIN, addresses=("attic.example.org:7530", "192.168.1.2:7530"))
    assert spot_of(named, "8.8.8.8") == Spot(PLAIN.node, "paris 14e", ("8.8.8.0/24",), "linux")
    assert spot_of(replace(named, site=" "), "8.8.8.8").site == "8.8.8.0/24"
    assert spot_of(replace(named, site="", addresses=("attic.example.org:1",)), None).site == ""
    relayed = replace(named, addresses=("relay/8.8.4.4:7531",))  # many wait at one relay, from everywhere
    assert spot_of(relayed, "8.8.8.8").subnets == ("8.8.8.0/24",)
    assert fold(" Paris   14E ") == "paris 14e"


def test_near_is_the_same_site_or_one_subnet_in_common() -> None:
    assert near(spot(1, "paris", "8.8.8.0/24"), spot(2, "paris", "9.9.9.0/24"))
    assert near(spot(1, "paris", "8.8.8.0/24", "9.9.9.0/24"), spot(2, "lyon", "9.9.9.0/24"))
    assert not near(spot(1, "paris", "8.8.8.0/24"), spot(2, "lyon", "9.9.9.0/24"))
    assert not near(spot(1), spot(2))


def test_only_equal_levels_suit_and_only_who_lacks_partners() -> None:
    other = replace(PLAIN, node=NodeKey(bytes(32)))
    assert suits(PLAIN, other)
    assert not suits(PLAIN, PLAIN)
    for change in (
        {"storage": PLAIN.storage + 1},
        {"uptime": Share(99)},
        {"uptime": parse_uptime("mon-fri 08-18 Europe/Paris")},
        {"needs": 0},
    ):
        assert not suits(PLAIN, replace(other, **change))
        assert not suits(replace(other, **change), PLAIN)


def test_sites_come_before_subnets_before_systems() -> None:
    here = [spot(0, "paris", "8.8.8.0/24")]
    crowd = [
        spot(1, "paris", "1.1.1.0/24", system="plan9"),
        spot(2, "lyon", "8.8.8.0/24", system="plan9"),
        spot(3, "rome", "7.7.7.0/24"),
        spot(4, "oslo", "6.6.6.0/24", system="plan9"),
    ]
    chosen = choose(crowd, here, 4, random.Random(1).random)
    assert [each.site for each in chosen] == ["oslo", "rome", "lyon", "paris"]


@given(
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=30),
    st.integers(0, 12),
    st.integers(0, 1 << 32),
)
def test_sites_are_used_evenly(places: list[tuple[int, int]], count: int, seed: int) -> None:
    crowd = [spot(n, f"site {site}", f"{subnet}.0.0.0/24") for n, (site, subnet) in enumerate(places)]
    chosen = choose(crowd, (), count, random.Random(seed).random)
    assert len(chosen) == min(count, len(crowd)) == len(set(chosen))
    used, there = Counter(each.site for each in chosen), Counter(each.site for each in crowd)
    # no site is used twice more than another that has somebody left
    assert all(used[one] - used[two] <= 1 for one in used for two in there if used[two] < there[two])


def test_among_equals_everybody_is_chosen_as_often() -> None:
    crowd = [spot(number, f"site {number}", f"{number}.0.0.0/24") for number in range(10)]
    lot = random.Random(7).random
    counts = Counter(each.node for _ in range(2000) for each in choose(crowd, (), 2, lot))
    assert len(counts) == 10
    assert max(counts.values()) - min(counts.values()) < 120  # of 400 each, 18 is one standard deviation


def test_pairs_are_those_with_one_bond() -> None:
    crowd = [spot(number) for number in range(6)]
    bonded = [(bond, crowd[number]) for bond, number in [(b"a", 0), (b"b", 1), (b"b", 2), (b"b", 3), (b"c", 4)]]
    bonded.append((b"c", crowd[4]))
    assert pairs_of(bonded) == [(crowd[1], crowd[2]), (crowd[2], crowd[3])]


def test_pairs_away_from_the_partners_come_first() -> None:
    here = [spot(0, "paris", "8.8.8.0/24", system="linux")]
    crowd = [
        (spot(1, "rome"), spot(2, "paris")),
        (spot(3, "rome"), spot(4, "oslo", "8.8.8.0/24")),
        (spot(5, "rome"), spot(6, "oslo", system="plan9")),
        (spot(7, "rome"), spot(8, "oslo")),
    ]
    chosen = choose_pairs(crowd, here, 3, random.Random(1).random)
    assert [pair[0].node[-1] for pair in chosen] == [5, 7, 3]
    equals = [(spot(n, f"a{n}"), spot(n + 10, f"b{n}")) for n in range(4)]
    firsts = {choose_pairs(equals, (), 1, random.Random(seed).random)[0][0].node[-1] for seed in range(40)}
    assert firsts == {0, 1, 2, 3}
