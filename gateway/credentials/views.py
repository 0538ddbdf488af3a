"""The files the policy names inside a tenant: their original formats, without the secrets.

A view tells programs and people which account is signed in and until when; the gateway alone holds what opens it. All
builders are pure. Writing goes by folder descriptors that follow no link, because a tenant's folder is the tenant's:
what it puts there must not make the gateway write somewhere else.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from shared.beneath import READ_FLAGS, read_regular, replace_at, walk
from shared.clock import SYSTEM_CLOCK, Clock, unix_ms
from shared.config.paths import Paths
from shared.errors import Conflict, Denied, GatewayError, Unavailable
from shared.json_values import mapping
from shared.oauth.github import bearer_in
from shared.oauth.models import Token

HELD = "held-by-gateway"

Kind = Literal["nanoclaw", "openclaw"]
_Build = Callable[[Mapping[str, Any] | None], dict[str, Any]]

AUTH_PROFILES = ("agents", "main", "agent", "auth-profiles.json")
COPILOT_CACHE = ("credentials", "github-copilot.token.json")
OPENCLAW_STATES = {
    "threads": ("threads", "token-state.json"),
    "instagram": ("threads", "instagram-token-state.json"),
}
NANOCLAW_STATES = {
    "threads": ("data", "threads-token-state.json"),
    "instagram": ("data", "instagram-token-state.json"),
}

_CODEX_PROFILE = "openai-codex:default"
_COPILOT_PROFILE = "github-copilot:github"
_SECRET_FIELDS = frozenset({"access", "refresh", "token", "key", "access_token", "refresh_token", "id_token"})
_COPILOT_LIFETIME = timedelta(minutes=30)
_MAX_BYTES = 1 << 20
_FOLDER_MODE = 0o700
_FILE_MODE = 0o600


@dataclass(frozen=True, slots=True)
class ViewProblem:
    """One view that was not written.

    Attributes:
        path: which.
        error: why, with the fix.
    """

    path: Path
    error: GatewayError


def auth_profiles(tokens: Mapping[str, Token], existing: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """OpenClaw's ``auth-profiles.json``.

    Args:
        tokens: by provider; ``codex`` and ``copilot`` have profiles.
        existing: the present file; its order and usage statistics stay, and so do profiles that hold no secret.
    """
    before = existing or {}
    profiles: dict[str, Any] = {
        name: profile
        for name, profile in mapping(before.get("profiles")).items()
        if isinstance(profile, dict) and profile.get("provider") not in {"openai-codex", "github-copilot"}
    }
    if codex := tokens.get("codex"):
        profile: dict[str, Any] = {"type": "oauth", "provider": "openai-codex", "access": HELD, "refresh": HELD}
        if codex.expires_at is not None:
            profile["expires"] = unix_ms(codex.expires_at)
        if account := codex.extra.get("account_id", ""):
            profile["accountId"] = account
        if "@" in codex.account:
            profile["email"] = codex.account
        profiles[_CODEX_PROFILE] = profile
    if copilot := tokens.get("copilot"):
        profile = {"type": "token", "provider": "github-copilot", "token": HELD}
        if copilot.expires_at is not None:
            profile["expires"] = unix_ms(copilot.expires_at)
        profiles[_COPILOT_PROFILE] = profile
    document: dict[str, Any] = {"version": 1, "profiles": profiles}
    for key in ("order", "lastGood", "usageStats"):
        if kept := mapping(before.get(key)):
            document[key] = kept
    return document


def copilot_cache(expires_at: datetime, now: datetime) -> dict[str, Any]:
    """OpenClaw's ``github-copilot.token.json``; times in milliseconds."""
    return {"token": HELD, "expiresAt": unix_ms(expires_at), "updatedAt": unix_ms(now)}


def meta_state(token: Token, *, last_error: str | None = None) -> dict[str, Any]:
    """The token state of Threads or Instagram; times in ISO 8601, UTC.

    Args:
        token: as stored.
        last_error: of the last renewal, in words; None when it went well.
    """
    return {
        "access_token": HELD,
        "user_id": token.extra.get("user_id") or None,
        "username": token.account or None,
        "issued_at": token.extra.get("issued_at") or None,
        "expires_at": token.expires_at.isoformat() if token.expires_at else None,
        "last_refresh_at": token.extra.get("last_refresh_at") or None,
        "last_error": last_error,
        "scopes": list(token.scopes),
    }


def is_view(document: object) -> bool:
    """Whether a document has the view's word in place of its secrets, and no real secret beside it."""
    return HELD in json.dumps(document) and not real_secrets(document)


def real_secrets(document: object, known: Iterable[str] = ()) -> list[str]:
    """Names of members that hold a secret which is neither a view's word nor one we keep ourselves."""
    fine = {HELD, "", *known}
    found: list[str] = []

    def walk(value: object, trail: str) -> None:
        if isinstance(value, dict):
            for name, member in value.items():
                here = f"{trail}.{name}" if trail else str(name)
                if name in _SECRET_FIELDS and isinstance(member, str) and member not in fine:
                    found.append(here)
                else:
                    walk(member, here)
        elif isinstance(value, list):
            for member in value:
                walk(member, f"{trail}[]")

    walk(document, "")
    return found


