"""The command `coopfs`: the list of its commands, the options of all, and the table of exit codes."""

import sys
from pathlib import Path

import click

from coopfs import __version__
from coopfs.cli import check, demo, disk, kit, match, node, partner, plan, rekey, relay, reshape, restore, takeover
from coopfs.cli.params import PATH, Family
from coopfs.cli.run import EXIT_CODES, run


class Root(Family):
    """The outermost group; its help ends with the exit codes."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Exit codes"):
            formatter.write_dl([(str(code), meaning) for code, meaning in EXIT_CODES.items()])


@click.group(cls=Root, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option("--home", type=PATH, envvar="COOPFS_HOME", metavar="DIR", help="The node's home [default: ~/.coopfs].")
@click.version_option(__version__, message="coopfs %(version)s")
@click.pass_context
def cli(ctx: click.Context, home: Path | None) -> None:
    """Cooperative backup: a mounted filesystem that lives, coded and encrypted, on the disks of partners.

    Sizes are written as 500M, 10G or 1.5TiB (powers of 1024) or 64GB (powers of 1000).
    """
    ctx.obj = home


for command in (
    node.init,
    node.serve,
    node.stop,
    partner.partner,
    partner.leave,
    plan.plan,
    disk.format_disk,
    disk.resize,
    reshape.reshape,
    disk.mount,
    disk.umount,
    disk.sync,
    disk.status,
    disk.log,
    check.check,
    kit.kit,
    rekey.rekey,
    restore.restore,
    takeover.takeover,
    match.match,
    relay.relay,
    demo.demo,
):
    cli.add_command(command)


def main() -> None:
    """Entry point of `coopfs` and of `python -m coopfs`."""
    sys.exit(run(cli, "coopfs", sys.argv[1:]))
