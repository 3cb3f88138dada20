"""The recovery kit as text: printed, typed back, mistyped."""

import re
from typing import Any

import msgpack
import pytest
from blake3 import blake3
from hypothesis import given
from hypothesis import strategies as st

from coopfs.core import kitlines
from coopfs.core.keys import ReadKey, keys_of, make_keys
from coopfs.core.kit import Kit, KitDisk, KitPartner, from_text, open_kit, to_sealed_text, to_text
from coopfs.core.kitseal import Cost, SealedKit, seal
from coopfs.core.master import Floor
from coopfs.errors import KitError, UsageError
from coopfs.limits import MAX_KIT, MAX_KIT_MEMORY, MAX_KIT_PASSES
from coopfs.types import NodeKey
from tests.core.samples import KEYS, SECRET, each

KIT = Kit(
    name="owner",
    identity=bytes(range(112, 144)),
    disks=(KitDisk(KEYS, Floor(1 << 48 | 9, 1_700_000_000)),),
    partners=tuple(
        KitPartner(NodeKey(bytes([j]) * 32), f"p{j}", (f"192.0.2.{j}:4000", "[2001:db8::1]:4000")) for j in (1, 2)
    ),
    date=1_700_000_100,
)
TEXT = to_text(KIT, "2023-11-14")
LINES = [line for line in TEXT.splitlines() if not line.startswith("#")]
READ_ONLY = KEYS.readers()
REKEYED = keys_of((ReadKey(3, bytes(32)), ReadKey(4, SECRET)), bytes(32))

GOLDEN_DATA = [
    "01  GTGPC 051DT JPYXV ECNSA 2TE44 1R72W KKEHT QCXVR  RZEM",
    "02  F5X7P Z3XFS ZR10C 2GE28 B1M7H 24RN2 WCHP7 8Z8B4  8SWE",
    "03  J6AS3 4G1RG G0008 20C20 A1G71 04GM2 RC1M7 0Y40H  JMYG",
    "04  289H8 58P2W C1J6G V3GEH W7Y44 0G228 H34GJ JC9S8  RNVR",
    "05  54N2P B1D5R QK0C9 J6CT3 ADHQ7 0WKME SW7MZ 3ZG6F  WGD7",
    "06  000G0 00000 00KKK 5AFRG 18BGJ A9W88 01040 G2081  MXJM",
    "07  040G2 08104 0G208 1040G 20810 40G20 81040 G2081  Q94F",
    "08  06H70 CCJNR RKJCH E60Q3 4BHH7 8T30C 1GP9D K4C1G  1MSZ",
    "09  64X68 RHR78 X32Q9 T6GR3 0C4KR GG040 G2081 040G2  MA63",
    "10  08104 0G208 1040G 20810 40G20 81040 G2081 040N2  YF54",
    "11  E0S95 BHH74 S2WC1 E68Q3 4EHM6 0R31C JV68R 30C9T  K464",
    "12  CHH3G EHT65 EKMD1 G60RA 2X6EC N9Z2S 5X9KX ZKZZQ  WYE0",
    "13  10RT  DZVH",
]

texts = st.text(st.characters(categories=("L", "N", "P")), min_size=1, max_size=20)
keys = st.binary(min_size=32, max_size=32)
floors = st.builds(Floor, st.integers(0, 2**64 - 1), st.integers(0, 2**62))
kits = st.builds(
    Kit,
    name=texts,
    identity=keys,
    disks=st.lists(
        st.builds(KitDisk, st.builds(make_keys, keys, keys) | st.sampled_from([READ_ONLY, REKEYED]), floors),
        min_size=1,
        max_size=3,
    ).map(tuple),
    partners=st.lists(
        st.builds(KitPartner, keys.map(NodeKey), texts, st.lists(texts, max_size=8).map(tuple)), max_size=8
    ).map(tuple),
    date=st.integers(0, 2**62),
)


def text_of(data: bytes) -> str:
    """The lines of a kit with this data, as a program of another version might write them."""
    data += blake3(data).digest(8)
    return "\n".join(kitlines._line(number, data[at : at + 25]) for number, at in enumerate(range(0, len(data), 25), 1))


def test_golden_vector() -> None:
    assert LINES == GOLDEN_DATA


@given(kits)
def test_round_trip(one: Kit) -> None:
    text = to_text(one, "today")
    assert from_text(text) == one
    assert all(len(line) <= 100 and line.isascii() for line in text.splitlines() if not line.startswith("#"))


def test_it_may_be_typed_in_small_letters_with_look_alikes_and_other_spaces() -> None:
    typed = [
        f"  {number} {rest.lower().replace('0', 'o').replace('1', 'l').replace(' ', '   ')}\t"
        for number, rest in (line.split(maxsplit=1) for line in LINES)
    ]
    assert from_text("\r\n".join(["# by hand", "", *typed])) == KIT


