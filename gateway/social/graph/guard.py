"""What an agent's call to a Graph host may name, and what an answer may tell it: decided by what is harmless.

A network reads paths in its own way: it may drop empty steps, resolve dots, or take a version twice. So a path that
could be read in two ways is refused instead of compared, and the tokens in an answer are taken out of it in any case.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

from gateway.social.graph.models import PLACEHOLDER
from shared.secrets.files import Secret

_STEP: Final = re.compile(r"[\w.:@,~-]+", re.ASCII)
_VERSION: Final = re.compile(r"v\d+\.\d+", re.IGNORECASE)
_SECRET: Final = re.compile(r"oauth|token|permissions|secret|appsecret_proof", re.IGNORECASE)
_SECRET_FIELD: Final = re.compile(r"access_token|refresh_token|debug_token|client_secret|appsecret", re.IGNORECASE)
_OVERRIDES: Final = frozenset({"method", "_method", "batch"})
"""With these a GET becomes another call. Source: "method override" and "batch requests" of the Graph API."""
_IN_LINKS: Final = re.compile(r"((?:access|refresh)_token(?:=|%3D))[^&\s\"'#]*", re.IGNORECASE)

TOKENS_ARE_KEPT: Final = "tokens are kept by the gateway, which renews them itself: leave this call out"


def decide_path(path: str) -> str:
    """Why a path is not for agents; empty when it is.

    Args:
        path: decoded once, without the query.
    """
    first, *steps = path.split("/")
    if first or not steps or not all(_STEP.fullmatch(step) and step.strip(".") for step in steps):
        return (
            "a path is plain names between single slashes, such as /v25.0/me/media: without an empty step, a dot step, "
            "an encoded character or a slash at its end"
        )
    if any(_VERSION.fullmatch(step) for step in steps[1:]):
        return "the version is the path's first step and stands there once"
    return TOKENS_ARE_KEPT if any(_SECRET.search(step) for step in steps) else ""


def decide_fields(fields: Mapping[str, str]) -> str:
    """Why the query of a GET is not for agents; empty when it is."""
    if named := sorted(name for name in fields if name.lower() in _OVERRIDES):
        return f"{named[0]}: a GET stays a GET here: leave it out"
    # A field can be asked for under another name, so an answer without tokens is not enough.
    return TOKENS_ARE_KEPT if any(_SECRET_FIELD.search(part) for pair in fields.items() for part in pair) else ""


def without_tokens(body: bytes, token: Secret) -> bytes | None:
    """A network's answer less every token; None when it is no JSON, whose tokens could not be told."""
    # Pages of a list name the token in their links.
    for spelling in (token.reveal(), quote(token.reveal(), safe="")):
        body = body.replace(spelling.encode(), PLACEHOLDER.encode())
    try:
        return json.dumps(_cleaned(json.loads(body), token.reveal()), ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        return None


def _cleaned(value: Any, token: str) -> Any:  # noqa: ANN401 - JSON
    if isinstance(value, dict):
        return {
            _text(name, token): _cleaned(inner, token)
            for name, inner in value.items()
            if not _SECRET_FIELD.search(name)
        }
    if isinstance(value, list):
        return [_cleaned(inner, token) for inner in value]
    return _text(value, token) if isinstance(value, str) else value


def _text(text: str, token: str) -> str:
    """A text as it reads once its escapes are undone."""
    return _IN_LINKS.sub(rf"\1{PLACEHOLDER}", text.replace(token, PLACEHOLDER))
