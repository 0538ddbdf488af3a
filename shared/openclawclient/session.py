"""A Control UI session without a browser: the same connect, the same chat, for self-tests and tests."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit
from uuid import uuid4

from shared.errors import DeadlineExceeded, UpstreamError
from shared.openclawclient.client import ClientProfile, OpenClawClient
from shared.openclawclient.device import DeviceKey
from shared.secrets.files import Secret

_PAGE = ClientProfile(id="openclaw-control-ui", mode="webchat", platform="Linux x86_64")
_SCOPES = ("operator.admin", "operator.approvals", "operator.pairing")


class ControlUiSession:
    """Connects as the page does (origin, device key, v2 signature, gateway token) and chats.

    Args:
        url: ``ws://`` address of the gateway.
        token: the gateway token.
        device: the browser's key; a fresh one, which has to pair, unless given.
    """

    def __init__(self, url: str, *, token: str, device: DeviceKey | None = None) -> None:
        self._client = OpenClawClient(
            url,
            token=Secret(token),
            device=device or DeviceKey.generate(),
            profile=_PAGE,
            scopes=_SCOPES,
            signature="v2",
            origin=f"http://{urlsplit(url).netloc}",
        )

    async def __aenter__(self) -> Self:
        await self._client.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.__aexit__(kind, error, trace)

    @property
    def _session_key(self) -> str:
        return str(self._client.hello["snapshot"]["sessionDefaults"]["mainSessionKey"])

    async def chat(self, text: str, *, timeout_s: float = 60.0) -> str:
        """Send a message and wait for the whole answer.

        Raises:
            UpstreamError: the run failed or was aborted.
            DeadlineExceeded: no answer in time.
        """
        run = str(uuid4())
        await self._client.request(
            "chat.send", {"sessionKey": self._session_key, "message": text, "idempotencyKey": run}
        )
        try:
            async with asyncio.timeout(timeout_s):
                async for event in self._client.events():
                    if event.name == "chat" and event.payload["runId"] == run and event.payload["state"] != "delta":
                        return _text_of(event.payload)
        except TimeoutError:
            raise DeadlineExceeded(f"the chat was not answered within {timeout_s:g} s") from None
        raise UpstreamError("the connection closed before the answer", code="openclaw.closed")

    async def history(self) -> list[dict[str, Any]]:
        """Messages of the main session."""
        answer = await self._client.request("chat.history", {"sessionKey": self._session_key})
        return list(answer["messages"])


def _text_of(payload: dict[str, Any]) -> str:
    if payload["state"] != "final":
        reason = payload.get("errorMessage") or payload["state"]
        raise UpstreamError(f"the run ended without an answer: {reason}", code="openclaw.run_failed")
    parts = payload.get("message", {}).get("content", [])
    return "".join(part.get("text", "") for part in parts)
