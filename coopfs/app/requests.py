"""What each call of the control socket takes: one table, checked before a call begins.

The socket is the owner's own, yet a script's typing error must not end the daemon that partners rely on.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from coopfs.core.agreement import MAX_GIVEN
from coopfs.errors import UsageError
from coopfs.levels import parse_uptime
from coopfs.limits import CONTROL_LIST, CONTROL_TEXT, MAX_BLOCK_SIZE, MAX_COLUMNS, MAX_KEY_ID
from coopfs.zones import check_zone

Arguments = dict[str, Any]
FOREVER = (1 << 63) - 1  # seconds since 1970


@dataclass(frozen=True, slots=True)
class Shape:
    """One argument. check: its value, or UsageError with what it must be; absent: may be null or left out."""

    check: Callable[[Any], Any]
    absent: bool = False


def _whole(low: int, high: int) -> Callable[[Any], int]:
    def check(value: Any) -> int:
        if type(value) is not int or not low <= value <= high:
            raise UsageError(f"must be a whole number {low}..{high}")
        return value

    return check


def _percent(value: Any) -> float:
    if type(value) not in (int, float) or not 0.0 < value < 100.0:
        raise UsageError("must be a number between 0 and 100")
    return float(value)


def _truth(value: Any) -> bool:
    if type(value) is not bool:
        raise UsageError("must be true or false")
    return value


def _text(value: Any) -> str:
    """Text that can be printed, logged and made bytes of: paths with bytes that are no UTF-8 come as surrogates."""
    if type(value) is not str or not 0 < len(value) <= CONTROL_TEXT or "\0" in value:
        raise UsageError(f"must be a text of 1 to {CONTROL_TEXT} letters")
    try:
        os.fsencode(value)
    except UnicodeEncodeError:
        raise UsageError("must be a text that can be encoded") from None
    return value


def _uptime(value: Any) -> str:
    return str(check_zone(parse_uptime(_text(value))))


def _texts(value: Any) -> list[str]:
    if type(value) is not list or len(value) > CONTROL_LIST:
        raise UsageError(f"must be a list of at most {CONTROL_LIST} texts")
    return [_text(each) for each in value]


def _path(value: Any) -> str:
    if not os.path.isabs(_text(value)):
        raise UsageError("must be a path that begins with /")
    return str(value)


CALLS: Mapping[str, Mapping[str, Shape]] = {
    "status": {},
    "partner_list": {},
    "partner_invite": {"size": Shape(_whole(1, MAX_GIVEN)), "uptime": Shape(_uptime, absent=True)},
    "partner_accept": {"code": Shape(_text)},
    "partner_find": {},
    "partner_add": {"by": Shape(_text), "master_only": Shape(_truth)},
    "partner_resize": {"partner": Shape(_text), "size": Shape(_whole(1, MAX_GIVEN), absent=True)},
    "partner_lose": {"partner": Shape(_text)},
    "partner_end": {"partner": Shape(_text), "yes": Shape(_truth)},
    "leave": {"yes": Shape(_truth)},
    "partner_replace": {"partner": Shape(_text), "by": Shape(_text)},
    "format": {
        "data": Shape(_whole(1, MAX_COLUMNS), absent=True),
        "redundancy": Shape(_whole(0, MAX_COLUMNS), absent=True),
        "target": Shape(_percent, absent=True),
        "block_size": Shape(_whole(1, MAX_BLOCK_SIZE), absent=True),
        "partners": Shape(_texts, absent=True),
        "no_redundancy": Shape(_truth),
    },
    "reshape": {
        "data": Shape(_whole(1, MAX_COLUMNS)),
        "redundancy": Shape(_whole(0, MAX_COLUMNS)),
        "add": Shape(_texts),
        "leave_out": Shape(_texts),
    },
    "reshape_cancel": {},
    "resize": {"size": Shape(_whole(1, MAX_GIVEN), absent=True)},
    "mount": {"mountpoint": Shape(_path), "options": Shape(_texts)},
    "umount": {},
    "sync": {"path": Shape(_path, absent=True), "complete": Shape(_truth)},
    "log": {"path": Shape(_path)},
    "check": {"deep": Shape(_truth), "repair": Shape(_truth), "anew": Shape(_truth)},
    "kit_export": {"read_only": Shape(_truth, absent=True), "until": Shape(_whole(1, FOREVER), absent=True)},
    "kit_written": {"key": Shape(_whole(1, MAX_KEY_ID)), "date": Shape(_whole(0, FOREVER))},
    "kit_readers": {},
    "kit_revoke": {"reader": Shape(_text)},
    "rekey": {"everything": Shape(_truth)},
    "stop": {},
}


def check_arguments(name: str, given: Mapping[str, Any]) -> Arguments:
    """The arguments of the call `name`, absent ones as None. UsageError: missing, of another type, or not known."""
    shapes = CALLS[name]
    unknown = sorted(set(given) - set(shapes))
    if unknown:
        raise UsageError(f"the call {name!r} has no argument {unknown[0]!r}: is the daemon of the same version?")
    checked: Arguments = {}
    for key, shape in shapes.items():
        value = given.get(key)
        if value is None and not shape.absent:
            raise UsageError(f"the call {name!r} needs the argument {key!r}")
        try:
            checked[key] = None if value is None else shape.check(value)
        except UsageError as error:
            raise UsageError(f"the argument {key!r} of the call {name!r}: {error}") from None
    return checked
