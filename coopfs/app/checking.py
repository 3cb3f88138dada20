"""`coopfs check`: what a check found, as plain values."""

import os
from typing import Any

from coopfs.app.own_disk import OwnDisk, Watch
from coopfs.tasks.report import Report


async def check(own: OwnDisk, watch: Watch, *, deep: bool, repair: bool) -> dict[str, Any]:
    """UsageError: another check is under way. StateError: the database failed."""
    return describe_report(await own.checker.run(watch, deep=deep, repair=repair))


def describe_report(report: Report) -> dict[str, Any]:
    """found: how much is damaged, told one by one up to a bound; lost: paths of which content is gone."""
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
    }