def write_views(
    paths: Paths,
    tenant: str,
    tokens: Mapping[str, Token],
    *,
    kind: Kind | None = None,
    errors: Mapping[str, str] | None = None,
    copilot_expires_at: datetime | None = None,
    clock: Clock = SYSTEM_CLOCK,
) -> list[ViewProblem]:
    """Write a tenant's views, each in one step and only when it changed.

    A file that holds a real secret which we do not keep is left as it is: it may be the only copy.

    Args:
        paths: of the installation.
        tenant: whose.
        tokens: by provider (``codex``, ``copilot``, ``threads``, ``instagram``); a missing one removes nothing but its
            own profile.
        kind: which product the tenant runs; by its name when not given.
        errors: of the last renewals, by provider, in words.
        copilot_expires_at: of the current Copilot bearer; half an hour from now when unknown.
        clock: dates what has a date.

    Returns:
        What could not be written; the others were.
    """
    root = paths.tenant(tenant)
    known = {text for token in tokens.values() for text in _texts(token)}
    told = errors or {}
    openclaw = (kind or ("openclaw" if tenant.startswith("openclaw") else "nanoclaw")) == "openclaw"
    writer = _Writer(root, known)
    for provider, parts in (OPENCLAW_STATES if openclaw else NANOCLAW_STATES).items():
        if token := tokens.get(provider):
            writer.write(parts, _constant(meta_state(token, last_error=told.get(provider))))
    if openclaw:
        writer.write(AUTH_PROFILES, lambda old: auth_profiles(tokens, old))
        if "copilot" in tokens:
            now = clock.now()
            bearer = bearer_in(tokens["copilot"])
            expires_at = bearer.expires_at if bearer else copilot_expires_at or now + _COPILOT_LIFETIME
            writer.write(COPILOT_CACHE, _constant(copilot_cache(expires_at, now)), secret_is_passing=True)
    return writer.problems


def _constant(document: dict[str, Any]) -> _Build:
    return lambda _old: document


class _Writer:
    """Writes below one tenant's folder and collects what did not work."""

    def __init__(self, root: Path, known: Iterable[str]) -> None:
        self._root = root
        self._known = frozenset(known)
        self.problems: list[ViewProblem] = []

    def write(self, parts: tuple[str, ...], build: _Build, *, secret_is_passing: bool = False) -> None:
        """Replace one file.

        Args:
            parts: folders and name.
            build: from the present document to the new one.
            secret_is_passing: a secret in the present file is worth nothing in half an hour and need not be kept.
        """
        path = self._root.joinpath(*parts)
        try:
            # An operator may have put the tenant's folder elsewhere by a link of his; what is below is the tenant's.
            self._root.mkdir(parents=True, exist_ok=True, mode=_FOLDER_MODE)
            root = Path(os.path.realpath(self._root))
            with walk(root, parts[:-1], make_mode=_FOLDER_MODE, give_to_owner=True) as folder:
                old = _read(folder, parts[-1])
                document = _parse(old, path) if old is not None and not secret_is_passing else None
                if document is not None and (held := real_secrets(document, self._known)):
                    raise Conflict(
                        f"{path} holds a sign-in that the gateway does not know ({', '.join(held[:3])}); it was left "
                        "as it is. Take it over with `clawgate auth import`, or remove the file",
                        code="auth.view_holds_secret",
                    )
                new = (json.dumps(build(document), indent=2, ensure_ascii=False) + "\n").encode()
                if new != old:
                    # As root the gateway writes for a tenant of another user id, who must be able to read its view.
                    replace_at(folder, parts[-1], new, mode=_FILE_MODE, owner=os.fstat(folder))
        except GatewayError as error:
            self.problems.append(ViewProblem(path, error))
        except OSError as error:
            reason = os.strerror(error.errno) if error.errno else type(error).__name__
            self.problems.append(ViewProblem(path, Unavailable(f"{path} cannot be written: {reason}")))


def _read(folder: int, name: str) -> bytes | None:
    try:
        return read_regular(os.open(name, READ_FLAGS, dir_fd=folder), name, _MAX_BYTES)
    except FileNotFoundError:
        return None
    except Denied:
        raise Unavailable(f"{name} is not a file: remove it") from None


def _parse(data: bytes, path: Path) -> dict[str, Any]:
    if not data.strip():
        return {}
    try:
        document = json.loads(data)
        if not isinstance(document, dict):
            raise TypeError("not an object")
    except (ValueError, TypeError, RecursionError):
        raise Conflict(
            f"{path} is not a JSON object; it was left as it is, since it may hold a sign-in: mend or remove it",
            code="auth.view_unreadable",
        ) from None
    return document


def _texts(token: Token) -> Iterable[str]:
    for secret in (token.access, token.refresh, token.id_token):
        if secret is not None:
            yield secret.reveal()
