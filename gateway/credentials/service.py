"""Which credential a provider is called with right now."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from gateway.credentials.copilot import CopilotTokens
from gateway.credentials.files import WatchedFile, fingerprint, parse_claude, parse_codex, parse_github_token
from gateway.credentials.keeper import Keeper
from gateway.credentials.models import Provider, ProviderAuth
from gateway.credentials.priority import (
    ClaudeAuthFacts,
    OAuthState,
    RefreshState,
    decide_claude_auth,
)
from gateway.credentials.refresher import Refresher
from gateway.credentials.settings import OAuthPolicy
from shared.clock import SYSTEM_CLOCK, Clock
from shared.errors import AuthRequired, Unavailable
from shared.http.client import HttpPool
from shared.oauth.github import GithubApi
from shared.oauth.models import Token
from shared.obs.log import get_logger
from shared.secrets.files import Secret

_log = get_logger(__name__)

_REST_S = 600.0
_CLAUDE_FIX = (
    "Run: clawgate auth login claude (or: claude /login, as the gateway's user), or set ANTHROPIC_API_KEY_FALLBACK in "
    "the gateway's .env"
)
_CODEX_FIX = "Run: clawgate auth login codex (or: codex login, as the gateway's user)"
_COPILOT_AGAIN = "clawgate auth login copilot (or: copilot-api auth, as the gateway's user)"


class Credentials:
    """Reads the operator's sign-ins and says with what a provider is to be called.

    Priority for Claude (policy N9, `decide_claude_auth`): the subscription's token while it is valid and accepted, else
    the prepaid key; never both. Files are read again whenever they change. With a refresher tokens are kept fresh and
    our own sign-ins come before the files of other programs; without one files are only read.

    Args:
        http: for the Copilot token exchange.
        claude_file: Claude Code's ``.credentials.json``.
        claude_base: the Messages API's address.
        claude_fallback_key: prepaid key; an empty one means there is none.
        codex_file: the Codex command line's ``auth.json``.
        codex_base: the ChatGPT backend's address.
        copilot_file: copilot-api's ``github_token``.
        copilot_base: the Copilot API's address; empty for the one that comes with the token.
        github_api_base: where a GitHub token is exchanged.
        clock: for expiry.
        refresher: keeps sign-ins fresh; None only reads files.
        policy: how we introduce ourselves, and when prepaid money may be spent.
        on_copilot_bearer: told when a new Copilot bearer ends; must not block.
    """

    def __init__(
        self,
        *,
        http: HttpPool,
        claude_file: Path,
        claude_base: str,
        claude_fallback_key: Secret,
        codex_file: Path,
        codex_base: str,
        copilot_file: Path,
        copilot_base: str = "",
        github_api_base: str,
        clock: Clock = SYSTEM_CLOCK,
        refresher: Refresher | None = None,
        policy: OAuthPolicy | None = None,
        on_copilot_bearer: Callable[[datetime], None] | None = None,
    ) -> None:
        policy = policy or OAuthPolicy()
        self._clock = clock
        self._client = policy.codex
        self._claude = WatchedFile(claude_file, parse_claude, what="Claude sign-in", fix=_CLAUDE_FIX)
        self._claude_base = claude_base.rstrip("/")
        self._fallback_key = claude_fallback_key
        self._codex = WatchedFile(codex_file, parse_codex, what="Codex sign-in", fix=_CODEX_FIX)
        self._codex_base = codex_base.rstrip("/")
        self._policy = policy.claude_auth
        self._claude_keeper = _keeper(refresher, "claude")
        self._codex_keeper = _keeper(refresher, "codex")
        self._copilot_keeper = _keeper(refresher, "copilot")
        addresses = {"api_base": github_api_base, "copilot_base": copilot_base or policy.copilot.copilot_base}
        self.github = GithubApi(policy.copilot.model_copy(update=addresses), http, again=_COPILOT_AGAIN, clock=clock)
        self._copilot = CopilotTokens(
            WatchedFile(copilot_file, parse_github_token, what="Copilot sign-in", fix=f"Run: {_COPILOT_AGAIN}"),
            self.github,
            clock=clock,
            stored=self._stored_copilot,
            on_bearer=on_copilot_bearer,
        )
        self._limited_until = 0.0
        self._refused: dict[Provider, tuple[str, float]] = {}

    async def headers_for(self, provider: Provider) -> ProviderAuth:
        """The address and credential headers for a call now.

        Raises:
            AuthRequired: there is none that could work; the detail says what to run.
            Unavailable: GitHub, which has to be asked, does not answer.
        """
        match provider:
            case "claude":
                return await self._claude_auth()
            case "codex":
                return await self._codex_auth()
            case "copilot":
                return await self._copilot.auth()

    async def after_refusal(self, auth: ProviderAuth) -> ProviderAuth | None:
        """Another credential to try after the provider refused this one as such (not for a rate limit).

        A newer token comes first, then one refresh, then for Claude the prepaid key. A refused token rests until
        another is stored, or ten minutes have passed. Returns None when there is nothing else.
        """
        _log.warning("credentials.refused", provider=auth.provider, kind=auth.kind, mark=auth.mark)
        if auth.provider == "copilot":
            self._copilot.forget(auth.mark)
        elif auth.kind == "oauth":
            keeper = self._claude_keeper if auth.provider == "claude" else self._codex_keeper
            newer = await keeper.refused(auth.mark) if keeper is not None else None
            if newer is None:
                self._refused[auth.provider] = (auth.mark, self._clock.monotonic())
        try:
            other = await self.headers_for(auth.provider)
        except (AuthRequired, Unavailable):
            return None
        return None if other.mark == auth.mark else other

    async def after_limit(self, auth: ProviderAuth, retry_after_s: float) -> ProviderAuth | None:
        """Another credential after a 429 of the subscription, if policy allows spending on it (default: no).

        Args:
            auth: what was limited.
            retry_after_s: as the provider said, in seconds; until then the limit is taken to hold.
        """
        if auth.provider != "claude" or auth.kind != "oauth":
            return None
        self._limited_until = self._clock.monotonic() + max(0.0, retry_after_s)
        try:
            other = await self._claude_auth()
        except (AuthRequired, Unavailable):
            return None
        return other if other.kind == "api_key" else None

    def _is_resting(self, provider: Provider, mark: str) -> bool:
        refused, since = self._refused.get(provider, ("", 0.0))
        return refused == mark and self._clock.monotonic() < since + _REST_S

    async def _claude_auth(self) -> ProviderAuth:
        token, facts, problem = await self._claude_facts()
        decision = decide_claude_auth(facts, self._policy)
        if decision.refresh == "wait" and self._claude_keeper is not None:
            try:
                await self._claude_keeper.refresh()
            except (AuthRequired, Unavailable) as error:
                problem = error.detail
            token, facts, other = await self._claude_facts()
            problem = problem or other
            if facts.refresh == "ready":
                # It did not become better, and one try is enough.
                facts = replace(facts, refresh="failing")
            decision = decide_claude_auth(facts, self._policy)
        if decision.refresh == "ahead" and self._claude_keeper is not None:
            self._claude_keeper.start_refresh()
        if decision.use == "oauth" and token is not None:
            value = token.reveal()
            headers = (("Authorization", f"Bearer {value}"),)
            return ProviderAuth("claude", self._claude_base, headers, "oauth", fingerprint(value))
        if decision.use == "api_key":
            _log.info("credentials.key_used", reason=decision.code)
            key = self._fallback_key.reveal()
            return ProviderAuth("claude", self._claude_base, (("x-api-key", key),), "api_key", fingerprint(key))
        detail = f"{problem or decision.reason}. {_CLAUDE_FIX}"
        if decision.code == "auth.refresh_failed":
            raise Unavailable(detail, code=decision.code)
        raise AuthRequired(detail, code=decision.code)

    async def _claude_facts(self) -> tuple[Secret | None, ClaudeAuthFacts, str]:
        """The stored token, what is known about it, and what a person should read about its file."""
        token: Secret | None = None
        oauth: OAuthState = "none"
        can: RefreshState = "impossible"
        problem = ""
        try:
            if self._claude_keeper is not None:
                stored, oauth, can = await self._claude_keeper.states()
                token = stored.access if stored is not None else None
            else:
                login = self._claude.read()
                token = login.access_token
                oauth = "expired" if login.expires_at <= self._clock.now() else "valid"
        except (AuthRequired, Unavailable) as error:
            problem = error.detail
        refused = token is not None and self._is_resting("claude", fingerprint(token.reveal()))
        if refused and can == "ready":
            # `after_refusal` has tried that already; one refresh for each refusal, not one for each call.
            can = "failing"
        facts = ClaudeAuthFacts(
            oauth=oauth,
            refresh=can,
            token_refused=refused,
            rate_limited=self._clock.monotonic() < self._limited_until,
            has_key=bool(self._fallback_key),
        )
        return token, facts, problem

    async def _codex_auth(self) -> ProviderAuth:
        if self._codex_keeper is not None and await self._codex_keeper.peek() is not None:
            stored = await self._codex_keeper.token()
            return self._codex_headers(stored.access.reveal(), stored.extra.get("account_id", ""))
        login = self._codex.read()
        if login.expires_at is not None and login.expires_at <= self._clock.now():
            raise AuthRequired(f"the Codex sign-in has expired. {_CODEX_FIX}", code="auth.expired")
        return self._codex_headers(login.access_token.reveal(), login.account_id)

    def _codex_headers(self, token: str, account_id: str) -> ProviderAuth:
        mark = fingerprint(token)
        if self._is_resting("codex", mark):
            raise AuthRequired(f"OpenAI refused the Codex sign-in. {_CODEX_FIX}", code="auth.refused")
        headers = (
            ("Authorization", f"Bearer {token}"),
            ("chatgpt-account-id", account_id),
            ("OpenAI-Beta", "responses=experimental"),
            ("originator", self._client.originator),
            ("User-Agent", self._client.user_agent),
        )
        return ProviderAuth("codex", self._codex_base, headers, "oauth", mark)

    async def github_token(self) -> Secret:
        """The GitHub sign-in behind Copilot, for asking GitHub about the quota.

        Raises:
            AuthRequired: there is none.
        """
        return await self._copilot.github_token()

    async def _stored_copilot(self) -> Token | None:
        return await self._copilot_keeper.peek() if self._copilot_keeper is not None else None


def _keeper(refresher: Refresher | None, provider: Provider) -> Keeper | None:
    return refresher.keeper(provider) if refresher is not None and provider in refresher else None
