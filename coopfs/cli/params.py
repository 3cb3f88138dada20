"""Options and argument types that several commands share."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from coopfs.errors import UsageError
from coopfs.sizes import parse_size

Decorated = TypeVar("Decorated", bound=Callable[..., Any])

DEFAULT_HOME = Path("~/.coopfs")


class Family(click.Group):
    """A group of commands: lists them in the order of use, and shows its help when called without any."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        return super().parse_args(ctx, args or ["--help"])


class SizeType(click.ParamType[int]):
    """Bytes, written as in coopfs.sizes; least: how many there must be."""

    name = "size"

    def __init__(self, least: int = 0) -> None:
        self._least = least

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        try:
            size = parse_size(value)
        except UsageError as error:
            self.fail(str(error), param, ctx)
        if size < self._least:
            self.fail(f"{value!r} is nothing at all; write for example 500M, 10G, 1.5TiB or 64GB", param, ctx)
        return size


SIZE = SizeType()
SPACE = SizeType(least=1)  # that is given, or taken
PATH = click.Path(path_type=Path)


def _resolve_home(ctx: click.Context, _param: click.Parameter, value: Path | None) -> Path:
    chosen = value or ctx.find_object(Path) or DEFAULT_HOME
    return chosen.expanduser().absolute()


def home_option(command: Decorated) -> Decorated:
    """Adds --home to a command (it may stand before or after the command's name) and passes it as `home`, absolute."""
    option = click.option(
        "--home",
        type=PATH,
        metavar="DIR",
        callback=_resolve_home,
        help="The node's home directory [env: COOPFS_HOME; default: ~/.coopfs].",
    )
    return option(command)


def exclusive(**chosen: bool) -> None:
    """UsageError if more than one of these options was given."""
    given: Sequence[str] = [f"--{name.replace('_', '-')}" for name, on in chosen.items() if on]
    if len(given) > 1:
        raise UsageError(f"{' and '.join(given)} exclude each other")
