"""Signing in with a ChatGPT plan, as the Codex command line does. Source: reference notes on Codex OAuth.

The redirect goes to a port of the person's own machine where nothing listens; they paste the address it ended on.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import Field

from shared.clock import SYSTEM_CLOCK, Clock
from shared.config.strict import Strict
from shared.errors import Invalid, Unavailable
from shared.http.client import HttpPool
from shared.json_values import mapping
from shared.oauth.jsonflow import TokenAnswer, TokenCall, expiry, read_answer, scopes_of, send, text_of
from shared.oauth.models import CLOCK_AHEAD, LOGIN_LIFETIME, Flow, LoginNeeded, PendingLogin, Token
from shared.oauth.paste import parse_pasted
from shared.oauth.pkce import authorize_url, new_pkce, new_state
from shared.secrets.files import Secret

_LOGIN = "clawgate auth login codex"
_WHO = "OpenAI"
_AUTH_CLAIM = "https://api.openai.com/auth"
_PROFILE_CLAIM = "https://api.openai.com/profile"

HttpUrl = Annotated[str, Field(pattern=r"^https?://[^\s]+$")]


class CodexOAuthSettings(Strict):
    """``[codex]`` of policies/oauth.toml. The defaults are those of OpenAI's own client."""

    issuer: HttpUrl = "https://auth.openai.com"
    redirect_uri: HttpUrl = "http://localhost:1455/auth/callback"
    client_id: str = Field(default="app_EMoamEEZ73f0CkXaXp7hrann", min_length=1)
    scopes: tuple[str, ...] = ("openid", "profile", "email", "offline_access")
    originator: str = Field(default="codex_cli_rs", min_length=1)
    user_agent: str = Field(default="codex_cli_rs/0.55.0", min_length=1)


