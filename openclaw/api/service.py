"""The HTTP endpoints for programs: who may ask, what is asked, and the answer whole or as a stream of events."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from pydantic_core import to_json

from openclaw.agent.tools import ToolRegistry
from openclaw.api import chat_completions, responses, tools_invoke
from openclaw.api.asking import Asked, asking
from openclaw.api.errors import NOT_FOUND, ApiError, api_error
from openclaw.api.requests import BearerCheck, Receive, parse, read_body
from openclaw.api.work import Work
from openclaw.protocol.handshake import Upgrade
from openclaw.runs import Runs
from openclaw.web import json_answer, send_answer
from shared.clock import Clock, unix_ms
from shared.errors import GatewayError
from shared.obs.log import get_logger

_log = get_logger(__name__)

Send = Callable[[Any], Awaitable[None]]

CHAT: Final = "/v1/chat/completions"
RESPONSES: Final = "/v1/responses"
TOOLS: Final = "/tools/invoke"
_LIMITS: Final = {CHAT: chat_completions.MAX_BYTES, RESPONSES: responses.MAX_BYTES, TOOLS: tools_invoke.MAX_BYTES}
_STREAM_HEAD: Final = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache, no-transform"),
]
_QUIET: Final = b": still working\n\n"


@dataclass(frozen=True, slots=True)
class Offered:
    """Which endpoints are on.

    Attributes:
        tools: those ``/tools/invoke`` runs; without any it is off.
    """

    chat_completions: bool = False
    responses: bool = False
    tools: Collection[str] = ()

    def has(self, path: str) -> bool:
        """Whether this endpoint is on."""
        return {CHAT: self.chat_completions, RESPONSES: self.responses, TOOLS: bool(self.tools)}[path]


class HttpApi:
    """Serves the three endpoints.

    Args:
        bearer: checks the token.
    """

    def __init__(self, bearer: BearerCheck, offered: Offered, runs: Runs, tools: ToolRegistry, clock: Clock) -> None:
        self._bearer = bearer
        self._offered = offered
        self._runs = runs
        self._tools = tools
        self._clock = clock

    def is_for(self, path: str) -> bool:
        """Whether a path is one of ours."""
        return path in _LIMITS

    async def serve(
        self, method: str, path: str, upgrade: Upgrade, headers: Mapping[str, str], receive: Receive, send: Send
    ) -> int:
        """Answer one request; returns the status that was sent."""
        answer = _Answering(send)
        try:
            await self._serve(method, path, upgrade, headers, receive, answer)
        except ApiError as error:
            await answer.fail(error)
        except GatewayError as error:
            await answer.fail(api_error(error))
        except Exception:  # noqa: BLE001 - a defect must not show a traceback, nor end the listener
            _log.exception("api.failed", path=path)
            await answer.fail(ApiError(500, "internal error", "api_error"))
        return answer.status

    async def _serve(
        self,
        method: str,
        path: str,
        upgrade: Upgrade,
        headers: Mapping[str, str],
        receive: Receive,
        answer: _Answering,
    ) -> None:
        if not self._offered.has(path):
            raise ApiError(404, "this endpoint is switched off (docs/http.md)", NOT_FOUND)
        if method != "POST":
            raise ApiError(405, "Method Not Allowed", headers={"allow": "POST"})
        self._bearer.check(upgrade, headers)
        body = await read_body(headers, receive, _LIMITS[path])
        if path == TOOLS:
            request = parse(tools_invoke.InvokeRequest, body)
            await answer.whole(*await tools_invoke.invoke(request, self._tools, self._offered.tools))
        elif path == CHAT:
            work = chat_completions.read(parse(chat_completions.ChatRequest, body), headers)
            await self._ask(work, receive, answer, chat_completions)
        else:
            work = responses.read(parse(responses.ResponsesRequest, body), headers)
            await self._ask(work, receive, answer, responses)

    async def _ask(self, work: Work, receive: Receive, answer: _Answering, dialect: _Dialect) -> None:
        created = unix_ms(self._clock.now()) // 1000
        async with asking(self._runs, work.session_key, work.prompt, work.run_id, receive) as asked:
            if not work.stream:
                await answer.whole(200, dialect.whole(work, await asked.answer(), created))
                return
            await answer.begin_stream()
            async for event in dialect.events(work, asked, created):
                await answer.event(event)
            await answer.end_stream()


class _Dialect(Protocol):
    """How one endpoint writes its answers; the endpoint's module is one."""

    def whole(self, work: Work, text: str, created: int) -> dict[str, Any]:
        """The answer in one piece."""

    def events(self, work: Work, asked: Asked, created: int) -> AsyncIterator[tuple[str, dict[str, Any]] | None]:
        """The answer as it is written."""


class _Answering:
    """The answer to one request; knows whether it has begun."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._is_streaming = False
        self.status = 0

    async def whole(self, status: int, value: object, headers: Mapping[str, str] | None = None) -> None:
        self.status = status
        await send_answer(json_answer(status, value, headers), "POST", self._send)

    async def begin_stream(self) -> None:
        self.status = 200
        self._is_streaming = True
        await self._send({"type": "http.response.start", "status": 200, "headers": _STREAM_HEAD})

    async def event(self, event: tuple[str, object] | None) -> None:
        if event is None:
            await self._piece(_QUIET)
            return
        name, data = event
        await self._piece((f"event: {name}\n".encode() if name else b"") + b"data: " + to_json(data) + b"\n\n")

    async def end_stream(self) -> None:
        await self._send({"type": "http.response.body", "body": b"data: [DONE]\n\n"})

    async def fail(self, error: ApiError) -> None:
        if not self._is_streaming:
            await self.whole(error.status, error.body(), error.headers)
            return
        self.status = error.status
        await self.event(("error", {"type": "error", **error.body()}))
        await self.end_stream()

    async def _piece(self, body: bytes) -> None:
        await self._send({"type": "http.response.body", "body": body, "more_body": True})
