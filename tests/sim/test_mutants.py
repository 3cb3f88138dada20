"""The simulator has teeth: a rule that is broken is noticed within a bounded number of lives."""

import itertools
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.sim.life import live
from tests.sim.mutants import MUTANTS, Mutant
from tests.sim.restores import Restores
from tests.sim.test_life import MEMORY
from tests.sim.world import Geometry

GEOMETRIES = [Geometry(2, 1), Geometry(1, 1), Geometry(1, 2), Geometry(2, 2), Geometry(1, 3)]
ENDINGS = (Restores.check_promise, Restores.check_salvage)
SEEDS = 80  # of each geometry: which life notices differs with the SQLite and the Python at hand


# Where each was noticed once: as long as nothing has changed the course of lives, one life is enough.
NOTICED = {
    "a_rebuilt_column_counts_before_it_is_complete": (19, Geometry(2, 1)),
    "a_new_store_counts_before_anybody_knows_of_it": (26, Geometry(1, 1)),
    "a_takeover_writes_before_all_is_held_again": (5, Geometry(1, 2)),
    "a_takeover_looks_before_it_claims": (6, Geometry(2, 1)),
    "a_group_is_held_when_its_own_stripes_are": (2, Geometry(1, 2)),
    "columns_in_a_count_like_others": (1, Geometry(1, 3)),
    "the_newest_whole_state_is_taken_without_asking": (72, Geometry(2, 2)),
    "only_the_chain_of_metadata_makes_a_state_valid": (30, Geometry(2, 2)),
    "what_partners_claim_is_believed": (31, Geometry(1, 3)),
    "a_restore_ignores_the_floor": (5, Geometry(1, 2)),
    "a_partner_that_returns_is_believed_without_a_look": (1, Geometry(2, 2)),
}


@pytest.mark.slow
@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.__name__)
def test_a_broken_rule_is_noticed(mutant: Mutant, tmp_path: Path) -> None:
    every = itertools.product(range(SEEDS), GEOMETRIES)
    first = NOTICED.get(mutant.__name__)
    with mutant():
        for seed, geometry in [*([first] if first else []), *every]:
            with TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else tmp_path) as directory:
                broken = live(seed, geometry, Path(directory), ENDINGS[seed % 2]).broken
            assert not isinstance(broken, TypeError | AttributeError), f"the mutant does not fit the code: {broken}"
            if broken is not None:
                print(f"noticed in life {seed} {geometry}: {broken}")
                return
    pytest.fail(f"nothing was noticed in {SEEDS} lives of each geometry")
