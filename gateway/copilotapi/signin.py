"""The one sign-in of the stand-alone model API."""

from __future__ import annotations

from gateway.copilotapi.options import CopilotApiOptions
from gateway.credentials.copilot import CopilotTokens
from gateway.credentials.files import WatchedFile, parse_github_token
from gateway.credentials.models import Provider, ProviderAuth
from shared.clock import SYSTEM_CLOCK, Clock
from shared.errors import AuthRequired, Invalid, Unavailable
from shared.http.client import HttpPool
from shared.oauth.github import GithubApi
from shared.oauth.models import Token
from shared.secrets.files import Secret

_AGAIN = "clawgate copilot-api auth"


class CopilotSignIn:
    """`ProxyCredentials` with Copilot alone.

    Args:
        options: where the GitHub token is and which addresses count.
        http: connections.
        clock: for expiry.
    """

    def __init__(self, options: CopilotApiOptions, http: HttpPool, *, clock: Clock = SYSTEM_CLOCK) -> None:
        self._given = options.github_token
        path = options.token_file.expanduser()
        self._file = WatchedFile(path, parse_github_token, what="GitHub sign-in", fix=f"Run: {_AGAIN}")
        self.github = GithubApi(options.oauth_settings(), http, again=_AGAIN, clock=clock)
        self._tokens = CopilotTokens(self._file, self.github, clock=clock, stored=self._stored)

    async def github_token(self) -> Secret:
        """GitHub's own token.

        Raises:
            AuthRequired: there is none.
        """
        return self._given or self._file.read()

    async def headers_for(self, provider: Provider) -> ProviderAuth:
        """The bearer for the Copilot API.

        Raises:
            AuthRequired: no sign-in, or GitHub refuses it.
            Unavailable: GitHub does not answer.
        """
        if provider != "copilot":
            raise Invalid(f"the stand-alone model API does not call {provider}", code="model.no_route")
        return await self._tokens.auth()

    async def after_refusal(self, auth: ProviderAuth) -> ProviderAuth | None:
        """A new bearer, when GitHub gives one."""
        self._tokens.forget(auth.mark)
        try:
            other = await self._tokens.auth()
        except (AuthRequired, Unavailable):
            return None
        return None if other.mark == auth.mark else other

    async def after_limit(self, auth: ProviderAuth, retry_after_s: float) -> ProviderAuth | None:  # noqa: ARG002
        """There is no other credential."""
        return None

    async def _stored(self) -> Token | None:
        return Token(access=self._given) if self._given is not None else None
