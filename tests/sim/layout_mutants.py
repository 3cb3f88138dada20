"""One rule of disks that move to another layout broken at a time (tests/sim/mutants)."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any
from unittest.mock import patch

from coopfs.core.master import LayoutPlaces, MasterBlock
from coopfs.core.newest import AllAnswers
from coopfs.core.progress import Progress
from coopfs.core.quorum import Reach
from coopfs.core.seats import ALL_SEATS
from coopfs.tasks.recovery import witnesses
from coopfs.tasks.recovery.masters import MasterSearch
from coopfs.tasks.reshaping.growing import Growing
from coopfs.tasks.reshaping.reshaping import Reshaping
from coopfs.tasks.reshaping.returner import Returner
from coopfs.tasks.writing import keeper
from coopfs.tasks.writing.column import Column
from coopfs.types import NodeKey


def a_layout_is_used_before_anybody_knows_of_it() -> Any:
    """R14: whoever restores would not look there."""

    def mutant(self: Reshaping) -> str | None:
        assert self.coming is not None
        new = self._columns.of(self.coming.layout.id)
        return "not reached" if any(column.session is None for column in new) else None

    return patch.object(Reshaping, "hindrance", mutant)


@contextlib.contextmanager
def an_old_layout_is_named_no_more_while_stripes_lie_there() -> Iterator[None]:
    """R14: not before the death of the last one is held."""
    use, seal, used = Reshaping._use, keeper.seal_master, set[int]()

    def note(self: Reshaping, places: LayoutPlaces) -> None:
        use(self, places)
        used.add(places.layout.id)

    def mutant(keys: Any, block: MasterBlock, node: NodeKey) -> Any:
        newest = block.layouts[-1]
        return seal(keys, replace(block, layouts=(newest,)) if newest.layout.id in used else block, node)

    with patch.object(Reshaping, "_use", note), patch.object(keeper, "seal_master", mutant):
        yield


def old_stores_are_given_back_before_anybody_knows() -> Any:
    """R14: who restores with the block before would have to ask."""
    return patch.object(Returner, "_is_known", lambda *_: True)


def a_restore_looks_into_the_newest_layout_only() -> Any:
    """R11, R14."""
    run = MasterSearch.run

    async def mutant(self: MasterSearch, nodes: Sequence[NodeKey]) -> MasterBlock:
        found = await run(self, nodes)
        return replace(found, layouts=found.layouts[-1:])

    return patch.object(MasterSearch, "run", mutant)


def a_restore_judges_all_by_the_newest_layout() -> Any:
    """R11: k claims are k of its layout."""
    answers_of = witnesses.answers_of

    def mutant(*what: Any) -> AllAnswers:
        found = answers_of(*what)
        for answers in found.layouts.values():
            answers.quorum = list(found.layouts.values())[-1].quorum
        return found

    return patch.object(witnesses, "answers_of", mutant)


def stripes_are_held_by_the_rules_of_the_oldest_layout() -> Any:
    """R7: each by those of its own."""

    def mutant(self: Progress, acks: int, away: int) -> Reach:
        if acks == ALL_SEATS:
            return Reach.COMPLETE
        span, oldest = self.seats.lacked_by(acks), next(iter(self.seats)).quorum
        is_held = span.own(acks & ~away).bit_count() >= oldest.to_be_safe(span.own(away))
        return Reach.HELD if is_held else Reach.SENT

    return patch.object(Progress, "_reach", mutant)


def a_slice_is_cut_before_it_is_empty() -> Any:
    """R14: when the death of all that lay there is held, and the master block does not name it any more."""
    rows_for = Growing._rows_for

    def mutant(self: Growing, column: Column) -> int:
        rows = rows_for(self, column)
        old = {span.layout.id for span in self._ledger.seats if span.layout.id < self._ledger.layout.id}
        return min(rows, max(1, self._ledger.rows_of(column.layout.id).limit)) if column.layout.id in old else rows

    return patch.object(Growing, "_rows_for", mutant)


LAYOUT_MUTANTS: list[Callable[[], AbstractContextManager[object]]] = [
    a_layout_is_used_before_anybody_knows_of_it,
    an_old_layout_is_named_no_more_while_stripes_lie_there,
    old_stores_are_given_back_before_anybody_knows,
    a_restore_looks_into_the_newest_layout_only,
    a_restore_judges_all_by_the_newest_layout,
    stripes_are_held_by_the_rules_of_the_oldest_layout,
    a_slice_is_cut_before_it_is_empty,
]
