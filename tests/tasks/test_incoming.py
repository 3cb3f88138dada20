"""What a store that is being filled is sent: what is endangered first, everything once, and again when all was looked
at."""

from pathlib import Path

import pytest

from coopfs.core.ids import NO_IDS, Ids
from coopfs.limits import WALK_REST
from coopfs.local.incoming import IncomingAcks
from coopfs.tasks.reshaping import incoming as incoming_of
from coopfs.tasks.reshaping.incoming import Incoming
from tests.tasks.test_ledger import Desk

COLUMN = 2


def is_not(id_: int) -> bool:
    return False


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    monkeypatch.setattr(incoming_of, "CLEANER_BATCH", 2)
    monkeypatch.setattr(incoming_of, "WALK_SLICE", 3)
    desk = Desk(tmp_path)
    ids = desk.seal(desk.group(100_000))
    assert ids == list(range(ids[0], ids[0] + 10))
    desk.ack(ids, [0, 1, 2])
    desk.ledger.retract(ids[2:7], 1)
    desk.ledger.retract(ids[4:5], 0)
    return desk


def test_what_is_endangered_comes_first_and_each_comes_once(desk: Desk) -> None:
    coming = Incoming(COLUMN, desk.ledger, IncomingAcks(desk.disk.database), 0.0)
    first = desk.ledger.log.places()[0][0]
    ids = list(range(first, first + 10))
    assert coming.lacking(COLUMN, is_not, NO_IDS) == [ids[4], ids[2]]
    coming.ack([ids[4], ids[2]], COLUMN)
    assert coming.lacking(COLUMN, is_not, NO_IDS) == [ids[3], ids[5]], "no matter that these were not acked"
    assert coming.lacking(COLUMN, is_not, NO_IDS) == [ids[6], ids[9]]
    looks = [coming.lacking(COLUMN, is_not, NO_IDS) for _ in range(5)]
    assert looks == [[ids[8], ids[7]], [ids[6], ids[5]], [ids[3], ids[1]], [ids[0]], []]
    for _ in range(WALK_REST):
        assert coming.lacking(COLUMN, is_not, NO_IDS) == []
    assert coming.lacking(COLUMN, is_not, NO_IDS) == [ids[3], ids[9]], "from the beginning"
    desk.disk.close()


def test_what_is_written_meanwhile_holds_up_nothing(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is endangered as long as it is under way."""
    monkeypatch.setattr(incoming_of, "CLEANER_BATCH", 4)
    coming = Incoming(COLUMN, desk.ledger, IncomingAcks(desk.disk.database), 0.0)
    old = {id_ for id_, *_ in desk.ledger.log.places()}
    sent: set[int] = set()
    for _ in range(8):
        new = desk.seal(desk.group())[:1]
        looked = coming.lacking(COLUMN, new.__contains__, NO_IDS)
        sent.update(looked)
        coming.ack([*looked, *new], COLUMN)
        desk.ack(new, [0, 1, 2])
    assert old <= sent
    desk.disk.close()


def test_what_is_under_way_or_aside_is_left_out_until_the_walk_comes_by(desk: Desk) -> None:
    coming = Incoming(COLUMN, desk.ledger, IncomingAcks(desk.disk.database), 0.0)
    first = desk.ledger.log.places()[0][0]
    aside = Ids()
    aside.add(first + 2)
    assert coming.lacking(COLUMN, lambda id_: id_ == first + 4, aside) == []
    found = [id_ for _ in range(8) for id_ in coming.lacking(COLUMN, is_not, NO_IDS)]
    assert {first + 2, first + 4} <= set(found)
    desk.disk.close()
