"""An uptime level in a sentence."""


def promise(level: str) -> str:
    """As in "to be reachable ...". level: its one text."""
    return f"{level.removesuffix('%')} % of the time" if level.endswith("%") else f"at these hours: {level}"
