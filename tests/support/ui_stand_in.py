"""A gateway for developing the Control UI against: serves the page, speaks v3, plays what a script says.

The browser tests run against the real hub; this one is for states that are hard to bring about there (an origin that
is refused, a lock-out, a restart) and for looking at the page: ``python tests/support/ui_stand_in.py``.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import mimetypes
import uuid
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from websockets.asyncio.server import ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from tests.support.ui_stand_in_pages import MAIN, Pages, Refused, now_ms

STATIC = Path(__file__).parents[2] / "openclaw" / "ui" / "static"
CSP = (
    "default-src 'self'; base-uri 'none'; object-src 'none'; frame-ancestors 'none'; form-action 'none'; "
    "script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self' ws: wss:"
)
mimetypes.add_type("text/javascript", ".js")

Json = dict[str, Any]


def message(role: str, text: str, **more: Any) -> Json:
    return {"role": role, "content": [{"type": "text", "text": text}], "timestamp": now_ms(), **more}


class Refusal(Exception):
    """Answers `connect`, or any request, with this error."""

    def __init__(self, message: str, *, code: str = "INVALID_REQUEST", why: str = "", **details: Any) -> None:
        super().__init__(message)
        self.error = {"code": code, "message": message, "details": {"code": why, **details} if why else details}


@dataclass
class StandIn:
    """What the stand-in knows and does.

    Attributes:
        admit: looks at the connect parameters; raises Refusal, or returns the device token to hand out.
        reply: what is said to a message.
        hold: while it is not set, an answer stops after `hold_after` words.
        received: every request, in order.
    """

    token: str = "stand-in-token"
    admit: Callable[[Json], str | None] = lambda _params: "device-token"
    history: dict[str, list[Json]] = field(default_factory=dict)
    pending: list[Json] = field(default_factory=list)
    paired: list[Json] = field(default_factory=list)
    received: list[tuple[str, Json]] = field(default_factory=list)
    reply: Callable[[str], str] = "echo: {}".format
    hold: asyncio.Event = field(default_factory=asyncio.Event)
    hold_after: int = 1
    fail_with: str = ""
    port: int = 0
    pages: Pages = field(init=False)
    _seq: int = 0
    _sockets: set[ServerConnection] = field(default_factory=set)
    _runs: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    _group: asyncio.TaskGroup | None = None

    def __post_init__(self) -> None:
        self.pages = Pages(emit=self.emit)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    async def emit(self, event: str, payload: Json) -> None:
        self._seq += 1
        frame = json.dumps({"type": "event", "event": event, "payload": payload, "seq": self._seq})
        for socket in list(self._sockets):
            with contextlib.suppress(ConnectionClosed):
                await socket.send(frame)

    async def close_all(self, code: int, reason: str) -> None:
        for socket in list(self._sockets):
            await socket.close(code, reason)

    # --- HTTP ------------------------------------------------------------------------

    def http(self, _connection: ServerConnection, request: Request) -> Response | None:
        if "websocket" in request.headers.get("Upgrade", "").lower():
            return None
        path = request.path.partition("?")[0]
        file = STATIC / "index.html"
        if "/assets/" in path:
            file = STATIC / "assets" / path.split("/assets/", 1)[1]
        if not file.is_file():
            return Response(404, "Not Found", Headers({"Content-Length": "0"}), b"")
        body = file.read_bytes()
        kind = mimetypes.guess_type(file.name)[0] or "text/plain"
        headers = {
            "Content-Type": f"{kind}; charset=utf-8",
            "Content-Length": str(len(body)),
            "Content-Security-Policy": CSP,
            "X-Content-Type-Options": "nosniff",
            "Cache-Control": "no-store",
        }
        return Response(200, "OK", Headers(headers), body)

    # --- WebSocket -------------------------------------------------------------------

    async def socket(self, socket: ServerConnection) -> None:
        nonce = str(uuid.uuid4())
        challenge = {"type": "event", "event": "connect.challenge", "payload": {"nonce": nonce, "ts": now_ms()}}
        with contextlib.suppress(ConnectionClosed):
            await socket.send(json.dumps(challenge))
            try:
                async for text in socket:
                    await self.answer(socket, json.loads(text))
            finally:
                self._sockets.discard(socket)

    async def answer(self, socket: ServerConnection, frame: Json) -> None:
        method, params = frame["method"], frame.get("params", {})
        self.received.append((method, params))
        try:
            payload = self.connect(params) if method == "connect" else await self.call(method, params)
        except Refusal as refusal:
            await socket.send(json.dumps({"type": "res", "id": frame["id"], "ok": False, "error": refusal.error}))
            if method == "connect":
                await socket.close(1008, str(refusal))
            return
        await socket.send(json.dumps({"type": "res", "id": frame["id"], "ok": True, "payload": payload}))
        if method == "connect":
            self._sockets.add(socket)

    def connect(self, params: Json) -> Json:
        if params["auth"]["token"] not in (self.token, "device-token"):
            raise Refusal("unauthorized: gateway token mismatch", why="AUTH_TOKEN_MISMATCH")
        token = self.admit(params)
        auth = {"deviceToken": token, "role": "operator", "scopes": params["scopes"], "issuedAtMs": now_ms()}
        return {
            "type": "hello-ok",
            "protocol": 3,
            "server": {"version": "2026.2.26", "connId": str(uuid.uuid4())},
            "features": {"methods": [], "events": []},
            "snapshot": {
                "presence": self.presence(),
                "health": {},
                "stateVersion": {"presence": 1, "health": 1},
                "uptimeMs": 8_000_000,
                "sessionDefaults": {
                    "defaultAgentId": "main",
                    "mainKey": "main",
                    "mainSessionKey": MAIN,
                    "scope": "per-sender",
                },
                "authMode": "token",
            },
            "auth": auth,
            "policy": {"maxPayload": 26214400, "maxBufferedBytes": 52428800, "tickIntervalMs": 30000},
        }

    def presence(self) -> list[Json]:
        return [
            {"host": "gateway", "mode": "gateway", "platform": "linux", "ip": "127.0.0.1", "ts": now_ms()},
            {"host": "Chrome on Linux", "mode": "webchat", "platform": "linux x86_64", "ts": now_ms()},
        ]

    async def call(self, method: str, params: Json) -> Any:
        match method:
            case "agent.identity.get":
                return {"agentId": "main", "name": "OpenClaw", "avatar": "O"}
            case "chat.history":
                return {"sessionKey": params["sessionKey"], "messages": self.history.get(params["sessionKey"], [])}
            case "chat.send":
                return await self.send(params)
            case "chat.abort":
                return await self.abort(params["sessionKey"])
            case "device.pair.list":
                return {"pending": self.pending, "paired": self.paired}
            case "device.pair.approve" | "device.pair.reject":
                return await self.decide(params["requestId"], approved=method.endswith("approve"))
            case "device.pair.remove":
                self.paired = [device for device in self.paired if device["deviceId"] != params["deviceId"]]
                return params
            case "device.token.rotate":
                return {**params, "token": "n" * 43, "scopes": ["operator.admin"], "rotatedAtMs": now_ms()}
            case "device.token.revoke":
                for device in self.paired:
                    if device["deviceId"] == params["deviceId"]:
                        device["tokens"][0]["revokedAtMs"] = now_ms()
                return {**params, "revokedAtMs": now_ms()}
            case "health":
                return {
                    "ok": True,
                    "ts": now_ms(),
                    "durationMs": 3,
                    "channels": {},
                    "sessions": {"count": len(self.pages.sessions)},
                }
            case "system-presence":
                return self.presence()
        try:
            return await self.pages.call(method, params)
        except Refused as refused:
            raise Refusal(str(refused), **refused.details) from refused

    async def decide(self, request_id: str, *, approved: bool) -> Json:
        found = next((request for request in self.pending if request["requestId"] == request_id), None)
        if found is None:
            raise Refusal("unknown requestId")
        self.pending.remove(found)
        if approved:
            self.paired.insert(
                0, {**found, "approvedAtMs": now_ms(), "tokens": [{"role": "operator", "createdAtMs": now_ms()}]}
            )
        decision = "approved" if approved else "rejected"
        await self.emit(
            "device.pair.resolved",
            {"requestId": request_id, "deviceId": found["deviceId"], "decision": decision, "ts": now_ms()},
        )
        return {"requestId": request_id, "deviceId": found["deviceId"]}

    # --- chat ------------------------------------------------------------------------

    async def send(self, params: Json) -> Json:
        assert self._group is not None
        key, run_id = params["sessionKey"], params["idempotencyKey"]
        if run_id in self._runs:
            return {"runId": run_id, "status": "in_flight"}
        if key in self._runs:
            await self.emit("chat", {"runId": run_id, "sessionKey": key, "seq": 1, "state": "final"})
            follow = str(uuid.uuid4())
            before = self._runs[key]
            self._runs[key] = self._group.create_task(self.run(key, follow, params["message"], before))
        else:
            self._runs[key] = self._runs[run_id] = self._group.create_task(
                self.run(key, run_id, params["message"], None)
            )
        return {"runId": run_id, "status": "started"}

    async def run(self, key: str, run_id: str, text: str, before: asyncio.Task[None] | None) -> None:
        if before is not None:
            await asyncio.wait([before])
        log = self.history.setdefault(key, [])
        log.append(message("user", text))
        head = {"runId": run_id, "sessionKey": key, "seq": 1}
        await self.emit("agent", {**head, "stream": "lifecycle", "data": {"phase": "start"}})
        if self.fail_with:
            await self.emit("chat", {**head, "state": "error", "errorMessage": self.fail_with})
            return
        answer = self.reply(text)
        shown = ""
        try:
            for number, word in enumerate(answer.split(" "), start=1):
                shown = f"{shown} {word}".strip()
                await self.emit("chat", {**head, "state": "delta", "message": message("assistant", shown)})
                await asyncio.sleep(0.03)
                if number >= self.hold_after:
                    await self.hold.wait()
        except asyncio.CancelledError:
            log.append(message("assistant", shown, stopReason="aborted"))
            await self.emit(
                "chat", {**head, "state": "aborted", "stopReason": "rpc", "message": message("assistant", shown)}
            )
            return
        log.append(message("assistant", answer))
        await self.emit("chat", {**head, "state": "final", "message": log[-1]})
        if self._runs.get(key) is asyncio.current_task():
            del self._runs[key]

    async def abort(self, key: str) -> Json:
        run = self._runs.pop(key, None)
        if run is not None:
            run.cancel()
        return {"ok": True, "aborted": run is not None, "runIds": []}


@contextlib.asynccontextmanager
async def stand_in(gateway: StandIn | None = None, *, port: int = 0) -> AsyncIterator[StandIn]:
    gateway = gateway or StandIn()
    gateway.hold.set()
    async with asyncio.TaskGroup() as group:
        gateway._group = group
        async with serve(gateway.socket, "127.0.0.1", port, process_request=gateway.http, compression=None) as server:
            gateway.port = next(iter(server.sockets)).getsockname()[1]
            yield gateway
        for run in list(gateway._runs.values()):
            run.cancel()


async def main() -> None:
    async with stand_in(port=18999) as gateway:
        print(f"{gateway.url}#token={gateway.token}")
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
