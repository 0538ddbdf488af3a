"""Sign-ins of other programs, read from the text of their files. Formats: reference notes on Codex and Claude files."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from gateway.credentials.slots import claude_token
from gateway.credentials.views import is_view
from shared.errors import GatewayError, Invalid
from shared.oauth.codex import access_expiry, account_facts
from shared.oauth.copilot import import_github_token
from shared.oauth.github import bearer_as_token, import_copilot_file
from shared.oauth.models import Token
from shared.secrets.files import Secret

_VIEW = (
    "this file is one of ours: it names the account, and its secrets are held by the gateway already. Import the "
    "original; nothing was changed"
)

Parser = Callable[[Mapping[str, Any]], Token]

DEFAULT_FILES: Mapping[str, tuple[str, ...]] = {
    "codex": ("~/.codex/auth.json", "~/.openclaw/agents/main/agent/auth-profiles.json"),
    "copilot": (
        "~/.local/share/copilot-api/github_token",
        "~/.openclaw/agents/main/agent/auth-profiles.json",
        "~/.openclaw/credentials/github-copilot.token.json",
    ),
}
"""Where the other programs keep them; the first that exists is meant."""


def parse_import(provider: str, text: str) -> Token:
    """The sign-in in a file of another program.

    Args:
        provider: whose sign-in is wanted.
        text: the file's; Codex's ``auth.json``, OpenClaw's ``auth-profiles.json`` or ``github-copilot.token.json``,
            Claude's ``.credentials.json`` or copilot-api's ``github_token``.

    Raises:
        Invalid: it is none of these, or holds no such sign-in; nothing was changed.
    """
    if provider == "copilot" and not text.lstrip().startswith("{"):
        return import_github_token(text, place="this file")
    parser = _PARSERS.get(provider)
    if parser is None:
        raise Invalid(f"nothing can be imported for {provider!r}; possible: {', '.join(sorted(_PARSERS))}")
    try:
        document = json.loads(text)
        if not isinstance(document, dict):
            raise TypeError("not an object")
        if is_view(document):
            raise Invalid(_VIEW, code="auth.import")
        return parser(document)
    except (ValueError, LookupError, TypeError, AttributeError, OverflowError, OSError, RecursionError) as error:
        # The error's text may quote the file.
        raise Invalid(
            f"no {provider} sign-in in this file ({type(error).__name__}): is it the right file, and is somebody "
            "signed in there? Nothing was changed",
            code="auth.import",
        ) from None


def _codex(document: Mapping[str, Any]) -> Token:
    if "profiles" in document:
        return _profile(document)
    tokens = document["tokens"]
    return _codex_token(
        tokens["access_token"], tokens.get("refresh_token"), tokens.get("id_token"), tokens.get("account_id")
    )


def _profile(document: Mapping[str, Any]) -> Token:
    found = _profile_of(document, "openai-codex", "oauth")
    token = _codex_token(found["access"], found.get("refresh"), None, found.get("accountId"))
    if token.expires_at is None and isinstance(found.get("expires"), int | float):
        expires_at = datetime.fromtimestamp(found["expires"] / 1000, UTC)
        token = Token(token.access, token.refresh, expires_at, token.scopes, token.account, token.extra)
    return token


def _profile_of(document: Mapping[str, Any], provider: str, kind: str) -> Mapping[str, Any]:
    """The profile OpenClaw would use first."""
    profiles = document["profiles"]
    order = document.get("order")
    wanted = order.get(provider, []) if isinstance(order, dict) else []
    names = [name for name in wanted if name in profiles] + sorted(profiles)
    entries = [profiles[name] for name in names]
    fitting = [entry for entry in entries if (entry.get("provider"), entry.get("type")) == (provider, kind)]
    if not fitting:
        raise ValueError("no such profile")
    found: Mapping[str, Any] = fitting[0]
    return found


def _copilot(document: Mapping[str, Any]) -> Token:
    if "profiles" in document:
        profile = _profile_of(document, "github-copilot", "token")
        return import_github_token(_word(profile["token"]), place="this file")
    return bearer_as_token(import_copilot_file(json.dumps(document), place="this file"))


def _codex_token(access: object, refresh: object, identity: object, account_id: object) -> Token:
    word = _word(access)
    raw_identity = _word(identity) if identity else ""
    facts = account_facts(word, raw_identity)
    account_id = account_id or facts.get("account_id")
    return Token(
        access=Secret(word),
        refresh=Secret(_word(refresh)) if refresh else None,
        expires_at=access_expiry(word),
        account=facts.get("email", ""),
        extra={"account_id": _word(account_id), **({"plan": facts["plan"]} if facts.get("plan") else {})},
        id_token=Secret(raw_identity) if raw_identity else None,
    )


def _claude(document: Mapping[str, Any]) -> Token:
    try:
        token = claude_token(document["claudeAiOauth"], place="the file")
    except GatewayError:
        token = None
    if token is None:
        raise ValueError("signed out")
    return token


def _word(value: object) -> str:
    if not isinstance(value, str) or not value or not value.isascii() or not value.isprintable() or " " in value:
        raise ValueError("not a token")
    return value


_PARSERS: dict[str, Parser] = {"codex": _codex, "claude": _claude, "copilot": _copilot}
