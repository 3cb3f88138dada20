"""The simulator has teeth: a rule that is broken is noticed within a bounded number of lives."""

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
SEEDS = 60  # of each geometry: which life notices differs with the SQLite and the Python at hand


@pytest.mark.slow
@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.__name__)
def test_a_broken_rule_is_noticed(mutant: Mutant, tmp_path: Path) -> None:
    with mutant():
        for seed in range(SEEDS):
            for geometry in GEOMETRIES:
                with TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else tmp_path) as directory:
                    if live(seed, geometry, Path(directory), ENDINGS[seed % 2]).broken is not None:
                        return
    pytest.fail(f"nothing was noticed in {SEEDS} lives of each geometry")