@pytest.mark.parametrize("number", range(1, len(LINES) + 1))
def test_every_single_wrong_letter_names_its_line(number: int) -> None:
    line = LINES[number - 1]
    for at in range(4, len(line), 3):
        if line[at] != " ":
            wrong = line[:at] + ("7" if line[at] != "7" else "8") + line[at + 1 :]
            with pytest.raises(KitError, match=f"line {number} "):
                from_text("\n".join([*LINES[: number - 1], wrong, *LINES[number:]]))


def edited(number: int, line: str) -> str:
    return "\n".join([*LINES[: number - 1], line, *LINES[number:]])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (edited(3, LINES[2].replace(LINES[2].split()[2], "")), "line 3 .* too many or too few"),  # a word left out
        (edited(3, LINES[2] + "7"), "line 3 .* too many or too few"),
        (
            edited(3, "03 " + " ".join([LINES[2].split()[2], LINES[2].split()[1], *LINES[2].split()[3:]])),
            "line 3 .*mistyped",
        ),
        (edited(3, LINES[2][:10] + "U" + LINES[2][11:]), "line 3 .* a letter that does not occur"),
        (edited(3, LINES[2][:10] + "ä" + LINES[2][11:]), "line 3 .* a letter that does not occur"),
        (edited(3, LINES[2][4:]), "line 3 .* does not start with its number"),
        (edited(3, "03"), "line 3 .* does not start with its number"),
        (edited(3, "9" * 5000 + " ABCDE"), "line 3 .* does not start with its number"),
        (edited(3, "\u0663 ABCDE"), "line 3 .* does not start with its number"),
        (edited(3, LINES[3]), "line 3 .* missing or out of order: line 4 stands there"),
        ("\n".join(LINES[:2] + LINES[3:]), "line 3 .* missing or out of order: line 4 stands there"),
        ("\n".join([*LINES[:3], *LINES[2:]]), "line 4 .* out of order: line 3 stands there"),
        ("\n".join(LINES[:-1]), f"lines after {len(LINES) - 1} are missing"),
        (LINES[0], "lines after 1 are missing"),
        ("", "not a recovery kit"),
        ("# only remarks\n", "not a recovery kit"),
        ("Dear Sir or Madam", "line 1 .* does not start with its number"),
        ("1 " + "0" * MAX_KIT, "far too long"),
        ("01  0000", "line 1 .* too many or too few"),
    ],
    ids=lambda value: re.sub(r"\W+", "-", value)[-40:] if isinstance(value, str) else None,
)
def test_each_typing_error_names_its_line(text: str, message: str) -> None:
    with pytest.raises(KitError, match=message):
        from_text(text)


def test_lines_of_two_kits_are_not_one_kit() -> None:
    other = to_text(Kit("owner", bytes(32), KIT.disks, KIT.partners, KIT.date), "2023-11-14").splitlines()[4:]
    assert len(other) == len(LINES)
    with pytest.raises(KitError, match="of different kits"):
        from_text("\n".join([*LINES[:3], *other[3:]]))


def test_a_short_line_in_the_middle_is_named() -> None:
    short = kitlines._line(1, b"short")
    with pytest.raises(KitError, match=r"line 1 .* ends too early"):
        from_text("\n".join([short, *LINES[1:]]))


@given(st.text(max_size=200))
def test_arbitrary_text_is_no_kit(text: str) -> None:
    with pytest.raises(KitError):
        from_text(text)


@given(st.binary(max_size=100))
def test_arbitrary_data_with_right_checksums_is_no_kit(data: bytes) -> None:
    with pytest.raises(KitError):
        from_text(text_of(data))


FIELDS: dict[str, Any] = {
    "f": 0,
    "n": "owner",
    "i": bytes(32),
    "d": [[[[1, bytes(32)]], bytes(32), None, 0, 0]],
    "p": [[bytes(32), "p1", ["192.0.2.1:1"]]],
    "t": 0,
}


def test_keys_of_a_newer_writer_are_ignored() -> None:
    read = from_text(text_of(msgpack.packb(FIELDS | {"z": 1})))
    assert isinstance(read, Kit)
    assert read.name == "owner"


