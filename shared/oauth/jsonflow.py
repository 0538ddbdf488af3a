"""One call to a token endpoint, and what its answer means.

Providers answer a refused grant in half a dozen ways; here they become the three outcomes of `shared.oauth.models`.
An answer counts as a token only with status 200 *and* a token in it, because some errors have neither a status nor
an ``error`` member that says so. No message of ours quotes an answer: it may hold a token.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal
from urllib.parse import urlencode, urlsplit

from shared.errors import ConfigError, DeadlineExceeded, GatewayError, Invalid, Unavailable
from shared.http.client import HttpPool
from shared.json_values import object_of
from shared.oauth.models import EdgeBlocked, LoginNeeded

Transport = Literal["http", "node"]

ASSUMED_LIFETIME = timedelta(hours=1)
"""For an answer without a usable ``expires_in``: too short rather than for ever."""

_TIMEOUT_S = 30.0
_MAX_BYTES = 1 << 20
_LONGEST_S = 366 * 86400
_HTML = re.compile(rb"^\s*<(!doctype|html|head|body)", re.IGNORECASE)

FINAL_CODES = frozenset(
    {
        "invalid_grant",
        "refresh_token_expired",
        "refresh_token_reused",
        "refresh_token_invalidated",
        "app_session_terminated",
        "access_denied",
        "expired_token",
    }
)
"""Error codes after which only a person can help."""

NODE_SCRIPT = (
    "let b='';process.stdin.on('data',c=>b+=c).on('end',async()=>{const q=JSON.parse(b);"
    "const r=await fetch(q.url,{method:'POST',headers:q.headers,body:q.body});"
    "console.log(JSON.stringify({status:r.status,body:await r.text()}))})"
)
"""Reads a request on standard input, prints its answer; no secret is on the command line."""


@dataclass(frozen=True, slots=True)
class TokenCall:
    """One request to a token endpoint; `body` holds secrets."""

    url: str
    headers: Mapping[str, str]
    body: str

    @classmethod
    def of_json(cls, url: str, fields: Mapping[str, object], *, user_agent: str) -> TokenCall:
        """A JSON body, which Claude's endpoint insists on."""
        return cls(url, _headers("application/json", user_agent), json.dumps(dict(fields)))

    @classmethod
    def of_form(cls, url: str, fields: Mapping[str, str], *, user_agent: str) -> TokenCall:
        """A form body, as the standard says."""
        return cls(url, _headers("application/x-www-form-urlencoded", user_agent), urlencode(fields))

    def __repr__(self) -> str:
        return f"TokenCall({urlsplit(self.url).hostname})"

    def for_node(self) -> str:
        """The request as `NODE_SCRIPT` reads it. Holds secrets."""
        return json.dumps({"url": self.url, "headers": dict(self.headers), "body": self.body})


@dataclass(frozen=True, slots=True)
class TokenAnswer:
    """An answer, whoever fetched it."""

    status: int
    body: bytes
    content_type: str = ""
    retry_after: str = ""


def _headers(content_type: str, user_agent: str) -> dict[str, str]:
    return {"Content-Type": content_type, "Accept": "application/json", "User-Agent": user_agent}


async def send(http: HttpPool, call: TokenCall, *, transport: Transport = "http") -> TokenAnswer:
    """Send a request.

    Raises:
        ConfigError: the address in the settings is none.
        Unavailable: no answer, half an answer, or no ``node`` to ask with.
    """
    if transport == "node":
        return await _send_by_node(call)
    host = urlsplit(call.url).hostname or call.url
    try:
        answer = await http.request(
            "POST",
            call.url,
            headers=[(name.encode(), value.encode()) for name, value in call.headers.items()],
            body=call.body.encode(),
            read_timeout_s=_TIMEOUT_S,
            max_bytes=_MAX_BYTES,
        )
    except Invalid as error:
        raise ConfigError(f"token address: {error.detail} (policies/oauth.toml)", code="config.oauth") from None
    except Unavailable:
        raise
    except (GatewayError, DeadlineExceeded) as error:
        raise Unavailable(f"{host} gave no usable answer: {error.detail}", code="auth.no_answer") from None
    return TokenAnswer(answer.status, answer.body, answer.header("content-type").lower(), answer.header("retry-after"))


