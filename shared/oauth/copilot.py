"""Signing in at GitHub for Copilot: device flow, and the exchange of GitHub's token for a short-lived bearer.

The stored credential is GitHub's token, which usually does not expire. The bearer lives about half an hour, names the
API's address, and is only ever kept in memory. Source: reference notes on copilot-api and OpenClaw.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field

from shared.clock import SYSTEM_CLOCK, Clock
from shared.errors import DeadlineExceeded, GatewayError, Invalid, RateLimited, Unavailable
from shared.http.client import Answer, Headers, HttpPool
from shared.oauth.device import DeviceEndpoints, DeviceFlow
from shared.oauth.jsonflow import TokenCall, expiry, read_answer, scopes_of, send, text_of
from shared.oauth.models import EdgeBlocked, Flow, LoginNeeded, PendingLogin, Token
from shared.obs.redact import HIDDEN, redact_text
from shared.secrets.files import Secret

HttpUrl = Annotated[str, Field(pattern=r"^https?://[^\s]+$")]

DEFAULT_API_BASE = "https://api.individual.githubcopilot.com"

_AGAIN = "clawgate auth login copilot"
_MILLISECONDS_FROM = 10_000_000_000
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
_PERSONAL = ("ghp_", "github_pat_")
_TIMEOUT_S = 15.0
_MAX_BYTES = 1 << 20


class CopilotOAuthSettings(BaseModel):
    """``[copilot]`` of policies/oauth.toml. The defaults are those of the editor's Copilot client."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    login_base: HttpUrl = "https://github.com"
    api_base: HttpUrl = "https://api.github.com"
    copilot_base: str = Field(default="", pattern=r"^(https?://[^\s]+)?$")
    """Empty: the address that comes with the bearer."""
    client_id: str = Field(default="Iv1.b507a08c87ecfe98", min_length=1)
    scope: str = "read:user"
    user_agent: str = "GitHubCopilotChat/0.35.0"
    editor_version: str = "vscode/1.107.0"
    editor_plugin_version: str = "copilot-chat/0.35.0"
    github_api_version: str = "2025-04-01"


@dataclass(frozen=True, slots=True)
class CopilotBearer:
    """What opens the Copilot API for about half an hour.

    Attributes:
        base_url: of the API, without a slash at its end.
        expires_at: aware UTC.
        refresh_in_s: when GitHub wants the next exchange; 0 when it does not say.
    """

    token: Secret
    base_url: str
    expires_at: datetime
    refresh_in_s: float = 0.0


