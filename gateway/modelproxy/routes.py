"""The model routes: which provider answers each, in which dialect, and what of a request goes on to it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from gateway.credentials.models import Provider, ProviderAuth
from gateway.modelproxy.dialects import Dialect, Headers
from gateway.modelproxy.initiator import initiator_of, shows_pictures
from gateway.modelproxy.worker_requests import is_harmless_beta
from shared.errors import Invalid, NotFound
from shared.ids import new_id
from shared.json_values import object_of

OAUTH_BETA = "oauth-2025-04-20"
_OAUTH_BETA_PREFIX = "oauth-"
_CLAUDE_CODE_BETA_PREFIX = "claude-code-"
_SESSION = re.compile(r"[A-Za-z0-9_:.-]{1,100}")
_QUERY = b"beta=true"
"""All that the provider's own client sends."""


@dataclass(frozen=True, slots=True)
class Route:
    """One model route.

    Attributes:
        path: appended to the provider's address.
        passed: request headers that go on to the provider. All others, the caller's credentials and cookies above
            all, stay here.
        passed_from: beginnings of names of further ones.
    """

    name: str
    method: str
    provider: Provider
    path: str
    dialect: Dialect
    max_body_bytes: int
    passed: frozenset[bytes]
    passed_from: tuple[bytes, ...] = ()


_CLAUDE_HEADERS = frozenset(
    {b"accept", b"content-type", b"user-agent", b"x-app", b"x-claude-code-session-id"}
    | {b"anthropic-version", b"anthropic-dangerous-direct-browser-access"}
)
_OPENAI_HEADERS = frozenset({b"accept", b"content-type"})
_MESSAGES_HEADERS = frozenset({b"content-type", b"anthropic-version"})
_MESSAGES_VERSION = (b"anthropic-version", b"2023-06-01")
_NOT_TALK = frozenset({"embeddings", "models"})

ROUTES: Mapping[str, Route] = {
    route.name: route
    for route in (
        Route(
            "messages",
            "POST",
            "claude",
            "/v1/messages",
            "anthropic",
            32 << 20,
            _CLAUDE_HEADERS,
            (b"x-stainless-",),
        ),
        Route("chat/completions", "POST", "copilot", "/chat/completions", "openai", 32 << 20, _OPENAI_HEADERS),
        Route("copilot/messages", "POST", "copilot", "/v1/messages", "anthropic", 32 << 20, _MESSAGES_HEADERS),
        Route("copilot/responses", "POST", "copilot", "/responses", "responses", 32 << 20, _OPENAI_HEADERS),
        Route("embeddings", "POST", "copilot", "/embeddings", "openai", 8 << 20, _OPENAI_HEADERS),
        Route("models", "GET", "copilot", "/models", "openai", 0, _OPENAI_HEADERS),
        Route(
            "responses",
            "POST",
            "codex",
            "/codex/responses",
            "responses",
            32 << 20,
            _OPENAI_HEADERS | {b"session_id"},
        ),
    )
}


def find_route(name: str) -> Route:
    """The route of that name.

    Raises:
        NotFound: there is none.
    """
    route = ROUTES.get(name)
    if route is None:
        raise NotFound(f"no model route {name!r}; there are {', '.join(ROUTES)}", code="model.no_route")
    return route


def upstream_url(route: Route, auth: ProviderAuth, query: bytes, *, path: str = "") -> str:
    """The address to call; a query is passed on only where and as the provider's own client sends it.

    Args:
        route: which model route.
        auth: names the provider's address.
        query: of the caller's request.
        path: instead of the route's own.
    """
    url = auth.base_url + (path or route.path)
    if query == _QUERY and route.provider == "claude":
        url += "?" + query.decode("ascii")
    return url


def upstream_headers(
    route: Route,
    auth: ProviderAuth,
    received: Iterable[tuple[bytes, bytes]],
    body: Mapping[str, Any],
    *,
    path: str = "",
    is_worker: bool = False,
) -> Headers:
    """Headers for the provider: what may pass, plus the credential, and never both kinds of credential.

    Args:
        route: which model route.
        auth: the credential.
        received: the caller's headers.
        body: the caller's request.
        path: where the call goes, when it is translated for another path than the route's own.
        is_worker: the caller may switch on only the features that `gateway.modelproxy.worker_requests` lists.
    """
    own = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in auth.headers]
    replaced = {name.lower() for name, _ in own}
    replaced.add(b"anthropic-beta")
    passed = _passes_translated if path else _passes
    headers = [(name, value) for name, value in received if name not in replaced and passed(name, route)]
    headers += own
    # Answers are passed on byte for byte and looked into for their usage: compressed ones would hide it.
    headers.append((b"accept-encoding", b"identity"))
    if route.dialect == "anthropic" and not path:
        if betas := _betas(received, auth, is_worker=is_worker):
            headers.append((b"anthropic-beta", betas))
        if route.provider == "copilot" and not any(name == _MESSAGES_VERSION[0] for name, _ in headers):
            headers.append(_MESSAGES_VERSION)
    if route.provider == "codex":
        headers += _codex_headers(body)
    elif route.provider == "copilot":
        headers += copilot_headers(body) if route.name not in _NOT_TALK else _call_headers()
    return headers


def copilot_headers(body: Mapping[str, Any]) -> Headers:
    """Who started the request and whether it shows pictures, which GitHub bills by."""
    headers = [*_call_headers(), (b"x-initiator", initiator_of(body).encode())]
    if shows_pictures(body):
        headers.append((b"copilot-vision-request", b"true"))
    return headers


def _call_headers() -> Headers:
    return [(b"openai-intent", b"conversation-panel"), (b"x-request-id", new_id("req").encode())]


def _codex_headers(body: Mapping[str, Any]) -> Headers:
    headers: Headers = [(b"accept", b"text/event-stream")]
    session = body.get("prompt_cache_key")
    if isinstance(session, str) and _SESSION.fullmatch(session):
        headers.append((b"session_id", session.encode("ascii")))
    return headers


def parse_body(raw: bytes) -> dict[str, Any]:
    """The request as an object.

    Raises:
        Invalid: it is not a JSON object.
    """
    body = object_of(raw)
    if body is None:
        raise Invalid("the request body is not a JSON object", code="model.body")
    return body


def _passes(name: bytes, route: Route) -> bool:
    return name in route.passed or (bool(route.passed_from) and name.startswith(route.passed_from))


def _passes_translated(name: bytes, _route: Route) -> bool:
    return name == b"content-type"


def betas_of(received: Iterable[tuple[bytes, bytes]]) -> list[str]:
    """The features a caller asks for."""
    asked = (value.decode("latin-1").split(",") for name, value in received if name == b"anthropic-beta")
    return [beta for part in asked for name in part if (beta := name.strip())]


def _betas(received: Iterable[tuple[bytes, bytes]], auth: ProviderAuth, *, is_worker: bool) -> bytes:
    """Those passed on: without those that say how the caller signed in or, to Copilot, who it is."""
    left_out = (_OAUTH_BETA_PREFIX,) if auth.provider == "claude" else (_OAUTH_BETA_PREFIX, _CLAUDE_CODE_BETA_PREFIX)
    names = [beta for beta in betas_of(received) if not beta.startswith(left_out)]
    if is_worker:
        names = [beta for beta in names if is_harmless_beta(beta)]
    if auth.provider == "claude" and auth.kind == "oauth":
        names.append(OAUTH_BETA)
    return ",".join(dict.fromkeys(names)).encode("latin-1")
