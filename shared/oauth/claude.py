"""Signing in with a Claude subscription: manual PKCE flow, JSON token body, single-use refresh tokens.

Source: reference notes on Claude OAuth. The token host's edge may refuse a Python client where it lets Node pass, so
how to ask is a setting, and a login can be finished with what a Node one-liner printed.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from shared.clock import SYSTEM_CLOCK, Clock
from shared.config.strict import Strict
from shared.errors import Invalid, Unavailable
from shared.http.client import HttpPool
from shared.oauth.jsonflow import (
    NODE_SCRIPT,
    TokenAnswer,
    TokenCall,
    Transport,
    expiry,
    read_answer,
    scopes_of,
    send,
    text_of,
    unwrap_node,
)
from shared.oauth.models import LOGIN_LIFETIME, Flow, PendingLogin, Token
from shared.oauth.paste import parse_pasted
from shared.oauth.pkce import authorize_url, new_pkce, new_state
from shared.secrets.files import Secret

_LOGIN = "clawgate auth login claude"
_WHO = "Claude"


def _token_address(url: str) -> str:
    parts = urlsplit(url)
    if (parts.hostname or "").lower() in {"claude.ai", "www.claude.ai"}:
        raise ValueError(
            "claude.ai is the login page's host and refuses token requests: use "
            "https://platform.claude.com/v1/oauth/token"
        )
    return url


HttpUrl = Annotated[str, Field(pattern=r"^https?://[^\s]+$")]
TokenUrl = Annotated[HttpUrl, AfterValidator(_token_address)]


class ClaudeOAuthSettings(Strict):
    """``[claude]`` of policies/oauth.toml. The defaults are those of Claude's own client."""

    authorize_url: HttpUrl = "https://claude.ai/oauth/authorize"
    token_url: TokenUrl = "https://platform.claude.com/v1/oauth/token"  # noqa: S105 - an address
    revoke_url: TokenUrl = "https://platform.claude.com/v1/oauth/token/revoke"
    redirect_uri: HttpUrl = "https://platform.claude.com/oauth/code/callback"
    client_id: str = Field(default="9d1c250a-e61b-44d9-88ed-5944d1962f5e", min_length=1)
    scopes: tuple[str, ...] = (
        "org:create_api_key",
        "user:profile",
        "user:inference",
        "user:sessions:claude_code",
        "user:mcp_servers",
    )
    user_agent: str = Field(default="node", min_length=1)
    transport: Transport = "http"
    """``node``: ask through ``node``'s fetch, for when the edge refuses this program."""


class ClaudeOAuth:
    """`OAuthProvider` for Claude."""

    name = "claude"
    flow: Flow = "code"
    lead_s = 300.0

    def __init__(self, settings: ClaudeOAuthSettings, http: HttpPool, *, clock: Clock = SYSTEM_CLOCK) -> None:
        self._settings = settings
        self._http = http
        self._clock = clock

    async def begin(self) -> PendingLogin:
        """The address to open; nothing is sent yet."""
        settings, pkce, state = self._settings, new_pkce(), new_state()
        url = authorize_url(
            settings.authorize_url,
            client_id=settings.client_id,
            redirect_uri=settings.redirect_uri,
            scopes=settings.scopes,
            state=state,
            challenge=pkce.challenge,
            code="true",
        )
        return PendingLogin(
            provider=self.name,
            url=url,
            instructions="Open this address in any browser, sign in, and paste the code the page shows (code#state).",
            state=state,
            verifier=pkce.verifier,
            expires_at=self._clock.now() + LOGIN_LIFETIME,
        )

    async def complete(self, pending: PendingLogin, pasted: str) -> Token:
        """Exchange what was pasted; the JSON a Node one-liner printed is taken as the endpoint's answer."""
        if pasted.lstrip().startswith("{"):
            answer = unwrap_node(pasted)
            if answer is None:
                raise Invalid(
                    "the pasted JSON is not whole: paste all of what the node command printed", code="auth.paste"
                )
            return self._token(answer, None)
        return self._token(await self._send(self._exchange(pending, pasted)), None)

    async def poll(self, pending: PendingLogin) -> Token | float:  # noqa: ARG002 - the protocol's
        """Not a device flow."""
        raise Invalid("a Claude login is finished by pasting, not by polling", code="auth.flow")

    def node_command(self, pending: PendingLogin, pasted: str) -> Secret:
        """A shell command that does the exchange with Node's fetch and prints the answer, for pasting here.

        It holds the login's one-time code, which is of no use once the command has run.
        """
        call = self._exchange(pending, pasted)
        return Secret(f"node -e {shlex.quote(NODE_SCRIPT)} <<'CLAWGATE'\n{call.for_node()}\nCLAWGATE")

    async def refresh(self, token: Token) -> Token:
        """Buy the next pair of tokens; the old refresh token no longer counts afterwards."""
        if not token.refresh:
            raise Invalid("this Claude sign-in has no refresh token", code="auth.no_refresh")
        fields = {
            "grant_type": "refresh_token",
            "refresh_token": token.refresh.reveal(),
            "client_id": self._settings.client_id,
        }
        return self._token(await self._send(self._call(self._settings.token_url, fields)), token)

    async def revoke(self, token: Token) -> None:
        """Forget the grant at Claude."""
        secret = token.refresh or token.access
        fields = {"token": secret.reveal(), "client_id": self._settings.client_id}
        answer = await self._send(self._call(self._settings.revoke_url, fields))
        if answer.status not in {200, 204, 400, 401, 404}:
            raise Unavailable(f"Claude answered {answer.status} to the sign-out", code="auth.revoke")

    def _exchange(self, pending: PendingLogin, pasted: str) -> TokenCall:
        code = parse_pasted(pasted, state=pending.state, again=_LOGIN)
        fields = {
            "grant_type": "authorization_code",
            "client_id": self._settings.client_id,
            "code": code,
            "state": pending.state,
            "redirect_uri": self._settings.redirect_uri,
            "code_verifier": pending.verifier.reveal() if pending.verifier else "",
        }
        return self._call(self._settings.token_url, fields)

    def _call(self, url: str, fields: Mapping[str, object]) -> TokenCall:
        return TokenCall.of_json(url, fields, user_agent=self._settings.user_agent)

    async def _send(self, call: TokenCall) -> TokenAnswer:
        return await send(self._http, call, transport=self._settings.transport)

    def _token(self, answer: TokenAnswer, old: Token | None) -> Token:
        body = read_answer(answer, who=_WHO, fix=_LOGIN)
        refresh = text_of(body.get("refresh_token"))
        return Token(
            access=Secret(body["access_token"]),
            refresh=Secret(refresh) if refresh else (old.refresh if old else None),
            expires_at=expiry(body, self._clock.now()),
            scopes=scopes_of(body, old.scopes if old else self._settings.scopes),
            account=_account(body) or (old.account if old else ""),
            extra=dict(old.extra) if old else {},
        )


def _account(body: Mapping[str, Any]) -> str:
    account = body.get("account")
    value = account.get("email_address") or account.get("uuid") if isinstance(account, dict) else ""
    return value[:200] if isinstance(value, str) and value.isprintable() else ""