class CopilotOAuth:
    """`OAuthProvider` for Copilot."""

    name = "copilot"
    flow: Flow = "device"
    lead_s = 0.0
    """GitHub's token usually has no end, and needs no refresh token to be worth keeping."""

    def __init__(self, settings: CopilotOAuthSettings, http: HttpPool, *, clock: Clock = SYSTEM_CLOCK) -> None:
        self._settings = settings
        self._http = http
        self._clock = clock
        self._token_url = f"{settings.login_base.rstrip('/')}/login/oauth/access_token"
        endpoints = DeviceEndpoints(
            code_url=f"{settings.login_base.rstrip('/')}/login/device/code",
            token_url=self._token_url,
            client_id=settings.client_id,
            scope=settings.scope,
            user_agent=settings.user_agent,
            who="GitHub",
            again=_AGAIN,
        )
        self._device = DeviceFlow(endpoints, http, clock=clock)

    async def begin(self) -> PendingLogin:
        """Ask GitHub for a code; raises as `DeviceFlow.begin`."""
        return await self._device.begin(self.name)

    async def complete(self, pending: PendingLogin, pasted: str) -> Token:  # noqa: ARG002 - the protocol's
        """There is nothing to paste in this flow.

        Raises:
            Invalid: always.
        """
        raise Invalid("GitHub's sign-in needs no pasting: type the shown code on its page and wait here")

    async def poll(self, pending: PendingLogin) -> Token | float:
        """Ask once; raises as `DeviceFlow.poll`."""
        answer = await self._device.poll(pending)
        return answer if isinstance(answer, float) else await self._named(self._token(answer))

    async def refresh(self, token: Token) -> Token:
        """GitHub's token as it is; a new one where GitHub gave one that expires.

        Raises:
            LoginNeeded: the grant is gone.
            Unavailable: no usable answer.
        """
        if token.refresh is None:
            return token
        fields = {
            "client_id": self._settings.client_id,
            "grant_type": "refresh_token",
            "refresh_token": token.refresh.reveal(),
        }
        call = TokenCall.of_form(self._token_url, fields, user_agent=self._settings.user_agent)
        body = read_answer(await send(self._http, call), who="GitHub", fix=_AGAIN)
        return self._token(body, before=token)

    async def revoke(self, token: Token) -> None:  # noqa: ARG002 - the protocol's
        """GitHub lets only the app's owner end a grant by program.

        Raises:
            Unavailable: always; the detail says where a person does it.
        """
        raise Unavailable(
            "GitHub cannot be told from here: remove the app GitHub Copilot at https://github.com/settings/applications",
            code="auth.revoke",
            retryable=False,
        )

    async def account(self, token: Token) -> str:
        """The login name behind a token.

        Raises:
            LoginNeeded: GitHub does not accept it.
            Unavailable: no usable answer.
        """
        answer = await self._get("/user", token)
        if answer.status == 401:
            raise LoginNeeded(f"GitHub no longer accepts this sign-in. Run: {_AGAIN}", code="auth.refused")
        login = text_of(_object(answer).get("login"))
        if answer.status != 200 or not login:
            raise Unavailable(f"GitHub answered {answer.status} to the question who is signed in", code="auth.answer")
        return login

    async def exchange(self, token: Token) -> CopilotBearer:
        """Buy a bearer for the Copilot API.

        Raises:
            LoginNeeded: GitHub refuses the token, or Copilot to this account; the detail quotes GitHub's reason.
            RateLimited: asked too often.
            EdgeBlocked: a page instead of an answer.
            Unavailable: no usable answer.
        """
        answer = await self._get("/copilot_internal/v2/token", token)
        body = _object(answer)
        bearer = body.get("token")
        if answer.status != 200 or not isinstance(bearer, str) or not bearer or not bearer.isascii():
            raise _refusal(answer, body, token.access.reveal())
        refresh_in = body.get("refresh_in")
        return CopilotBearer(
            token=Secret(bearer),
            base_url=self.api_base_of(bearer, body),
            expires_at=moment(body.get("expires_at")),
            refresh_in_s=float(refresh_in) if isinstance(refresh_in, int | float) and refresh_in > 0 else 0.0,
        )

    def api_base_of(self, bearer: str, body: Mapping[str, Any]) -> str:
        """The API's address: the setting, else what the answer names, else what the bearer itself names."""
        if self._settings.copilot_base:
            return self._settings.copilot_base.rstrip("/")
        endpoints = body.get("endpoints")
        told = endpoints.get("api") if isinstance(endpoints, dict) else None
        if isinstance(told, str) and self._is_trusted(told):
            return told.rstrip("/")
        fields = dict(part.split("=", 1) for part in bearer.split(";") if "=" in part)
        proxy = fields.get("proxy-ep", "")
        if proxy.startswith("proxy.") and self._is_trusted(f"https://{proxy}"):
            return f"https://api.{proxy.removeprefix('proxy.')}"
        return DEFAULT_API_BASE

    def _is_trusted(self, url: str) -> bool:
        # The bearer goes there: an answer may name another host, but a plain-text one only on an emulator's machine.
        parts = urlsplit(url)
        emulated = urlsplit(self._settings.api_base).hostname in _LOOPBACK
        return bool(parts.hostname) and (parts.scheme == "https" or (emulated and parts.hostname in _LOOPBACK))

    async def _named(self, token: Token) -> Token:
        try:
            account = await self.account(token)
        except (Unavailable, LoginNeeded):
            # The sign-in is done; that GitHub does not say whose must not lose it.
            return token
        return replace(token, account=account)

    def _token(self, body: Mapping[str, Any], before: Token | None = None) -> Token:
        refresh = text_of(body.get("refresh_token"))
        return Token(
            access=Secret(text_of(body.get("access_token"))),
            refresh=Secret(refresh) if refresh else before.refresh if before else None,
            expires_at=expiry(body, self._clock.now()) if refresh or body.get("expires_in") else None,
            scopes=scopes_of(body, before.scopes if before else (self._settings.scope,)),
            account=before.account if before else "",
            extra=before.extra if before else {},
        )

    async def _get(self, path: str, token: Token) -> Answer:
        settings = self._settings
        headers: Headers = [
            (b"Authorization", f"token {token.access.reveal()}".encode()),
            (b"Accept", b"application/json"),
            (b"Editor-Version", settings.editor_version.encode()),
            (b"Editor-Plugin-Version", settings.editor_plugin_version.encode()),
            (b"User-Agent", settings.user_agent.encode()),
            (b"X-GitHub-Api-Version", settings.github_api_version.encode()),
        ]
        url = f"{settings.api_base.rstrip('/')}{path}"
        try:
            return await self._http.request(
                "GET", url, headers=headers, read_timeout_s=_TIMEOUT_S, max_bytes=_MAX_BYTES
            )
        except Unavailable:
            raise
        except (GatewayError, DeadlineExceeded) as error:
            raise Unavailable(f"GitHub gave no usable answer: {error.detail}", code="auth.no_answer") from None


