"""A real gateway on a free loopback port, with a small scripted model on a loopback socket of its own."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx

from openclaw.agent.tools import ToolRegistry
from openclaw.config import OpenClawPolicy
from openclaw.connection import Limits
from openclaw.gateway import MIGRATIONS, GatewayOptions, RunningGateway, running_gateway
from shared.clock import SYSTEM_CLOCK, Clock
from shared.gatewayclient import GatewayClient
from shared.http.unixserver import AsgiListeners
from shared.openclawclient.client import ClientProfile, OpenClawClient
from shared.openclawclient.device import DeviceKey
from shared.secrets.files import Secret
from shared.storage import Database

TOKEN = "gateway-token-of-the-test"
CONTROL_UI = ClientProfile(id="openclaw-control-ui", mode="webchat", platform="Linux x86_64")
UI_SCOPES = ("operator.admin", "operator.approvals", "operator.pairing")


@dataclass
class ScriptedModel:
    """Stands where the gateway's model route is: echoes, or does what the last user text says.

    `!fail N` answers HTTP N on Codex's route, `!slow N` sends N words with pauses, `!long N` at once,
    `!hold` waits for `release`,
    `!tool NAME [JSON]` calls a tool once (write the JSON without blanks after colons), `!heldtool` when released.
    """

    requests: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    release: asyncio.Event = field(default_factory=asyncio.Event)
    started: asyncio.Event = field(default_factory=asyncio.Event)
    left: asyncio.Event = field(default_factory=asyncio.Event)
    cancelled: int = 0

    async def __call__(self, scope: Mapping[str, Any], receive: Any, send: Any) -> None:
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        request = json.loads(body)
        route = scope["path"].removeprefix("/v1/model/")
        self.requests.append((route, request))
        text, tool_output = self._last(route, request)
        words = text.rsplit("\n", 1)[-1].rsplit(": ", 1)[-1]
        self.started.set()
        if words.startswith("!fail") and (route == "responses" or "all" in words):
            await self._plain(send, int(words.split()[1]), {"error": {"message": "no", "type": "test"}})
            return
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]})
        answering = asyncio.create_task(self._stream(route, words, tool_output, send))
        leaving = asyncio.create_task(self._left(receive))
        await asyncio.wait([answering, leaving], return_when=asyncio.FIRST_COMPLETED)
        if not answering.done():
            self.cancelled += 1
            self.left.set()
        for task in (answering, leaving):
            task.cancel()

    async def _left(self, receive: Any) -> None:
        while (await receive())["type"] != "http.disconnect":
            continue

    def _last(self, route: str, request: dict[str, Any]) -> tuple[str, str | None]:
        if route.endswith("responses"):
            last = request["input"][-1]
            if last["type"] == "function_call_output":
                return "", last["output"]
            return last["content"][0]["text"], None
        return str(request["messages"][-1]["content"]), None

    async def _stream(self, route: str, words: str, tool_output: str | None, send: Any) -> None:
        if tool_output is not None:
            pieces = [f"tool said: {tool_output}"]
        elif words.startswith("!hold"):
            await self._piece(route, "holding", send)
            await self.release.wait()
            pieces = [" released"]
        elif words.startswith("!long"):
            pieces = [" ".join(f"word{n}" for n in range(int(words.split()[1])))]
        elif words.startswith("!slow"):
            pieces = [f"word{n} " for n in range(int(words.split()[1]))]
        elif words.startswith(("!tool", "!heldtool")):
            if words.startswith("!held"):
                await self.release.wait()
            name, arguments = [*words.split(maxsplit=2)[1:], '{"x": 1}'][:2]
            item = {"type": "function_call", "call_id": "c1", "name": name, "arguments": arguments}
            await self._event({"type": "response.output_item.done", "output_index": 0, "item": item}, send)
            pieces = []
        else:
            pieces = ["echo: ", words]
        for piece in pieces:
            await self._piece(route, piece, send)
            if words.startswith("!slow"):
                await asyncio.sleep(0.02)
        if route.endswith("responses"):
            usage = {"input_tokens": 11, "output_tokens": 3}
            await self._event({"type": "response.completed", "response": {"status": "completed", "usage": usage}}, send)
        else:
            await self._event({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}, send)
        await send({"type": "http.response.body", "body": b""})

    async def _piece(self, route: str, piece: str, send: Any) -> None:
        if route.endswith("responses"):
            await self._event({"type": "response.output_text.delta", "output_index": 0, "delta": piece}, send)
        else:
            await self._event({"choices": [{"index": 0, "delta": {"content": piece}}]}, send)

    async def _event(self, data: dict[str, Any], send: Any) -> None:
        body = f"data: {json.dumps(data)}\n\n".encode()
        await send({"type": "http.response.body", "body": body, "more_body": True})

    async def _plain(self, send: Any, status: int, body: dict[str, Any]) -> None:
        headers = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": json.dumps(body).encode()})


@dataclass
class Rig:
    """A running gateway and ways to reach it."""

    gateway: RunningGateway
    model: ScriptedModel
    folder: Path

    def http(self, **options: Any) -> httpx.AsyncClient:
        """An HTTP client of a program at this machine that has the gateway token."""
        options.setdefault("headers", {"Authorization": f"Bearer {TOKEN}"})
        return httpx.AsyncClient(base_url=self.gateway.http_url, trust_env=False, timeout=10, **options)

    @property
    def url(self) -> str:
        return self.gateway.ws_url

    def client(self, **options: Any) -> OpenClawClient:
        options.setdefault("token", Secret(TOKEN))
        options.setdefault("device", DeviceKey.generate())
        return OpenClawClient(self.url, **options)

    def ui(self, **options: Any) -> OpenClawClient:
        options.setdefault("profile", CONTROL_UI)
        options.setdefault("scopes", UI_SCOPES)
        options.setdefault("origin", f"http://127.0.0.1:{self.gateway.port}")
        options.setdefault("signature", "v2")
        return self.client(**options)

    def tunnel(self, **options: Any) -> OpenClawClient:
        """The Control UI through a tunnel: a local peer, a public name, forwarded headers."""
        options.setdefault("origin", "https://claw.example.org")
        options.setdefault("headers", {"X-Forwarded-For": "203.0.113.7", "Host": "claw.example.org"})
        return self.ui(**options)


POLICY = OpenClawPolicy.model_validate(
    {"port": 0, "control_ui": {"allowed_origins": ["https://claw.example.org"]}, "discord": {"group_policy": "open"}}
)


@asynccontextmanager
async def running_rig(
    folder: Path,
    *,
    policy: OpenClawPolicy = POLICY,
    limits: Limits | None = None,
    clock: Clock = SYSTEM_CLOCK,
    tools: ToolRegistry | None = None,
    model: ScriptedModel | None = None,
    drain_s: float = 0.0,
) -> AsyncIterator[Rig]:
    model = model or ScriptedModel()
    folder.mkdir(parents=True, exist_ok=True)
    socket = folder / "m.sock"
    db = Database(folder / "openclaw.db", migrations=MIGRATIONS)
    await db.open()
    client = GatewayClient(socket, Secret("tenant-key"))
    options = GatewayOptions(
        name="openclaw",
        policy=policy,
        folder=folder,
        secret=Secret(TOKEN),
        models=client,
        log_file=folder / "logs" / "openclaw.log",
        tools=tools or ToolRegistry(),
        clock=clock,
        drain_s=drain_s,
    )
    if limits is not None:
        options = replace(options, limits=limits)
    try:
        async with AsgiListeners(model) as listeners:
            await listeners.add_unix(socket, state={})
            async with running_gateway(options, db) as gateway:
                yield Rig(gateway, model, folder)
    finally:
        await client.close()
        await db.close()


async def until(events: AsyncIterator[Any], **wanted: Any) -> dict[str, Any]:
    """The next chat event whose payload has these fields."""
    async for event in events:
        if event.name == "chat" and all(event.payload.get(key) == value for key, value in wanted.items()):
            return event.payload
    raise AssertionError("the socket closed before the event came")


def text_of(payload: dict[str, Any]) -> str:
    return payload["message"]["content"][0]["text"]
