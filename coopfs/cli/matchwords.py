"""How the search for partners goes, in sentences for people, from the answer that --json prints. In rich markup."""

from typing import Any

from rich.markup import escape

from coopfs.sizes import format_size


def matching_sentences(matching: dict[str, Any]) -> list[str]:
    """Nothing, where no matching server is configured."""
    servers, wanted, lacking = matching["servers"], matching["wanted"], matching["lacking"]
    if not servers:
        return []
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
    return sentences
