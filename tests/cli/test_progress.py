"""Progress where no terminal is: few lines, and the ones that matter."""

from coopfs.cli.progress import PLAIN_INTERVAL, PlainLines


def test_a_step_prints_its_start_its_end_and_a_line_now_and_then() -> None:
    lines: list[str] = []
    now = 100.0
    show = PlainLines(lines.append, lambda: now)
    for done in range(51):
        show("send", done, 100)
    now += PLAIN_INTERVAL
    show("send", 51, 100)
    show("send", 100, 100)
    show("send", 100, 100)
    show("check", 0, 0)
    assert lines == ["send: 0 %\n", "send: 51 %\n", "send: 100 %\n", "check\n"]


def test_a_step_that_begins_again_below_its_end_goes_on_silently() -> None:
    lines: list[str] = []
    show = PlainLines(lines.append, lambda: 0.0)
    show("send", 5, 5)
    show("send", 5, 6)
    assert lines == ["send: 100 %\n"]
