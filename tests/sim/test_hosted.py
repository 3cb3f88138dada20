"""A partner's power loss leaves every store that it had made, as its header was durable before it was told of."""

from pathlib import Path
from random import Random

from coopfs.limits import MIB, MIN_BLOCK_SIZE
from coopfs.types import Opening, StoreId, StoreSpec
from tests.partners import Owner
from tests.sim.hosted import FileHost, Writes

OWNER = Owner()


def test_a_store_that_was_made_outlives_a_power_loss(tmp_path: Path) -> None:
    for seed in range(8):
        writes = Writes()
        with writes.watching():
            host = FileHost(bytes([seed]) * 32, tmp_path, writes)
            host.given[OWNER.key] = MIB
            store = StoreId(bytes(16))
            spec = StoreSpec(rows=4, block_size=MIN_BLOCK_SIZE)
            host.create(OWNER.key, Opening(OWNER.disk, store, OWNER.claim(1), spec))
            host.lose_power(Random(seed))
            assert not host.stores[store].blocks
