"""What a store that is being filled is sent: what is endangered first, everything once, and again when all was looked
at."""

from pathlib import Path

import pytest

from coopfs.core.ids import NO_IDS, Ids
from coopfs.limits import STRIPE_ROW_BYTES, WAL_CHECKPOINT_BYTES, WALK_REST
from coopfs.local import incoming as acks_of
from coopfs.local.acks import INCOMING
from coopfs.local.incoming import IncomingAcks
from coopfs.tasks.reshaping import incoming as incoming_of
from coopfs.tasks.reshaping.incoming import Incoming
from coopfs.tasks.writing import ledger as ledger_of
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
    looks = [coming.lacking(COLUMN, is_not, NO_IDS) for _ in range(4)]
    assert looks == [[ids[8], ids[7]], [ids[6], ids[5]], [ids[3], ids[1]], [ids[0]]]
    for _ in range(WALK_REST):
        assert coming.lacking(COLUMN, is_not, NO_IDS) == []
    assert coming.lacking(COLUMN, is_not, NO_IDS) == [ids[3], ids[9]], "from the beginning"
    desk.disk.close()


def test_the_table_is_walked_part_by_part(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that no look takes long when nearly all is there already, and what it has is counted on the way."""
    monkeypatch.setattr(acks_of, "WALK_ROWS", 4)
    monkeypatch.setattr(incoming_of, "WALK_REST", 1)
    coming = Incoming(COLUMN, desk.ledger, IncomingAcks(desk.disk.database), 0.0)
    desk.ack([id_ for id_, *_ in desk.ledger.log.places()], [0, 1, 2])
    ids = [id_ for id_, *_ in desk.ledger.log.places()]
    coming.ack([*ids[:3], *ids[4:9]], COLUMN)
    coming.has = 0
    assert coming.lacking(COLUMN, is_not, NO_IDS) == [ids[9]]
    coming.ack([ids[9]], COLUMN)
    assert coming.lacking(COLUMN, is_not, NO_IDS) == [ids[3]], "two were found in no part yet"
    coming.ack([ids[3]], COLUMN)
    coming.disprove([ids[8]], COLUMN)
    assert coming.lacking(COLUMN, is_not, NO_IDS) == []
    assert coming.has == 9
    assert coming.lacking(COLUMN, is_not, NO_IDS) == [], "it rests"
    assert coming.lacking(COLUMN, is_not, NO_IDS) == [ids[8]]
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


def filled(desk: Desk) -> tuple[Incoming, IncomingAcks, list[int]]:
    """A new store that has all ten stripes, and remains of the first, which has died."""
    acks = IncomingAcks(desk.disk.database)
    list(acks.forget())
    acks.begin()
    coming = Incoming(COLUMN, desk.ledger, acks, 0.0)
    ids = [id_ for id_, *_ in desk.ledger.log.places()]
    coming.ack(ids, COLUMN)
    desk.ack(ids, [0, 1, 2])
    desk.ledger.set_away(0)
    desk.ack(desk.seal(desk.group()), [0, 1, 2])
    assert len(desk.remains()) == 9
    assert acks.count() == 1
    return coming, acks, ids


def test_what_comes_to_nothing_is_forgotten_slice_by_slice_also_after_a_crash(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(acks_of, "FORGET_SLICE", 2)
    _, acks, _ = filled(desk)
    steps = acks.forget()
    next(steps)
    assert (acks.count(), acks.is_clean) == (0, False)
    next(steps)
    del steps
    acks = IncomingAcks(desk.disk.database)
    with pytest.raises(AssertionError):
        acks.begin()
    assert sum(1 for _ in acks.forget()) >= 5
    assert acks.is_clean
    assert {mask >> INCOMING for _, _, mask in desk.remains()} == {0}
    assert desk.ledger.slots.digest(INCOMING) == bytes(16)
    assert not list(acks.forget())
    desk.disk.close()


def test_remains_that_only_it_had_go(desk: Desk) -> None:
    _, acks, ids = filled(desk)
    desk.disk.database.write("UPDATE remains SET acks = ?", (1 << INCOMING,))
    assert not list(acks.forget())
    assert desk.remains() == []
    assert len(ids) == 10
    desk.disk.close()


def test_it_takes_its_place_and_what_it_has_more_is_learned_slice_by_slice(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger_of, "LEARN_SLICE", 3)
    acks, ledger = IncomingAcks(desk.disk.database), desk.ledger
    ids = [id_ for id_, *_ in ledger.log.places()]
    list(acks.forget())
    acks.begin()
    coming = Incoming(COLUMN, ledger, acks, 0.0)
    coming.ack(ids[1:], COLUMN)
    ledger.retract(ids[2:9], COLUMN)
    coming.take_place()
    assert ledger.progress.missing(COLUMN).__next__().id == ids[4]
    assert {pending.id for pending in ledger.progress.missing(COLUMN)} == {ids[0], *ids[2:9]}
    after, slices = ledger.learn(COLUMN, 0), 1
    assert {pending.id for pending in ledger.progress.missing(COLUMN)} == {ids[0], *ids[4:9]}
    while after is not None:
        after, slices = ledger.learn(COLUMN, after), slices + 1
    assert slices == 4
    assert [pending.id for pending in ledger.progress.missing(COLUMN)] == ids[:1]
    assert {acks >> COLUMN & 1 for _, _, _, acks in ledger.log.places()[1:]} == {1}
    assert acks.is_clean
    desk.disk.close()


def test_it_says_how_much_room_its_place_takes_where_there_is_none(desk: Desk) -> None:
    acks, room = IncomingAcks(desk.disk.database), desk.disk.database.room()
    assert acks.lacks_room(10, 100) == 0
    too_many = room // STRIPE_ROW_BYTES
    assert acks.lacks_room(too_many, too_many) == too_many * STRIPE_ROW_BYTES + WAL_CHECKPOINT_BYTES
    desk.disk.close()
