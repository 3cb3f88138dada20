"""How the search for partners goes, in sentences for people, from the answer that --json prints. In rich markup."""

from typing import Any

from rich.markup import escape

from coopfs.sizes import format_size


def matching_sentences(matching: dict[str, Any]) -> list[str]:
    """Nothing, where neither matching servers are configured nor partners wanted."""
    servers, wanted, lacking = matching["servers"], matching["wanted"], matching["lacking"]
    if not servers:
        alone = "match_partners is set, but match_servers names no server: no partners are looked for"
        return [alone] if wanted else []
    each = f"{format_size(matching['size'])} with each"
    if wanted == 0:
        sentences = ["matching servers are named, but match_partners is 0: no partners are looked for"]
    elif lacking:
        sentences = [f"[yellow]{lacking} of {wanted} partners are lacking ({each}): they are looked for[/]"]
    else:
        sentences = [f"all {wanted} partners that are wanted are there ({each})"]
    sentences += [f"[yellow]{escape(server)}: {escape(why)}[/]" for server, why in servers.items() if why]
    if matching["trouble"]:
        sentences.append(f"[bold red]no partners are looked for: {escape(matching['trouble'])}[/]")
    if matching["odd"]:
        sentences.append(
            "nobody has been free for long, and who steps between two partners gets both: with "
            f"match_partners = {wanted + 1} this node may, and gives {format_size(matching['size'])} more"
        )
    sentences += [_stepping(step) for step in [matching["stepping"]] if step]
    return sentences + [bidding_sentence(bidding) for bidding in [matching["bidding"]] if bidding]


_STEPS = {
    "undone": "it comes to nothing, and the agreement with it ends",
    "asked": "{fellow} is waited for",
    "pledged": "it may agree now",
    "joined": "{fellow} is to agree with it too",
    "moving": "it gets what {fellow} stores, which counts until then",
    "moved": "{fellow} is waited for to do the same",
    "over": "the agreement with {fellow} ends",
}


def _stepping(step: dict[str, Any]) -> str:
    """This node is one of the two."""
    newcomer, fellow = escape(step["newcomer"]), escape(step["fellow"])
    waits = f"; [yellow]{escape(step['waits_for'])}[/]" if step["waits_for"] else ""
    return f"{newcomer} steps between this node and {fellow}: {_STEPS[step['step']].format(fellow=fellow)}{waits}"


def bidding_sentence(bidding: dict[str, Any]) -> str:
    """This node is the newcomer."""
    trouble = f"; [yellow]{escape(bidding['trouble'])}[/]" if bidding["trouble"] else ""
    return f"nobody is free: asking to step between {' and '.join(map(escape, bidding['between']))}{trouble}"
