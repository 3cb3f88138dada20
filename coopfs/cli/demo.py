"""demo: the whole story on one machine, on real input."""

from pathlib import Path

import click

from coopfs.cli.params import PATH, exclusive
from coopfs.errors import UsageError


@click.command()
@click.argument("source", metavar="[DIR]", type=PATH, required=False)
@click.option("--keep", is_flag=True, help="Stop after the first copy is complete and leave all running; needs --dir.")
@click.option("--stop", is_flag=True, help="End what --keep left running in --dir.")
@click.option("--dir", "work", metavar="D", type=PATH, help="The work directory [default: a new one in /var/tmp].")
def demo(source: Path | None, keep: bool, stop: bool, work: Path | None) -> None:
    """Back up, lose the machine, restore, compare: here.

    Finds 8 partners through a matching server, backs DIR up to them (6+2), loses the machine and two partners, restores
    from the kit and compares everything.

    Everything runs on this machine, over loopback, in one work directory that is removed at the end. DIR is only
    read; without it a part of /usr/share of up to 300 MB and 20,000 files is taken. Exit code 1 means that the
    restored tree differs.

    With --keep: the mount is D/mnt, homes are D/nodes/owner and D/nodes/p1 to p8, the kit is D/kit.txt, and
    D/restored is empty, for a restore view. What --keep leaves in D stays there after --stop; remove D when you have
    seen it.
    """
    # the demo pulls in threads and tables that no other command needs
    from coopfs.demo import story

    exclusive(keep=keep, stop=stop)
    if (keep or stop) and work is None:
        raise UsageError("--keep and --stop need --dir D")
    if stop:
        assert work is not None
        story.stop(work.absolute())
    elif keep:
        assert work is not None
        story.keep(source, work.absolute())
    else:
        story.tell(source, work.absolute() if work else None)
