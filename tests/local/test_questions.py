"""What the database says of rows, where several layouts are in force."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from coopfs.local.acks import INCOMING
from coopfs.local.database import Database
from coopfs.local.questions import QUESTIONS, LayoutBounds, Questioner, parameters
from coopfs.types import Kind, make_version

# 3 columns with seats 0..2 and 10 rows; 4 columns with seats 3..6 and 20 rows
LAYOUTS = [LayoutBounds(1, 10, 0b111 | 1 << INCOMING), LayoutBounds(2, 20, 0b1111000 | 1 << INCOMING)]
STRIPE = (
    "INSERT INTO stripes (id, kind, born, length, live, layout, row, version, acks) VALUES (?, ?, 1, 9, 9, ?, ?, ?, ?)"
)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    made = Database.create(tmp_path / "database")
    made.set_fact("epoch", 1)
    made.set_fact("sequence", 100)
    yield made
    made.close()


def put(database: Database, id_: int, layout: int, row: int, acks: int) -> None:
    database.write(STRIPE, (id_, Kind.DATA, layout, row, make_version(1, id_), acks))


def told(database: Database) -> list[str]:
    database.commit()
    asker = Questioner(database.path)
    rows = [question for question in QUESTIONS if question.step == "rows"]
    found = [finding.text for question in rows for finding in asker.ask(question, parameters(LAYOUTS))]
    asker.close()
    return found


def test_two_layouts_have_the_same_rows_and_other_seats(database: Database) -> None:
    put(database, 1, 1, 5, 0b101)
    put(database, 2, 2, 5, 0b1010000 | 1 << INCOMING)
    put(database, 3, 2, 19, 0)
    assert told(database) == []


@pytest.mark.parametrize(
    ("layout", "row", "acks"),
    [(1, 10, 0), (2, 20, 0), (1, 7, 0b1000), (2, 7, 0b0111), (3, 7, 0)],
    ids=["row of the larger", "row", "seat of the newer", "seats of the older", "no such layout"],
)
def test_what_the_layout_of_a_stripe_does_not_have_cannot_be(
    database: Database, layout: int, row: int, acks: int
) -> None:
    put(database, 1, layout, row, acks)
    (text,) = told(database)
    assert "cannot be" in text


def test_a_row_has_one_stripe_of_a_layout(database: Database) -> None:
    put(database, 1, 1, 5, 0)
    put(database, 2, 2, 5, 0)
    put(database, 3, 2, 5, 0)
    assert told(database) == ["row 5 is that of 2 stripes"]


def test_a_stripe_of_which_nothing_lives_keeps_no_row(database: Database) -> None:
    put(database, 1, 1, 5, 0)
    put(database, 2, 1, 6, 0)
    database.write("UPDATE stripes SET live = 0 WHERE id = 1")
    assert told(database) == ["nothing lives of stripe 1, and it keeps row 5"]
    database.write("UPDATE stripes SET died = 2 WHERE id = 1")
    assert told(database) == []
