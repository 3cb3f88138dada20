"""check: look for damage on this machine and at the partners, and repair it."""

import json
from pathlib import Path
from typing import Any

import click

from coopfs.cli import client, progress
from coopfs.cli.params import home_option
from coopfs.errors import DamageFound, PartnerAway


@click.command()
@click.option("--deep", is_flag=True, help="Fetch and authenticate every block of every partner that is up.")
@click.option("--repair", is_flag=True, help="Repair what can be repaired; without it nothing is changed.")
@click.option("--anew", is_flag=True, help="With --deep: begin with the first block, even if a check was interrupted.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@home_option
def check(home: Path, deep: bool, repair: bool, anew: bool, as_json: bool) -> None:
    """Look for damage while the disk is in use.

    This machine's database is compared with the log that partners keep and with itself, and what partners hold with
    what they have acknowledged. Exit code 0 means that all is well, or with --repair that it is now.

    With --deep it takes as long as downloading all that partners hold. It may be interrupted at any time, and so may
    the daemon and the network: the same command goes on where it was.
    """
    with progress.show() as watch:
        answer = client.call(home, "check", {"deep": deep, "repair": repair, "anew": anew}, watch=watch)
    if as_json:
        click.echo(json.dumps(answer, indent=2))
    else:
        for line in lines_of(answer):
            click.echo(line)
    left = answer["found"] - answer["repaired"]
    if left:
        raise DamageFound(f"{left} of {answer['found']} findings are not repaired")
    if answer["left"]:
        raise PartnerAway("not all blocks could be looked at: the same command goes on where this check ended")


def lines_of(answer: dict[str, Any]) -> list[str]:
    """What was found, what was left out, and how much was looked at."""
    lines = []
    if (before := answer["continued"]) is not None:
        lines.append(f"goes on with the check of {before['begun_at']}, which had looked at {before['blocks']} blocks")
    lines += [f"{_fate(finding)}: {finding['text']}" for finding in answer["findings"]]
    if (untold := answer["found"] - len(answer["findings"])) > 0:
        lines.append(f"and {untold} more")
    lines += [f"content is lost: {path}" for path in answer["lost"]]
    lines += [f"not checked: {note}" for note in answer["notes"]]
    checked = ", ".join(f"{count} {what}" for what, count in answer["checked"].items())
    lines.append(f"checked {checked or 'nothing'}; found {answer['found'] or 'nothing'}")
    if answer["repaired"]:
        lines.append("blocks are being sealed again for partners that lack them: coopfs sync --complete waits for that")
    return lines


def _fate(finding: dict[str, Any]) -> str:
    return "repaired" if finding["repaired"] else "damaged"
