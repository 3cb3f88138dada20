"""`coopfs check`: what a check found, as plain values."""

import os
from typing import Any

from coopfs.app.disk.own_disk import OwnDisk, Watch
from coopfs.app.disk.status import date
from coopfs.tasks.checking.report import Report


async def check(own: OwnDisk, watch: Watch, *, deep: bool, repair: bool, anew: bool = False) -> dict[str, Any]:
    """UsageError: another check is under way. StateError: the database failed."""
    report = await own.checker.run(watch, deep=deep, repair=repair, anew=anew)
    if own.trouble is not None:
        report.note(f"whether what partners lack is their fault, nor is it repaired: {own.trouble}")
    return describe_report(report)


def describe_report(report: Report) -> dict[str, Any]:
    """found: how much is damaged, told one by one up to a bound; lost: paths of which content is gone; left: blocks
    that the next check is to look at; continued: when this one was begun, and how many blocks it saw before it was
    interrupted."""
    begun_at, blocks = report.continued or (0, 0)
    return {
        "found": report.count,
        "repaired": report.repaired,
        "findings": [
            {"about": str(finding.about), "text": finding.text, "repaired": repaired}
            for finding, repaired in report.found
        ],
        "lost": [os.fsdecode(path) for path in report.lost],
        "checked": dict(report.checked),
        "notes": report.notes,
        "left": report.left,
        "continued": {"begun_at": date(begun_at), "blocks": blocks} if report.continued else None,
    }