class CodexOAuth:
    """`OAuthProvider` for Codex."""

    name = "codex"
    flow: Flow = "code"
    lead_s = 300.0

    def __init__(self, settings: CodexOAuthSettings, http: HttpPool, *, clock: Clock = SYSTEM_CLOCK) -> None:
        self._settings = settings
        self._issuer = settings.issuer.rstrip("/")
        self._http = http
        self._clock = clock

    async def begin(self) -> PendingLogin:
        """The address to open; nothing is sent yet."""
        settings, pkce, state = self._settings, new_pkce(), new_state()
        url = authorize_url(
            f"{self._issuer}/oauth/authorize",
            client_id=settings.client_id,
            redirect_uri=settings.redirect_uri,
            scopes=settings.scopes,
            state=state,
            challenge=pkce.challenge,
            id_token_add_organizations="true",  # noqa: S106 - a flag
            codex_cli_simplified_flow="true",
            originator=settings.originator,
        )
        return PendingLogin(
            provider=self.name,
            url=url,
            instructions=(
                "Open this address in any browser and sign in. The browser then goes to an address that starts with "
                f"{settings.redirect_uri} and shows that it cannot connect: that is expected. Paste that address here."
            ),
            state=state,
            verifier=pkce.verifier,
            expires_at=self._clock.now() + LOGIN_LIFETIME,
        )

    async def complete(self, pending: PendingLogin, pasted: str) -> Token:
        """Exchange what was pasted."""
        fields = {
            "grant_type": "authorization_code",
            "client_id": self._settings.client_id,
            "code": parse_pasted(pasted, state=pending.state, again=_LOGIN),
            "code_verifier": pending.verifier.reveal() if pending.verifier else "",
            "redirect_uri": self._settings.redirect_uri,
        }
        token = self._token(await self._send("token", fields), None)
        if not token.extra.get("account_id"):
            raise LoginNeeded(
                f"OpenAI's answer names no ChatGPT account: sign in with an account that has a plan. Run: {_LOGIN}",
                code="auth.no_account",
            )
        return token

    async def poll(self, pending: PendingLogin) -> Token | float:  # noqa: ARG002 - the protocol's
        """Not a device flow."""
        raise Invalid("a Codex login is finished by pasting, not by polling", code="auth.flow")

    async def refresh(self, token: Token) -> Token:
        """Buy the next set of tokens; the old refresh token no longer counts afterwards."""
        if not token.refresh:
            raise Invalid("this Codex sign-in has no refresh token", code="auth.no_refresh")
        fields = {
            "grant_type": "refresh_token",
            "client_id": self._settings.client_id,
            "refresh_token": token.refresh.reveal(),
        }
        return self._token(await self._send("token", fields), token)

    async def revoke(self, token: Token) -> None:
        """Forget the grant at OpenAI."""
        secret = token.refresh or token.access
        answer = await self._send("revoke", {"token": secret.reveal(), "client_id": self._settings.client_id})
        if answer.status not in {200, 204, 400, 401, 404}:
            raise Unavailable(f"OpenAI answered {answer.status} to the sign-out", code="auth.revoke")

    async def _send(self, what: str, fields: Mapping[str, str]) -> TokenAnswer:
        call = TokenCall.of_form(f"{self._issuer}/oauth/{what}", fields, user_agent=self._settings.user_agent)
        return await send(self._http, call)

    def _token(self, answer: TokenAnswer, old: Token | None) -> Token:
        body = read_answer(answer, who=_WHO, fix=_LOGIN)
        access, identity = str(body["access_token"]), text_of(body.get("id_token"))
        refresh = text_of(body.get("refresh_token"))
        facts = account_facts(access, identity)
        known = {name: facts[name] for name in ("account_id", "plan", "user_id") if facts.get(name)}
        return Token(
            access=Secret(access),
            refresh=Secret(refresh) if refresh else (old.refresh if old else None),
            expires_at=self._expiry(access, body),
            scopes=scopes_of(body, old.scopes if old else self._settings.scopes),
            account=facts.get("email", "") or (old.account if old else ""),
            extra={**(old.extra if old else {}), **known, **self._clock_facts(access)},
            id_token=Secret(identity) if identity else (old.id_token if old else None),
        )

    def _expiry(self, access: str, body: Mapping[str, Any]) -> datetime:
        """When a token just received ends, by our own clock: how long it lives counts, not the moment it names."""
        now, claims = self._clock.now(), claims_of(access)
        ends, issued = _moment(claims.get("exp")), _moment(claims.get("iat"))
        if body.get("expires_in"):
            return expiry(body, now)
        if ends is not None and issued is not None and ends > issued:
            return now + (ends - issued)
        return ends or expiry(body, now)

    def _clock_facts(self, access: str) -> dict[str, str]:
        """How far our clock is ahead of the provider's, in seconds, as far as a token just received tells."""
        issued = _moment(claims_of(access).get("iat"))
        return {} if issued is None else {CLOCK_AHEAD: f"{(self._clock.now() - issued).total_seconds():.0f}"}


def account_facts(access: str, identity: str) -> dict[str, str]:
    """Who the tokens belong to: ``email``, ``account_id``, ``plan``, ``user_id``, as far as they say."""
    facts: dict[str, str] = {}
    for claims in (claims_of(access), claims_of(identity)):
        auth, profile = mapping(claims.get(_AUTH_CLAIM)), mapping(claims.get(_PROFILE_CLAIM))
        found = {
            "email": claims.get("email") or profile.get("email"),
            "account_id": auth.get("chatgpt_account_id"),
            "plan": auth.get("chatgpt_plan_type"),
            "user_id": auth.get("chatgpt_user_id") or auth.get("user_id"),
        }
        facts |= {name: value[:200] for name, value in found.items() if isinstance(value, str) and value.isprintable()}
    if not facts.get("account_id", "x").isascii():
        del facts["account_id"]
    return facts


def access_expiry(access: str) -> datetime | None:
    """The moment in the token itself; None when it does not say."""
    return _moment(claims_of(access).get("exp"))


def _moment(moment: object) -> datetime | None:
    if not isinstance(moment, int | float) or isinstance(moment, bool):
        return None
    try:
        return datetime.fromtimestamp(moment, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def claims_of(token: str) -> Mapping[str, Any]:
    """The claims of a token just received from its issuer or read from our own file; no signature is checked."""
    try:
        payload = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (IndexError, ValueError, RecursionError):
        return {}
    return claims if isinstance(claims, dict) else {}
