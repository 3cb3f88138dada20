"""Invitation codes, and the base32 that they are written in."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coopfs.core import base32
from coopfs.core.invitation import Invitation, decode
from coopfs.errors import UsageError
from coopfs.types import NodeKey

INVITATION = Invitation(
    NodeKey(bytes(range(32))), bytes(range(16)), 1 << 40, 1 << 39, "anna", ("anna.example:7530", "[::1]:7530")
)
CODE = INVITATION.encode()


def test_golden_code() -> None:
    assert CODE == (
        "COOPFS0-000020G3-0G2GC1R8-1450P30D-1R7H048J-2CA1A5GQ-30CHM6RW-3MF1Y001-081G8186-0W40J2GB-1G6GW3R"
        "0-000G0000-00000000-G0000000-0HGPWVK1-088P2VKE-C4Q6AY31-DNR6RS9T-6WTK6C0A-BCX3MCAX-78VKACSG-GBS3"
        "76T3"
    )
    assert decode(CODE) == INVITATION


def test_golden_code_with_a_promise() -> None:
    promising = replace(INVITATION, uptime="mon-fri 08:00-18:00 Europe/Paris")
    code = promising.encode()
    assert code == (
        "COOPFS0-040020G3-0G2GC1R8-1450P30D-1R7H048J-2CA1A5GQ-30CHM6RW-3MF1Y001-081G8186-0W40J2GB-1G6GW3R"
        "0-000G0000-00000000-G0000000-0HGPWVK1-088P2VKE-C4Q6AY31-DNR6RS9T-6WTK6C0A-BCX3MCAX-78VKACSG-41PP"
        "YVHD-CSS6J81G-70X30C1D-64W3MC1G-412QAWKF-E1JJYM31-E9MQ6PAJ-R6Q70"
    )
    assert decode(code) == promising


@pytest.mark.parametrize("wrong", ["95", "96%", "mon-fri 08-18 Europe/Paris"])
def test_a_promise_that_is_none_is_a_usage_error(wrong: str) -> None:
    with pytest.raises(UsageError, match="damaged"):
        decode(replace(INVITATION, uptime=wrong).encode())


@given(st.binary(max_size=300))
def test_base32_gives_back_what_it_was_given(data: bytes) -> None:
    assert base32.decode(base32.encode(data)) == data


@given(st.text(max_size=300))
def test_any_text_is_a_code_or_a_usage_error(text: str) -> None:
    for code in (text, f"COOPFS0-{text}"):
        with pytest.raises(UsageError, match=r"^[^\n]+$"):
            decode(code)


def test_a_code_survives_how_people_copy() -> None:
    for copied in (
        CODE.lower(),
        CODE.replace("-", ""),
        CODE.replace("-", "\n  "),
        CODE.replace("0", "O"),
        CODE.replace("1", "l"),
    ):
        assert decode(copied) == INVITATION


def test_every_single_mistyped_character_is_noticed() -> None:
    for position, character in enumerate(CODE):
        if character == "-":
            continue
        for wrong in {"7", "X", "U", "*"} - {character}:
            with pytest.raises(UsageError):
                decode(CODE[:position] + wrong + CODE[position + 1 :])


def test_swapped_and_missing_characters_are_noticed() -> None:
    for position in range(len(CODE) - 1):
        left, right = CODE[position], CODE[position + 1]
        if left != right and "-" not in left + right:
            with pytest.raises(UsageError):
                decode(CODE[:position] + right + left + CODE[position + 2 :])
    with pytest.raises(UsageError, match="mistyped or cut short"):
        decode(CODE[:-1])


@pytest.mark.parametrize(
    "wrong",
    [
        replace(INVITATION, name="two words"),
        replace(INVITATION, name=""),
        replace(INVITATION, addresses=("no port",)),
        replace(INVITATION, given=1 << 63),
    ],
)
def test_a_code_with_impossible_content_is_a_usage_error(wrong: Invitation) -> None:
    with pytest.raises(UsageError):
        decode(wrong.encode())


@pytest.mark.parametrize("data", [b"", b"\1" + bytes(80), bytes(65), bytes(66), bytes(67) + b"extra"])
def test_a_forged_code_is_a_usage_error(data: bytes) -> None:
    with pytest.raises(UsageError):
        decode(f"COOPFS0-{base32.encode(data)}")
