"""One rule of disks that get larger or smaller broken at a time (tests/sim/mutants)."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any
from unittest.mock import patch

from coopfs.core.master import LayoutPlaces
from coopfs.tasks.reshaping.growing import Growing


def rows_are_used_that_the_master_block_does_not_name() -> Any:
    """R14: whoever restores takes no notice of what lies beyond."""
    named = Growing._named

    def mutant(self: Growing) -> LayoutPlaces | None:
        if self.rows <= self._places.rows:
            return named(self)
        if self.rows > self._ledger.rows.total and not self._small():
            self._ledger.resize(self._ledger.layout.id, self.rows)
        return None

    return patch.object(Growing, "_named", mutant)


def a_master_block_names_less_rows_before_they_are_empty() -> Any:
    """R14: what lay there is written anew, and its death is held."""
    named = Growing._named

    def mutant(self: Growing) -> LayoutPlaces | None:
        return replace(self._places, rows=self.rows) if self.rows < self._places.rows else named(self)

    return patch.object(Growing, "_named", mutant)


def stores_are_cut_before_their_rows_are_empty() -> Any:
    """R14: when the master block names no more rows, and all know it."""
    return patch.object(Growing, "_may_cut", Growing._exceeds)


SIZE_MUTANTS: list[Callable[[], AbstractContextManager[object]]] = [
    rows_are_used_that_the_master_block_does_not_name,
    a_master_block_names_less_rows_before_they_are_empty,
    stores_are_cut_before_their_rows_are_empty,
]
