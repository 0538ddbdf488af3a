"""Which credential a provider is called with right now."""

from __future__ import annotations

from pathlib import Path

from gateway.credentials.copilot import CopilotTokens
from gateway.credentials.files import WatchedFile, fingerprint, parse_claude, parse_codex, parse_github_token
from gateway.credentials.models import ClientIdentity, Provider, ProviderAuth
from shared.clock import SYSTEM_CLOCK, Clock
from shared.errors import AuthRequired
from shared.http.client import HttpPool
from shared.obs.log import get_logger
from shared.secrets.files import Secret

_log = get_logger(__name__)

_REST_S = 600.0
_CLAUDE_FIX = "Run: claude /login (as the gateway's user), or set ANTHROPIC_API_KEY_FALLBACK in the gateway's .env"
_CODEX_FIX = "Run: codex login (as the gateway's user)"
_COPILOT_FIX = "Run: copilot-api auth (as the gateway's user)"


class Credentials:
    """Reads the operator's sign-ins and says with what a provider is to be called.

    Priority for Claude (policy N9): the subscription's token while it is valid and accepted, else the prepaid key;
    never both. Files are read again whenever they change.

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
        client: how we introduce ourselves.
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
        client: ClientIdentity | None = None,
    ) -> None:
        client = client or ClientIdentity()
        self._clock = clock
        self._client = client
        self._claude = WatchedFile(claude_file, parse_claude, what="Claude sign-in", fix=_CLAUDE_FIX)
        self._claude_base = claude_base.rstrip("/")
        self._fallback_key = claude_fallback_key
        self._codex = WatchedFile(codex_file, parse_codex, what="Codex sign-in", fix=_CODEX_FIX)
        self._codex_base = codex_base.rstrip("/")
        self._copilot = CopilotTokens(
            WatchedFile(copilot_file, parse_github_token, what="Copilot sign-in", fix=_COPILOT_FIX),
            github_api_base=github_api_base,
            copilot_base=copilot_base,
            http=http,
            clock=clock,
            client=client,
        )
        self._refused: dict[Provider, tuple[str, float]] = {}

    async def headers_for(self, provider: Provider) -> ProviderAuth:
        """The address and credential headers for a call now.

        Raises:
            AuthRequired: there is none that could work; the detail says what to run.
            Unavailable: GitHub, which has to be asked, does not answer.
        """
        match provider:
            case "claude":
                return self._claude_auth()
            case "codex":
                return self._codex_auth()
            case "copilot":
                return await self._copilot.auth()

    async def after_refusal(self, auth: ProviderAuth) -> ProviderAuth | None:
        """Another credential to try after the provider refused this one as such (not for a rate limit).

        A refused token rests until its file holds another, or ten minutes have passed. Returns None when there is
        nothing else.
        """
        _log.warning("credentials.refused", provider=auth.provider, kind=auth.kind, mark=auth.mark)
        if auth.provider == "copilot":
            self._copilot.forget(auth.mark)
        elif auth.kind == "oauth":
            self._refused[auth.provider] = (auth.mark, self._clock.monotonic())
        try:
            other = await self.headers_for(auth.provider)
        except AuthRequired:
            return None
        return None if other.mark == auth.mark else other

    def _is_resting(self, provider: Provider, mark: str) -> bool:
        refused, since = self._refused.get(provider, ("", 0.0))
        return refused == mark and self._clock.monotonic() < since + _REST_S

    def _claude_auth(self) -> ProviderAuth:
        try:
            login = self._claude.read()
            token = login.access_token.reveal()
            mark = fingerprint(token)
            if login.expires_at <= self._clock.now():
                raise AuthRequired(f"the Claude sign-in has expired. {_CLAUDE_FIX}", code="auth.expired")
            if self._is_resting("claude", mark):
                raise AuthRequired(f"Claude refused the sign-in. {_CLAUDE_FIX}", code="auth.refused")
        except AuthRequired:
            if not self._fallback_key:
                raise
            key = self._fallback_key.reveal()
            return ProviderAuth("claude", self._claude_base, (("x-api-key", key),), "api_key", fingerprint(key))
        return ProviderAuth("claude", self._claude_base, (("Authorization", f"Bearer {token}"),), "oauth", mark)

    def _codex_auth(self) -> ProviderAuth:
        login = self._codex.read()
        token = login.access_token.reveal()
        mark = fingerprint(token)
        if login.expires_at is not None and login.expires_at <= self._clock.now():
            raise AuthRequired(f"the Codex sign-in has expired. {_CODEX_FIX}", code="auth.expired")
        if self._is_resting("codex", mark):
            raise AuthRequired(f"OpenAI refused the Codex sign-in. {_CODEX_FIX}", code="auth.refused")
        headers = (
            ("Authorization", f"Bearer {token}"),
            ("chatgpt-account-id", login.account_id),
            ("OpenAI-Beta", "responses=experimental"),
            ("originator", self._client.codex_originator),
            ("User-Agent", self._client.codex_user_agent),
        )
        return ProviderAuth("codex", self._codex_base, headers, "oauth", mark)
