"""This home's copy of the master block, and the keys that it says are in use."""

from dataclasses import replace
from pathlib import Path

import pytest

from coopfs.core.keys import KeyAge, ReadKey, keys_of
from coopfs.errors import StateError
from coopfs.local.mastercopy import read_master, save_master
from tests.core.samples import MASTER, PARTNER, SECRET
from tests.fs.parts import new_disk

SEED = bytes(range(32, 64))
AGES = (KeyAge(1, 0), KeyAge(2, 1000))


def test_the_keys_learn_which_are_in_use_and_one_that_is_missing_is_told(tmp_path: Path) -> None:
    disk = new_disk(tmp_path)
    with pytest.raises(StateError, match="there is none"):
        read_master(disk.database, keys_of((ReadKey(1, SECRET),), SEED), PARTNER)
    both = keys_of((ReadKey(1, SECRET), ReadKey(2, bytes(32))), SEED)
    save_master(disk.database, both, PARTNER, replace(MASTER, keys=AGES))
    assert read_master(disk.database, both, PARTNER).keys == both.ages == AGES
    with pytest.raises(StateError, match="lacks key 2, which is in use"):
        read_master(disk.database, keys_of((ReadKey(1, SECRET),), SEED), PARTNER)
    disk.close()