@pytest.mark.parametrize(
    "changed",
    [
        *each("f", None, 1, -1, "0", 2**64 - 1),
        *each("n", None, "", b"owner", "x" * 2000, "a\nb"),
        *each("i", None, bytes(31), "0" * 32),
        *each("t", None, -1, 1.5),
        *each("d", None, [], [[]], [1], [FIELDS["d"][0]] * 65),
        *(
            {"d": [[[[1, bytes(32)]], *both, 0, 0]]}
            for both in ((None, None), (bytes(32), bytes(32)), (bytes(5), None), (7, None))
        ),
        *({"d": [[[[1, key]], bytes(32), None, 0, 0]]} for key in (None, bytes(31), 7)),
        *(
            {"d": [[[[id_, bytes(32)] for id_ in ids], bytes(32), None, 0, 0]]}
            for ids in ((), (65536,), ("1",), (1, 1), (2, 1), range(1, 66))
        ),
        *({"d": [[keys, bytes(32), None, 0, 0]]} for keys in (None, bytes(32), [[1]], [1])),
        *each("p", None, [[]], [1], [[bytes(31), "p", []]], [[bytes(32), "p", ["a"] * 9]]),
        *each("p", *([[bytes(32), "p", addresses]] for addresses in (None, "a", [1], [b"a"]))),
    ],
    ids=lambda changed: repr(changed)[:50],
)
def test_values_of_another_type_or_range_are_no_kit(changed: dict[str, object]) -> None:
    with pytest.raises(KitError, match="format"):
        from_text(text_of(msgpack.packb(FIELDS | changed)))


def test_a_kit_shows_no_secret_in_a_log() -> None:
    for secret in (KIT.identity, SECRET, KEYS.signing_seed):
        assert repr(secret) not in repr(KIT)


CHEAP = Cost(passes=1, memory=8)
SEALED = to_sealed_text(KIT, "2023-11-14", "correct horse", b"salt-0123456789a", CHEAP)
GOLDEN_SEALED = [
    "01  GPGPC 0D1DW 0T2V8 8M5SW 843KC 5P78B 9G64S 36D1N  47ZT",
    "02  6RVKG EB1M5 HCA0A 6W6RH 4539G 6T7FH 027F3 PHPN3  RY90",
    "03  XWAYP VZJ8J XFM58 YS8RY RV6AW HRZXH EZ35G FJJ1B  01MR",
    "04  VEFQC 0V4EY 1PY1Q DHZGK 6EC21 D3Z4H WZ18W YEZQH  FM4W",
]


def sealed(text: str) -> SealedKit:
    read = from_text(text)
    assert isinstance(read, SealedKit)
    return read


def test_golden_vector_of_a_sealed_kit() -> None:
    lines = [line for line in SEALED.splitlines() if not line.startswith("#")]
    assert lines[:4] == GOLDEN_SEALED
    assert len(lines) == 15


def test_a_passphrase_opens_its_kit_and_no_other_does() -> None:
    assert open_kit(sealed(SEALED), "correct horse") == KIT
    assert "partner" not in SEALED.lower()
    with pytest.raises(KitError, match=r"not the passphrase .* not damaged"):
        open_kit(sealed(SEALED), "Correct horse")


def test_a_damaged_sealed_kit_is_told_apart_from_a_wrong_passphrase() -> None:
    lines = [line for line in SEALED.splitlines() if not line.startswith("#")]
    lines[5] = lines[5][:8] + ("7" if lines[5][8] != "7" else "8") + lines[5][9:]
    with pytest.raises(KitError, match=r"line 6 .* mistyped"):
        from_text("\n".join(lines))


def test_a_passphrase_may_be_composed_in_either_way() -> None:
    text = to_sealed_text(KIT, "today", "caf\u00e9", bytes(16), CHEAP)
    assert open_kit(sealed(text), "cafe\u0301") == KIT


@pytest.mark.parametrize("phrase", ["", "a\nb", "x" * 1025, "\x00"])
def test_what_cannot_be_typed_again_is_no_passphrase(phrase: str) -> None:
    with pytest.raises(UsageError, match="1 to 1024 bytes"):
        to_sealed_text(KIT, "today", phrase, bytes(16), CHEAP)


SEALED_FIELDS: dict[str, Any] = {"f": 1, "o": 1, "m": 8, "s": bytes(16), "b": bytes(50)}


@pytest.mark.parametrize(
    "changed",
    [
        *each("o", None, 0, -1, MAX_KIT_PASSES + 1, 1 << 62, 1.0, True),
        *each("m", None, 0, 7, MAX_KIT_MEMORY + 1, 100 << 20, "8"),
        *each("s", None, bytes(15), bytes(17), "salt"),
        *each("b", None, b"", "box"),
    ],
    ids=repr,
)
def test_a_kit_cannot_ask_for_any_memory_or_time(changed: dict[str, object]) -> None:
    """100 GiB would be 100 << 20 KiB: refused before a passphrase is asked for."""
    with pytest.raises(KitError, match="format"):
        from_text(text_of(msgpack.packb(SEALED_FIELDS | changed)))


def test_what_is_sealed_must_be_a_kit() -> None:
    for inside in (b"", b"no kit", msgpack.packb(SEALED_FIELDS)):
        with pytest.raises(KitError, match="format"):
            open_kit(sealed(text_of(seal(inside, "p", bytes(16), CHEAP))), "p")
