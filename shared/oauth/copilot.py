"""Signing in at GitHub for Copilot by device flow.

The stored credential is GitHub's token, which usually does not expire; `shared.oauth.github` exchanges it for the
bearer that opens the Copilot API. Source: reference notes on copilot-api and OpenClaw.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from shared.clock import SYSTEM_CLOCK, Clock
from shared.errors import Invalid, Unavailable
from shared.http.client import HttpPool
from shared.oauth.copilot_settings import CopilotOAuthSettings
from shared.oauth.device import DeviceEndpoints, DeviceFlow
from shared.oauth.github import LOGIN_COMMAND, GithubApi
from shared.oauth.jsonflow import TokenCall, expiry, read_answer, scopes_of, send, text_of
from shared.oauth.models import Flow, LoginNeeded, PendingLogin, Token
from shared.secrets.files import Secret

_GITHUB_TOKEN = re.compile(r"[A-Za-z0-9_]{4,255}")
_PERSONAL = ("ghp_", "github_pat_")


class CopilotOAuth:
    """`OAuthProvider` for Copilot."""

    name = "copilot"
    flow: Flow = "device"
    lead_s = 0.0
    """GitHub's token usually has no end, and needs no refresh token to be worth keeping."""

    def __init__(self, settings: CopilotOAuthSettings, http: HttpPool, *, clock: Clock = SYSTEM_CLOCK) -> None:
        self._github = GithubApi(settings, http, clock=clock)
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
            again=LOGIN_COMMAND,
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
        body = read_answer(await send(self._http, call), who="GitHub", fix=LOGIN_COMMAND)
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
        """The login name behind a token; raises as `GithubApi.account`."""
        return await self._github.account(token.access)

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


def import_github_token(text: str, *, place: str) -> Token:
    """The token in copilot-api's ``github_token`` file.

    Args:
        text: the file's content.
        place: its path, for messages.

    Raises:
        Invalid: it is no token, or one that Copilot's exchange is known to refuse.
    """
    value = text_of(text.strip())
    if not _GITHUB_TOKEN.fullmatch(value):
        raise Invalid(f"{place} holds no GitHub token. Run: {LOGIN_COMMAND}", code="auth.import")
    if value.startswith(_PERSONAL):
        raise Invalid(
            f"{place} holds a personal access token, which GitHub does not exchange for Copilot: only a sign-in as "
            f"the editor's app counts. Run: {LOGIN_COMMAND}",
            code="auth.import",
        )
    return Token(access=Secret(value))
