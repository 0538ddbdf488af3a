"""The Copilot token: a GitHub sign-in exchanged for a bearer that lives about half an hour.

Source: reference notes on copilot_internal/v2/token.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from gateway.credentials.files import WatchedFile, fingerprint
from gateway.credentials.models import ClientIdentity, ProviderAuth
from shared.clock import Clock
from shared.errors import AuthRequired, GatewayError, RateLimited, Unavailable
from shared.http.client import Answer, HttpPool
from shared.obs.log import get_logger
from shared.secrets.files import Secret

_log = get_logger(__name__)

_RENEW_BEFORE = timedelta(minutes=5)
_HOLD_FAILURE_S = 15.0
_MILLISECONDS_FROM = 10_000_000_000
_DEFAULT_BASE = "https://api.individual.githubcopilot.com"
_LOOPBACK = {"127.0.0.1", "localhost", "::1"}
_FIX = "Run: clawgate auth login copilot (or: copilot-api auth, as the gateway's user)"


@dataclass(frozen=True, slots=True)
class _Bearer:
    token: Secret
    base_url: str
    expires_at: datetime
    source: str


class CopilotTokens:
    """Keeps one Copilot bearer current; a hundred callers at once make one exchange.

    Args:
        file: holds the GitHub token.
        github_api_base: where it is exchanged.
        copilot_base: overrides the API address that comes with the bearer; empty to use that.
        stored: our own sign-in, which comes before the file; None when there is none.
    """

    def __init__(
        self,
        file: WatchedFile[Secret],
        *,
        github_api_base: str,
        copilot_base: str,
        http: HttpPool,
        clock: Clock,
        client: ClientIdentity,
        stored: Callable[[], Awaitable[Secret | None]] | None = None,
    ) -> None:
        self._file = file
        self._stored = stored
        self._github = github_api_base.rstrip("/")
        self._base = copilot_base.rstrip("/")
        self._http = http
        self._clock = clock
        self._client = client
        self._current: _Bearer | None = None
        self._exchanging = asyncio.Lock()
        self._failure: tuple[float, str, GatewayError] | None = None

    async def auth(self) -> ProviderAuth:
        """The bearer as headers.

        Raises:
            AuthRequired: there is no GitHub sign-in, or GitHub refuses it.
            Unavailable: GitHub does not answer and no valid bearer is left.
        """
        github = await self.github_token()
        source = fingerprint(github.reveal())
        bearer = self._fresh(source)
        if bearer is None:
            async with self._exchanging:
                bearer = self._fresh(source) or await self._renew(github, source)
        return self._as_auth(bearer)

    async def github_token(self) -> Secret:
        """The GitHub sign-in: the stored one, else the one copilot-api left.

        Raises:
            AuthRequired: there is none.
        """
        return (await self._stored() if self._stored else None) or self._file.read()

    def forget(self, mark: str) -> None:
        """Drop the bearer if it is the one that was refused."""
        if self._current is not None and fingerprint(self._current.token.reveal()) == mark:
            self._current = None

    def _fresh(self, source: str) -> _Bearer | None:
        bearer = self._current
        if bearer is None or bearer.source != source or self._clock.now() >= bearer.expires_at - _RENEW_BEFORE:
            return None
        return bearer

    async def _renew(self, github: Secret, source: str) -> _Bearer:
        now = self._clock.monotonic()
        if self._failure is not None and self._failure[1] == source and now < self._failure[0] + _HOLD_FAILURE_S:
            failure = self._failure[2]
        else:
            try:
                self._current = await self._exchange(github, source)
            except GatewayError as error:
                self._failure = (now, source, error)
                failure = error
                _log.warning("credentials.copilot_refused", code=error.code, detail=error.detail)
            else:
                self._failure = None
                return self._current
        old = self._current
        if isinstance(failure, AuthRequired) or old is None or old.source != source:
            raise failure
        if self._clock.now() >= old.expires_at:
            raise failure
        # GitHub is down, but the old bearer still counts: use it to its end.
        return old

    async def _exchange(self, github: Secret, source: str) -> _Bearer:
        answer = await self._http.request(
            "GET",
            f"{self._github}/copilot_internal/v2/token",
            headers=[
                (b"Authorization", f"token {github.reveal()}".encode()),
                (b"Accept", b"application/json"),
                (b"Editor-Version", self._client.editor_version.encode()),
                (b"Editor-Plugin-Version", self._client.editor_plugin_version.encode()),
                (b"User-Agent", self._client.copilot_user_agent.encode()),
                (b"X-GitHub-Api-Version", self._client.github_api_version.encode()),
            ],
            read_timeout_s=15.0,
            max_bytes=1 << 20,
        )
        body = _json_object(answer)
        if answer.status != 200 or not isinstance(body.get("token"), str):
            raise _refusal(answer, body)
        expires = body.get("expires_at")
        if not isinstance(expires, int | float):
            raise Unavailable(
                "GitHub's Copilot token has no expiry: its answer is not understood", code="copilot.exchange"
            )
        if expires > _MILLISECONDS_FROM:
            expires /= 1000
        _log.info("credentials.copilot_renewed")
        token = body["token"]
        return _Bearer(Secret(token), self._api_base(body, token), datetime.fromtimestamp(expires, UTC), source)

    def _api_base(self, body: Mapping[str, Any], token: str) -> str:
        if self._base:
            return self._base
        endpoints = body.get("endpoints")
        told = endpoints.get("api") if isinstance(endpoints, dict) else None
        if isinstance(told, str) and self._is_trusted(told):
            return told.rstrip("/")
        fields = dict(part.split("=", 1) for part in token.split(";") if "=" in part)
        proxy = fields.get("proxy-ep", "")
        if proxy.startswith("proxy.") and self._is_trusted(f"https://{proxy}"):
            return f"https://api.{proxy.removeprefix('proxy.')}"
        return _DEFAULT_BASE

    def _is_trusted(self, url: str) -> bool:
        # The bearer goes there, so an answer may name another host but not a plain-text one, unless GitHub itself
        # is an emulator on this machine.
        parts = urlsplit(url)
        emulated = urlsplit(self._github).hostname in _LOOPBACK
        return bool(parts.hostname) and (parts.scheme == "https" or (emulated and parts.hostname in _LOOPBACK))

    def _as_auth(self, bearer: _Bearer) -> ProviderAuth:
        return ProviderAuth(
            provider="copilot",
            base_url=bearer.base_url,
            headers=(
                ("Authorization", f"Bearer {bearer.token.reveal()}"),
                ("Copilot-Integration-Id", self._client.copilot_integration_id),
                ("Editor-Version", self._client.editor_version),
                ("Editor-Plugin-Version", self._client.editor_plugin_version),
                ("User-Agent", self._client.copilot_user_agent),
                ("X-GitHub-Api-Version", self._client.github_api_version),
            ),
            kind="token",
            mark=fingerprint(bearer.token.reveal()),
        )


def _json_object(answer: Answer) -> Mapping[str, Any]:
    try:
        body = json.loads(answer.body)
    except (ValueError, RecursionError):
        return {}
    return body if isinstance(body, dict) else {}


def _refusal(answer: Answer, body: Mapping[str, Any]) -> GatewayError:
    details = body.get("error_details")
    why = details.get("message") if isinstance(details, dict) else body.get("message")
    reason = f" ({str(why)[:200]})" if why else ""
    if answer.status == 401:
        return AuthRequired(f"GitHub no longer accepts the Copilot sign-in{reason}. {_FIX}", code="auth.refused")
    if answer.status == 403 and body:
        return AuthRequired(f"GitHub refuses Copilot to this account{reason}. {_FIX}", code="auth.refused")
    if answer.status == 404:
        return AuthRequired(f"the stored GitHub token is not one of a Copilot sign-in. {_FIX}", code="auth.refused")
    if answer.status == 429:
        wait = answer.header("retry-after")
        return RateLimited(
            "GitHub limits Copilot token exchanges", retry_after_s=float(wait) if wait.isdigit() else 60.0
        )
    return Unavailable(f"GitHub answered {answer.status} to the Copilot token exchange", code="copilot.exchange")
