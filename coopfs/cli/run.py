"""From what a command raised to one line on stderr and an exit code.

What can happen has a type in `coopfs.errors`; anything else is our bug and keeps its traceback.
"""

import sys
from collections.abc import Sequence

import click

from coopfs.errors import CoopfsError

INTERRUPTED = 130  # 128 + SIGINT, as shells say it

# What coopfs(1) says too; a test compares it with the error tree.
EXIT_CODES = {
    0: "Done.",
    1: "Failed for another reason; demo: the restored tree differs.",
    2: "Usage: a wrong option or argument, or not possible in this state.",
    3: "The configuration file is wrong.",
    4: "The recovery kit is damaged, mistyped or of another format.",
    5: "The home is missing, locked by another daemon, not writable, or full.",
    6: "No daemon answers for this home, or one of another version.",
    7: "The mountpoint is busy or missing, or the mount did not answer.",
    8: "Database or stage are lost, torn, or older than what the partners hold.",
    9: "Not restorable: too few partners answer, or a newer state may exist.",
    10: "No space is left.",
    11: "Content cannot be had now: too few partners with it are up.",
    12: "A partner is away, refused, or sent what it should not.",
    13: "A check found damage; with --repair: damage that it could not repair.",
    INTERRUPTED: "Interrupted.",
}


def run(command: click.Command, program: str, arguments: Sequence[str]) -> int:
    """Parse, call, and return the exit code; errors are printed as `program: one line`."""
    try:
        result = command.main(args=list(arguments), prog_name=program, standalone_mode=False)
    except CoopfsError as error:
        return _fail(program, str(error), error.exit_code)
    except click.Abort:
        return INTERRUPTED
    except click.UsageError as error:
        where = error.ctx.command_path if error.ctx else program
        return _fail(program, f"{error.format_message()} (see: {where} --help)", error.exit_code)
    except click.ClickException as error:
        return _fail(program, error.format_message(), error.exit_code)
    return result if isinstance(result, int) else 0


def _fail(program: str, message: str, code: int) -> int:
    print(f"{program}: {' '.join(message.split())}", file=sys.stderr)
    return code
