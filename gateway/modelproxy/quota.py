"""How much of the Copilot plan is used, as GitHub counts it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from shared.errors import AuthRequired, UpstreamError
from shared.json_values import object_of
from shared.oauth.github import LOGIN_COMMAND, GithubApi
from shared.secrets.files import Secret

_OK = 200


class CopilotQuota:
    """Asks GitHub.

    Args:
        github: GitHub's API.
        github_token: the sign-in to ask with; raises AuthRequired when there is none.
    """

    def __init__(self, github: GithubApi, *, github_token: Callable[[], Awaitable[Secret]]) -> None:
        self._github = github
        self._token = github_token

    async def usage(self) -> dict[str, Any]:
        """GitHub's own answer.

        Raises:
            AuthRequired: there is no sign-in, or GitHub refuses it.
            UpstreamError: GitHub's answer is not what it should be.
            Unavailable: it does not answer.
        """
        answer = await self._github.ask("/copilot_internal/user", await self._token())
        if answer.status == 401:
            raise AuthRequired(
                f"GitHub no longer accepts the Copilot sign-in. Run: {LOGIN_COMMAND}", code="auth.refused"
            )
        body = object_of(answer.body)
        if answer.status != _OK or body is None:
            raise UpstreamError(f"GitHub answered {answer.status} to the question for the quota", status=answer.status)
        return body