async def _send_by_node(call: TokenCall) -> TokenAnswer:
    try:
        node = await asyncio.create_subprocess_exec(
            "node",
            "-e",
            NODE_SCRIPT,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
    except OSError as error:
        raise Unavailable(
            f'node cannot be started ({type(error).__name__}): install Node 18 or newer, or set transport = "http" '
            "in policies/oauth.toml",
            code="auth.no_node",
        ) from None
    try:
        async with asyncio.timeout(_TIMEOUT_S):
            output, _ = await node.communicate(call.for_node().encode())
    except TimeoutError:
        raise Unavailable("the token endpoint did not answer node in time", code="auth.no_answer") from None
    finally:
        if node.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                node.kill()
            await node.wait()
    answer = unwrap_node(output.decode("utf-8", "replace"))
    if node.returncode or answer is None:
        raise Unavailable("the token endpoint cannot be reached through node", code="auth.no_answer")
    return answer


def unwrap_node(text: str) -> TokenAnswer | None:
    """The answer in what `NODE_SCRIPT` printed, or in the bare JSON of an endpoint; None when it is neither."""
    value = object_of(text)
    if value is None:
        return None
    if isinstance(value.get("status"), int) and isinstance(value.get("body"), str):
        return TokenAnswer(value["status"], value["body"].encode())
    return TokenAnswer(200, text.encode())


def read_answer(answer: TokenAnswer, *, who: str, fix: str) -> Mapping[str, Any]:
    """The token answer in an endpoint's answer.

    Args:
        answer: as it came.
        who: the provider, for messages.
        fix: the command that signs in again.

    Raises:
        LoginNeeded: the grant is gone.
        EdgeBlocked: a page, or a 403 of the edge.
        Unavailable: anything else that is no token.
    """
    body = object_of(answer.body)
    if answer.status == 200 and body is not None and text_of(body.get("access_token")):
        return body
    code = _error_code(body)
    if code in FINAL_CODES and answer.status in {200, 400, 401, 403}:
        raise LoginNeeded(f"{who} no longer accepts this sign-in ({code}). Run: {fix}")
    if answer.status == 429:
        wait = int(answer.retry_after) if answer.retry_after.isdigit() else None
        raise Unavailable(
            f"{who} limits token requests from here (429); the old token is kept and this is tried again later",
            code="auth.limited",
            retry_after_s=wait,
        )
    if "html" in answer.content_type or _HTML.match(answer.body) or answer.status == 403:
        raise EdgeBlocked(
            f"{who}'s edge answered {answer.status} with "
            f"{'a refusal' if body is not None else 'a page instead of JSON'}: it does not let this client through"
        )
    if answer.status >= 500:
        raise Unavailable(f"{who} answered {answer.status} to the token request; tried again later")
    if answer.status == 200:
        what = "an error" if code else "no token" if body is not None else "no whole JSON object"
        raise Unavailable(f"{who} answered 200 with {what}{f' ({code})' if code else ''}", code="auth.answer")
    raise Unavailable(
        f"{who} refused the token request with {answer.status}{f' ({code})' if code else ''}, which is not about the "
        "sign-in: check client_id and token_url in policies/oauth.toml",
        code="auth.request",
    )


def expiry(body: Mapping[str, Any], now: datetime) -> datetime:
    """When the token ends; a missing, zero or absurd ``expires_in`` counts as an hour."""
    try:
        seconds = float(body.get("expires_in") or 0)
    except (TypeError, ValueError):
        seconds = 0.0
    if not 0 < seconds <= _LONGEST_S:
        seconds = ASSUMED_LIFETIME.total_seconds()
    return now + timedelta(seconds=seconds)


def scopes_of(body: Mapping[str, Any], otherwise: tuple[str, ...]) -> tuple[str, ...]:
    """The granted scopes; `otherwise` when the answer does not say."""
    scope = body.get("scope")
    return tuple(scope.split()) if isinstance(scope, str) and scope.strip() else otherwise


def text_of(value: object) -> str:
    """A header-safe text, else an empty one."""
    good = isinstance(value, str) and value.isascii() and value.isprintable() and " " not in value
    return str(value) if good else ""


def _error_code(body: Mapping[str, Any] | None) -> str:
    """The error's name; it is a text at some providers and an object at others."""
    error: Any = (body or {}).get("error")
    if isinstance(error, dict):
        error = error.get("code") or error.get("type")
    elif not isinstance(error, str) and body:
        error = body.get("code")
    return re.sub(r"[^a-z0-9_.-]", "", error.lower())[:60] if isinstance(error, str) else ""
