"""contrib/bench --matching: a short load, whose figures are all there. What they are is for a person to judge."""

import psycopg
import pytest
from benchlib import matching


@pytest.mark.slow
def test_a_little_load(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matching, "SECONDS", 1)
    monkeypatch.setattr(matching, "SEARCHES", 20)
    result = matching.measure("it", database, matching.Crowd(60), lambda step, done, total: None)
    assert (result.members, result.questions) == (60, 20)
    assert 0.0 < result.p50 <= result.p99 <= result.worst
    assert "60 members" in matching.show([result])
    assert matching.as_json([result])["matching"][0]["database"] == "it"


@pytest.mark.slow
def test_a_little_load_on_servers_that_share_a_database(empty_postgresql: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each front end is asked, and a member that has told one of them is known to the other: nothing is refused."""
    monkeypatch.setattr(matching, "SECONDS", 1)
    monkeypatch.setattr(matching, "SEARCHES", 20)
    result = matching.measure("two", empty_postgresql, matching.Crowd(60), lambda step, done, total: None, fronts=2)
    assert (result.members, result.questions) == (60, 20)
    with psycopg.connect(empty_postgresql) as connection:
        assert connection.execute("SELECT count(*) FROM members").fetchone() == (60,)
