"""Several users at once, through the kernel: what each may do, and what it leaves, is as on ext4."""

import os
from pathlib import Path
from random import Random

import pytest

from tests.fs.kernel_operations import KernelChooser, KernelSide
from tests.fs.operations import ROOT
from tests.fs.server import Server
from tests.fs.shapes import shape_of_real
from tests.fs.test_twin import has_fine_times, times_changed, without_times

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not ROOT, reason="only root can become somebody else"),
    pytest.mark.skipif(not os.access("/dev/fuse", os.R_OK | os.W_OK), reason="/dev/fuse cannot be opened"),
]

STEPS = 400


@pytest.mark.parametrize("seed", range(2))
def test_what_each_user_may_do_is_as_elsewhere(seed: int, open_server: Server, open_place: Path) -> None:
    tops = (open_place / "real", open_server.mountpoint)
    tops[0].mkdir()
    for top in tops:
        top.chmod(0o777)
    fine = has_fine_times(open_place)
    real, mounted = KernelSide(tops[0]), KernelSide(tops[1])
    chooser = KernelChooser(Random(seed))
    before = shape_of_real(tops[0]), shape_of_real(tops[1])
    for step in range(STEPS):
        operation = chooser.next()
        where = f"seed {seed} step {step}: {operation!r:.200}"
        assert mounted.apply(operation) == real.apply(operation), where
        after = shape_of_real(tops[0]), shape_of_real(tops[1])
        assert without_times(after[1]) == without_times(after[0]), where
        if fine:
            wanted, changed = times_changed(before[0], after[0]), times_changed(before[1], after[1])
            assert {path: changed[path] for path in changed} == {path: wanted[path] for path in changed}, where
        before = after
    real.close_all()
    mounted.close_all()
    open_server.stop()