def import_github_token(text: str, *, place: str) -> Token:
    """The token in copilot-api's ``github_token`` file.

    Args:
        text: the file's content.
        place: its path, for messages.

    Raises:
        Invalid: it is no token, or one that Copilot's exchange is known to refuse.
    """
    value = text_of(text.strip())
    if not value:
        raise Invalid(f"{place} holds no GitHub token. Run: {_AGAIN}", code="auth.import")
    if value.startswith(_PERSONAL):
        raise Invalid(
            f"{place} holds a personal access token, which GitHub does not exchange for Copilot: only a sign-in as "
            f"the editor's app counts. Run: {_AGAIN}",
            code="auth.import",
        )
    return Token(access=Secret(value))


def import_copilot_file(text: str, *, place: str) -> CopilotBearer:
    """The bearer in OpenClaw's ``github-copilot.token.json``; it serves until it expires.

    Raises:
        Invalid: the file is none of that kind, or only a view without the secret.
    """
    try:
        fields = json.loads(text)
        bearer = text_of(fields["token"])
        expires_at = moment(fields["expiresAt"])
    except (ValueError, KeyError, TypeError, RecursionError, Unavailable):
        bearer = ""
    if "=" not in bearer:
        raise Invalid(f"{place} holds no Copilot token. Run: {_AGAIN}", code="auth.import")
    fields = dict(part.split("=", 1) for part in bearer.split(";") if "=" in part)
    proxy = str(fields.get("proxy-ep", ""))
    base = f"https://api.{proxy.removeprefix('proxy.')}" if proxy.startswith("proxy.") else DEFAULT_API_BASE
    return CopilotBearer(Secret(bearer), base, expires_at)


def moment(value: object) -> datetime:
    """A moment in unix seconds or milliseconds; large numbers are the latter.

    Raises:
        Unavailable: it is no moment.
    """
    try:
        seconds = float(value)  # type: ignore[arg-type]
        return datetime.fromtimestamp(seconds / 1000 if seconds > _MILLISECONDS_FROM else seconds, UTC)
    except (TypeError, ValueError, OverflowError, OSError):
        raise Unavailable(
            "GitHub's Copilot token has no expiry: its answer is not understood", code="copilot.exchange"
        ) from None


def _object(answer: Answer) -> Mapping[str, Any]:
    try:
        body = json.loads(answer.body)
    except (ValueError, RecursionError):
        return {}
    return body if isinstance(body, dict) else {}


def _refusal(answer: Answer, body: Mapping[str, Any], sent: str) -> GatewayError:
    details = body.get("error_details")
    why = details.get("message") if isinstance(details, dict) else body.get("message")
    # GitHub's reason is the one thing that helps (no seat, disabled, …); an echo of what was sent is not part of it.
    shown = redact_text(why.replace(sent, HIDDEN))[:200] if isinstance(why, str) else ""
    reason = f" ({shown})" if shown.isprintable() and shown else ""
    if answer.status == 401:
        return LoginNeeded(f"GitHub no longer accepts the Copilot sign-in{reason}. Run: {_AGAIN}", code="auth.refused")
    if answer.status == 403 and body:
        return LoginNeeded(f"GitHub refuses Copilot to this account{reason}. Run: {_AGAIN}", code="auth.refused")
    if answer.status == 404:
        return LoginNeeded(f"the GitHub token is not one of a Copilot sign-in. Run: {_AGAIN}", code="auth.refused")
    if answer.status == 429:
        wait = answer.header("retry-after")
        return RateLimited(
            "GitHub limits Copilot token exchanges", retry_after_s=float(wait) if wait.isdigit() else 60.0
        )
    if answer.status == 403:
        return EdgeBlocked("GitHub's edge answered 403 with a page to the Copilot token exchange")
    return Unavailable(f"GitHub answered {answer.status} to the Copilot token exchange", code="copilot.exchange")
