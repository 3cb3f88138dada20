"""Which k and m `coopfs format` takes when its owner names none: the best split of the partners there are."""

from collections.abc import Callable, Sequence

from coopfs.app.disk import formatting
from coopfs.core.choice import Choice, Hopes, split, weigh
from coopfs.core.master import LayoutPlaces
from coopfs.errors import UsageError
from coopfs.limits import DEFAULT_LOST, DEFAULT_REPAIR_DAYS, MAX_COLUMNS
from coopfs.local.partners import PartnerEntry

HOPES = Hopes(DEFAULT_LOST, DEFAULT_REPAIR_DAYS)


def for_partners(
    entries: Sequence[PartnerEntry],
    names: Sequence[str] | None,
    target: float,
    up: Callable[[PartnerEntry], float],
) -> tuple[list[PartnerEntry], Choice]:
    """All partners, or those named, and how to split them. target: the probability wanted of a restore; up: that of a
    partner to be up. UsageError: too few or too many partners, or an unknown name."""
    chosen = formatting.choose(entries, names, len(entries if names is None else dict.fromkeys(names)))
    if len(chosen) < 2:
        raise UsageError("2 partners are needed at least: invite or accept more, or say --data 1 --redundancy 0")
    if len(chosen) > MAX_COLUMNS:
        raise UsageError(f"there are {len(chosen)} partners, {MAX_COLUMNS} are possible: name them with --partner NAME")
    return chosen, split(target, [up(entry) for entry in chosen], HOPES)


def as_begun(
    entries: Sequence[PartnerEntry], begun: LayoutPlaces, up: Callable[[PartnerEntry], float]
) -> tuple[list[PartnerEntry], Choice]:
    """The partners and the split of a format that was cut short: it goes on as it began, whatever would be best by
    now. UsageError: one of them is a partner no more."""
    known = {entry.key: entry for entry in entries}
    stores = [store for column in begun.columns for store in column]
    for store in stores:
        if store.node not in known:
            raise UsageError(f"{store.name}, with whom a format was begun, is no partner any more")
    chosen = [known[store.node] for store in stores]
    return chosen, weigh(begun.layout.k, [up(entry) for entry in chosen], HOPES)
