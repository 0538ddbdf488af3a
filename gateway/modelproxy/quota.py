"""How much of the Copilot plan is used, as GitHub counts it."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

from gateway.credentials.models import ClientIdentity
from shared.errors import AuthRequired, UpstreamError
from shared.http.client import HttpPool
from shared.secrets.files import Secret

_OK = 200
_TIMEOUT_S = 15.0
_FIX = "Run: clawgate auth login copilot"


class CopilotQuota:
    """Asks GitHub.

    Args:
        http: connections.
        github_api_base: GitHub's API.
        github_token: the sign-in to ask with; raises AuthRequired when there is none.
        client: how we introduce ourselves.
    """

    def __init__(
        self,
        http: HttpPool,
        *,
        github_api_base: str,
        github_token: Callable[[], Awaitable[Secret]],
        client: ClientIdentity | None = None,
    ) -> None:
        self._http = http
        self._base = github_api_base.rstrip("/")
        self._token = github_token
        self._client = client or ClientIdentity()

    async def usage(self) -> dict[str, Any]:
        """GitHub's own answer.

        Raises:
            AuthRequired: there is no sign-in, or GitHub refuses it.
            UpstreamError: GitHub's answer is not what it should be.
            Unavailable: it does not answer.
        """
        token = await self._token()
        client = self._client
        answer = await self._http.request(
            "GET",
            f"{self._base}/copilot_internal/user",
            headers=[
                (b"Authorization", f"token {token.reveal()}".encode()),
                (b"Accept", b"application/json"),
                (b"Editor-Version", client.editor_version.encode()),
                (b"Editor-Plugin-Version", client.editor_plugin_version.encode()),
                (b"User-Agent", client.copilot_user_agent.encode()),
                (b"X-GitHub-Api-Version", client.github_api_version.encode()),
            ],
            read_timeout_s=_TIMEOUT_S,
            max_bytes=1 << 20,
        )
        if answer.status == 401:
            raise AuthRequired(f"GitHub no longer accepts the Copilot sign-in. {_FIX}", code="auth.refused")
        try:
            body = json.loads(answer.body)
        except (ValueError, RecursionError):
            body = None
        if answer.status != _OK or not isinstance(body, dict):
            raise UpstreamError(f"GitHub answered {answer.status} to the question for the quota", status=answer.status)
        return body
