"""The Copilot token: a GitHub sign-in exchanged for a bearer that lives about half an hour."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from gateway.credentials.files import WatchedFile, fingerprint
from gateway.credentials.models import ProviderAuth
from shared.clock import Clock
from shared.errors import AuthRequired, GatewayError
from shared.oauth.github import CopilotBearer, GithubApi, bearer_in
from shared.oauth.models import Token
from shared.obs.log import get_logger
from shared.secrets.files import Secret

_log = get_logger(__name__)

_RENEW_BEFORE = timedelta(minutes=5)
_HOLD_FAILURE_S = 15.0


@dataclass(frozen=True, slots=True)
class _Held:
    """A bearer and the fingerprint of the GitHub token that bought it."""

    bearer: CopilotBearer
    source: str


class CopilotTokens:
    """Keeps one Copilot bearer current; a hundred callers at once make one exchange.

    Args:
        file: holds the GitHub token.
        github: where it is exchanged.
        clock: for expiry.
        stored: our own sign-in, which comes before the file, or a bearer that was imported without one.
        on_bearer: told when a bearer that was just bought ends; must not block.
    """

    def __init__(
        self,
        file: WatchedFile[Secret],
        github: GithubApi,
        *,
        clock: Clock,
        stored: Callable[[], Awaitable[Token | None]] | None = None,
        on_bearer: Callable[[datetime], None] | None = None,
    ) -> None:
        self._file = file
        self._stored = stored
        self._on_bearer = on_bearer
        self._github = github
        self._clock = clock
        self._current: _Held | None = None
        self._exchanging = asyncio.Lock()
        self._failure: tuple[float, str, GatewayError] | None = None

    async def auth(self) -> ProviderAuth:
        """The bearer as headers.

        Raises:
            AuthRequired: there is no GitHub sign-in, or GitHub refuses it.
            Unavailable: GitHub does not answer and no valid bearer is left.
        """
        stored = await self._stored() if self._stored else None
        imported = bearer_in(stored) if stored is not None else None
        if imported is not None and self._clock.now() < imported.expires_at:
            return self._as_auth(self._github.readdressed(imported))
        github = self._github_token(stored)
        source = fingerprint(github.reveal())
        held = self._fresh(source)
        if held is None:
            async with self._exchanging:
                held = self._fresh(source) or await self._renew(github, source)
        return self._as_auth(held.bearer)

    async def github_token(self) -> Secret:
        """The GitHub sign-in: the stored one, else the one copilot-api left.

        Raises:
            AuthRequired: there is none.
        """
        return self._github_token(await self._stored() if self._stored else None)

    def _github_token(self, stored: Token | None) -> Secret:
        if stored is not None and bearer_in(stored) is None:
            return stored.access
        return self._file.read()

    def forget(self, mark: str) -> None:
        """Drop the bearer if it is the one that was refused."""
        if self._current is not None and fingerprint(self._current.bearer.token.reveal()) == mark:
            self._current = None

    def _fresh(self, source: str) -> _Held | None:
        held = self._current
        if held is None or held.source != source or self._clock.now() >= held.bearer.expires_at - _RENEW_BEFORE:
            return None
        return held

    async def _renew(self, github: Secret, source: str) -> _Held:
        now = self._clock.monotonic()
        if self._failure is not None and self._failure[1] == source and now < self._failure[0] + _HOLD_FAILURE_S:
            failure = self._failure[2]
        else:
            try:
                self._current = _Held(await self._github.exchange(github), source)
            except GatewayError as error:
                self._failure = (now, source, error)
                failure = error
                _log.warning("credentials.copilot_refused", code=error.code, detail=error.detail)
            else:
                self._failure = None
                _log.info("credentials.copilot_renewed")
                if self._on_bearer is not None:
                    self._on_bearer(self._current.bearer.expires_at)
                return self._current
        old = self._current
        if isinstance(failure, AuthRequired) or old is None or old.source != source:
            raise failure
        if self._clock.now() >= old.bearer.expires_at:
            raise failure
        # GitHub is down, but the old bearer still counts: use it to its end.
        return old

    def _as_auth(self, bearer: CopilotBearer) -> ProviderAuth:
        settings = self._github.settings
        token = bearer.token.reveal()
        return ProviderAuth(
            provider="copilot",
            base_url=bearer.base_url,
            headers=(
                ("Authorization", f"Bearer {token}"),
                ("Copilot-Integration-Id", settings.integration_id),
                *settings.client_headers(),
            ),
            kind="token",
            mark=fingerprint(token),
        )
