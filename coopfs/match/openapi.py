"""The OpenAPI description of the service, served at /v0/openapi.json."""

from typing import Any

from coopfs import __version__
from coopfs.core import agreement
from coopfs.limits import MATCH_CANDIDATES, MATCH_PAIRS, MATCH_RECENT, MAX_ANNOUNCEMENT, MAX_WANTED


def _object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": sorted(properties)}


def _base64(size: int, meaning: str) -> dict[str, Any]:
    """At most `size` bytes."""
    return {"type": "string", "format": "byte", "maxLength": (size + 2) // 3 * 4, "description": meaning}


def _list(items: dict[str, Any], most: int) -> dict[str, Any]:
    return {"type": "array", "maxItems": most, "items": items}


def _json(schema: dict[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}


_COUNT = {"type": "integer", "minimum": 0}
_TEXT = {"type": "string"}
_ANNOUNCEMENT = _base64(MAX_ANNOUNCEMENT, "Signature and text, as coopfs-format(5) describes them.")
_KEYS = _list({"type": "string", "pattern": "^[0-9a-fA-F]{64}$", "description": "A node key."}, MAX_WANTED)
_ERROR = _object(error={"type": "string", "description": "A word for programs."}, message=_TEXT)
_LEVEL = _object(size=_COUNT, uptime=_TEXT, members=_COUNT, lacking=_COUNT, lacked=_COUNT, had=_COUNT)
_MEMBER = _object(
    key=_TEXT, site=_TEXT, system=_TEXT, size=_COUNT, uptime=_TEXT, needs=_COUNT, partners=_COUNT, age=_COUNT
)
_MATCH = _object(size=_COUNT, one=_TEXT, two=_TEXT, age=_COUNT)
_STATUS = _object(
    time=_COUNT,
    members=_COUNT,
    sites=_COUNT,
    levels={"type": "array", "items": _LEVEL},
    newest={"type": "array", "items": _MEMBER},
    matches=_list(_MATCH, MATCH_RECENT),
)
_REFUSALS = {
    "400": "malformed: not as described here, or not an announcement",
    "403": "not-authentic: forged or altered; refused: the server is full, or the match is not of two members",
    "408": "http: the question came too slowly",
    "409": "clock: the two clocks are too far apart; replayed: a newer announcement is known; twin: another machine "
    "runs with this identity",
    "413": "http: the question is too long",
    "429": "too-often: from this subnet or node have come too many questions; see Retry-After",
    "503": "unavailable: the server's database does not answer",
}


def _answers(**good: dict[str, Any]) -> dict[str, Any]:
    refusals = {code: {"description": text, "content": _json(_ERROR)} for code, text in _REFUSALS.items()}
    return {code.removeprefix("code_"): answer for code, answer in good.items()} | refusals


def _question(summary: str, schema: dict[str, Any], **good: dict[str, Any]) -> dict[str, Any]:
    body = {"required": True, "content": _json(schema)}
    return {"post": {"summary": summary, "requestBody": body, "responses": _answers(**good)}}


def _look(summary: str, content: dict[str, Any]) -> dict[str, Any]:
    return {"get": {"summary": summary, "responses": _answers(code_200={"description": "It.", "content": content})}}


DESCRIPTION: dict[str, Any] = {
    "openapi": "3.1.0",
    "info": {
        "title": "coopfs matching server",
        "version": __version__,
        "description": "Nodes announce themselves and ask for candidates, with whom they agree directly.",
        "license": {"name": "GPL-3.0-or-later", "identifier": "GPL-3.0-or-later"},
    },
    "paths": {
        "/v0/announce": _question(
            "Announce a node, again every ten minutes",
            _object(announcement=_ANNOUNCEMENT),
            code_200={
                "description": "It is known now. observed: the IP address it came from.",
                "content": _json(_object(expires_in=_COUNT, observed=_TEXT)),
            },
        ),
        "/v0/search": _question(
            "Ask for candidates; announces too",
            {
                **_object(
                    announcement=_ANNOUNCEMENT,
                    count={"type": "integer", "minimum": 1, "maximum": MATCH_CANDIDATES},
                    partners={**_KEYS, "description": "Partners that the node has: not proposed, and spread from."},
                    refused={**_KEYS, "description": "Nodes that it does not want."},
                ),
                "required": ["announcement", "count"],
            },
            code_200={
                "description": "The best first.",
                "content": _json(_object(candidates=_list(_ANNOUNCEMENT, MATCH_CANDIDATES))),
            },
        ),
        "/v0/pairs": _question(
            "Ask for members that are partners of each other and let others step between them; announces too",
            {
                **_object(
                    announcement=_ANNOUNCEMENT,
                    count={"type": "integer", "minimum": 1, "maximum": MATCH_PAIRS},
                    partners={**_KEYS, "description": "Partners that the node has: not proposed, and spread from."},
                    refused={**_KEYS, "description": "Nodes that it does not want."},
                ),
                "required": ["announcement", "count"],
            },
            code_200={
                "description": "The best first.",
                "content": _json(_object(pairs=_list({**_list(_ANNOUNCEMENT, 2), "minItems": 2}, MATCH_PAIRS))),
            },
        ),
        "/v0/matches": _question(
            "Report an agreement that came of a search",
            _object(
                agreement=_base64(agreement.LONGEST, "The signed text, as coopfs-format(5) describes it."),
                inviter_signature=_base64(agreement.SIGNATURE, "By the inviter's node key."),
                acceptor_signature=_base64(agreement.SIGNATURE, "By the acceptor's node key."),
            ),
            code_204={"description": "Noted."},
        ),
        "/v0/status": _look("Members, supply and demand, recent matches", _json(_STATUS)),
        "/v0/openapi.json": _look("This description", _json({"type": "object"})),
        "/": _look("The same for people", {"text/html": {"schema": {"type": "string"}}}),
    },
}
