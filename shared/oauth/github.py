"""GitHub's API as the editor's Copilot client calls it: who is signed in, and the bearer that opens the Copilot API.

The bearer lives about half an hour, names the API's address, and is only ever kept in memory. Source: reference notes
on copilot_internal/v2/token.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from shared.clock import SYSTEM_CLOCK, Clock
from shared.errors import DeadlineExceeded, GatewayError, Invalid, RateLimited, Unavailable
from shared.http.client import Answer, HttpPool
from shared.json_values import object_of
from shared.oauth.copilot_settings import CopilotOAuthSettings
from shared.oauth.jsonflow import text_of
from shared.oauth.models import EdgeBlocked, LoginNeeded, Token
from shared.obs.log import get_logger
from shared.obs.redact import HIDDEN, redact_text
from shared.secrets.files import Secret

_log = get_logger(__name__)

DEFAULT_API_BASE = "https://api.individual.githubcopilot.com"
LOGIN_COMMAND = "clawgate auth login copilot"

_FORM, _BEARER = "form", "bearer"
_PROXY_HOST = re.compile(r"proxy\.[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+")
_MILLISECONDS_FROM = 10_000_000_000
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
_TIMEOUT_S = 15.0
_LONGEST_REFRESH_S = 86_400.0
_AFTER_REFRESH = timedelta(minutes=15)
"""A bearer lives some minutes longer than `refresh_in`; GitHub gives it five."""
_MAX_BYTES = 1 << 20


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


class GithubApi:
    """The calls that need GitHub's token.

    Args:
        settings: addresses and identity.
        http: connections.
        again: what a person runs when the token is not accepted.
        clock: for the bearer's end.
    """

    def __init__(
        self,
        settings: CopilotOAuthSettings,
        http: HttpPool,
        *,
        again: str = LOGIN_COMMAND,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self.settings = settings
        self._clock = clock
        self._http = http
        self._again = again
        self._base = settings.api_base.rstrip("/")

    async def account(self, token: Secret) -> str:
        """The login name behind a token.

        Raises:
            LoginNeeded: GitHub does not accept it.
            Unavailable: no usable answer.
        """
        answer = await self.ask("/user", token)
        if answer.status == 401:
            raise LoginNeeded(f"GitHub no longer accepts this sign-in. Run: {self._again}", code="auth.refused")
        login = text_of((object_of(answer.body) or {}).get("login"))
        if answer.status != 200 or not login:
            raise Unavailable(f"GitHub answered {answer.status} to the question who is signed in", code="auth.answer")
        return login

    async def exchange(self, token: Secret) -> CopilotBearer:
        """Buy a bearer for the Copilot API.

        Raises:
            LoginNeeded: GitHub refuses the token, or Copilot to this account; the detail quotes GitHub's reason.
            RateLimited: asked too often.
            EdgeBlocked: a page instead of an answer.
            Unavailable: no usable answer.
        """
        answer = await self.ask("/copilot_internal/v2/token", token)
        body = object_of(answer.body) or {}
        bearer = body.get("token")
        if answer.status != 200 or not isinstance(bearer, str) or not bearer or not bearer.isascii():
            raise self._refusal(answer, body, token.reveal())
        refresh_in = body.get("refresh_in")
        refresh_in_s = float(refresh_in) if isinstance(refresh_in, int | float) and refresh_in > 0 else 0.0
        return CopilotBearer(
            token=Secret(bearer),
            base_url=self.api_base_of(bearer, body),
            expires_at=self._by_our_clock(moment(body.get("expires_at")), refresh_in_s),
            refresh_in_s=refresh_in_s,
        )

    def _by_our_clock(self, told: datetime, refresh_in_s: float) -> datetime:
        """When a bearer ends: the moment GitHub names, unless our clock differs so much that it cannot be meant."""
        if not 0 < refresh_in_s <= _LONGEST_REFRESH_S:
            return told
        earliest = self._clock.now() + timedelta(seconds=refresh_in_s)
        plausible = min(max(told, earliest), earliest + _AFTER_REFRESH)
        if plausible != told:
            _log.warning(
                "copilot.clock_differs",
                seconds=round((told - plausible).total_seconds()),
                fix="set this machine's clock, for example with: timedatectl set-ntp true",
            )
        return plausible

    def api_base_of(self, bearer: str, body: Mapping[str, Any]) -> str:
        """The API's address: the setting, else what the answer names, else what the bearer itself names."""
        if self.settings.copilot_base:
            return self.settings.copilot_base.rstrip("/")
        endpoints = body.get("endpoints")
        told = endpoints.get("api") if isinstance(endpoints, dict) else None
        if isinstance(told, str) and self._is_trusted(told):
            return told.rstrip("/")
        return _base_named_in(bearer)

    def readdressed(self, bearer: CopilotBearer) -> CopilotBearer:
        """A bearer that was not bought here, sent where the setting says, if it says anything."""
        base = self.settings.copilot_base.rstrip("/")
        return replace(bearer, base_url=base) if base else bearer

    def _is_trusted(self, url: str) -> bool:
        # The bearer goes there: an answer may name another host, but a plain-text one only on an emulator's machine.
        parts = urlsplit(url)
        emulated = (urlsplit(self.settings.api_base).hostname or "") in _LOOPBACK
        return bool(parts.hostname) and (parts.scheme == "https" or (emulated and parts.hostname in _LOOPBACK))

    async def ask(self, path: str, token: Secret) -> Answer:
        """One GET with the token; any status is an answer.

        Raises:
            Unavailable: GitHub does not answer.
        """
        headers = [
            (b"Authorization", f"token {token.reveal()}".encode()),
            (b"Accept", b"application/json"),
            *((name.encode(), value.encode()) for name, value in self.settings.client_headers()),
        ]
        try:
            return await self._http.request(
                "GET", f"{self._base}{path}", headers=headers, read_timeout_s=_TIMEOUT_S, max_bytes=_MAX_BYTES
            )
        except Unavailable:
            raise
        except (GatewayError, DeadlineExceeded) as error:
            raise Unavailable(f"GitHub gave no usable answer: {error.detail}", code="auth.no_answer") from None

    def _refusal(self, answer: Answer, body: Mapping[str, Any], sent: str) -> GatewayError:
        details = body.get("error_details")
        why = details.get("message") if isinstance(details, dict) else body.get("message")
        # GitHub's reason is the one thing that helps (no seat, disabled, …); an echo of what was sent is not.
        shown = redact_text(why.replace(sent, HIDDEN))[:200] if isinstance(why, str) else ""
        reason = f" ({shown})" if shown.isprintable() and shown else ""
        if answer.status == 401:
            return LoginNeeded(
                f"GitHub no longer accepts the Copilot sign-in{reason}. Run: {self._again}", code="auth.refused"
            )
        if answer.status == 403 and body:
            return LoginNeeded(
                f"GitHub refuses Copilot to this account{reason}. Run: {self._again}", code="auth.refused"
            )
        if answer.status == 404:
            return LoginNeeded(
                f"the GitHub token is not one of a Copilot sign-in. Run: {self._again}", code="auth.refused"
            )
        if answer.status == 429:
            wait = answer.header("retry-after")
            return RateLimited(
                "GitHub limits Copilot token exchanges", retry_after_s=float(wait) if wait.isdigit() else 60.0
            )
        if answer.status == 403:
            return EdgeBlocked("GitHub's edge answered 403 with a page to the Copilot token exchange")
        return Unavailable(f"GitHub answered {answer.status} to the Copilot token exchange", code="copilot.exchange")


