"""contrib/bench --matching: a short load, whose figures are all there. What they are is for a person to judge."""

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