def import_copilot_file(text: str, *, place: str) -> CopilotBearer:
    """The bearer in OpenClaw's ``github-copilot.token.json``; it serves until it expires.

    Raises:
        Invalid: the file is none of that kind, or only a view without the secret.
    """
    try:
        fields = json.loads(text)
        bearer, expires_at = text_of(fields["token"]), moment(fields["expiresAt"])
    except (ValueError, KeyError, TypeError, RecursionError, Unavailable):
        bearer = ""
    if "=" not in bearer:
        raise Invalid(f"{place} holds no Copilot token. Run: {LOGIN_COMMAND}", code="auth.import")
    return CopilotBearer(Secret(bearer), _base_named_in(bearer), expires_at)


def bearer_as_token(bearer: CopilotBearer) -> Token:
    """A bearer that came without the sign-in behind it, in the form credentials are stored in."""
    extra = {_FORM: _BEARER, "api_base": bearer.base_url}
    return Token(access=bearer.token, expires_at=bearer.expires_at, extra=extra)


def bearer_in(token: Token) -> CopilotBearer | None:
    """The reverse; None for GitHub's own token."""
    if token.extra.get(_FORM) != _BEARER or token.expires_at is None:
        return None
    return CopilotBearer(token.access, token.extra.get("api_base", "") or DEFAULT_API_BASE, token.expires_at)


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


def _base_named_in(bearer: str) -> str:
    """The API's address by the bearer's own ``proxy-ep`` field; a signature may follow the last field after a colon."""
    fields = dict(part.split("=", 1) for part in bearer.split(";") if "=" in part)
    host = fields.get("proxy-ep", "").partition(":")[0]
    return f"https://api.{host.removeprefix('proxy.')}" if _PROXY_HOST.fullmatch(host) else DEFAULT_API_BASE
