"""The Litestar application on 18789: any path upgrades to the WebSocket; HTTP is the Control UI and an API."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from litestar import Litestar, asgi
from litestar.types import Receive, Scope, Send

from openclaw.access import AccessGate
from openclaw.api.service import CHAT, RESPONSES, TOOLS, HttpApi
from openclaw.hub import Hub
from openclaw.metrics import Counts
from openclaw.protocol.handshake import read_upgrade
from openclaw.web import EVERY_ANSWER, ControlUi, json_answer, send_answer
from shared.errors import Denied
from shared.obs.log import get_logger

_log = get_logger(__name__)

_ENDPOINTS = {
    "/healthz": "healthz",
    "/readyz": "readyz",
    CHAT: "chat_completions",
    RESPONSES: "responses",
    TOOLS: "tools_invoke",
}
_WITHOUT_PASS = frozenset({"/healthz", "/readyz"})


@dataclass(frozen=True, slots=True)
class Door:
    """What stands in front of everything on this port.

    Attributes:
        trusted_proxies: networks that may say where a request comes from.
        access: asks for a Cloudflare Access assertion; None without.
        strict_transport_security: the header of that name; empty sends none.
    """

    trusted_proxies: tuple[str, ...] = ()
    access: AccessGate | None = None
    strict_transport_security: str = ""


def build_app(hub: Hub, ui: ControlUi, api: HttpApi, door: Door, counts: Counts) -> Litestar:
    """All of it behind one mount: the framework's own 404, 405 and error pages never show."""
    hsts = {"strict-transport-security": door.strict_transport_security} if door.strict_transport_security else {}
    every = [(name.encode(), value.encode("latin-1")) for name, value in {**EVERY_ANSWER, **hsts}.items()]

    @asgi("/", is_mount=True, copy_scope=False)
    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        request: Any = scope
        headers = join_headers(request["headers"])
        client = request.get("client")
        upgrade = read_upgrade(client[0] if client else "", headers, door.trusted_proxies)
        path = request.get("raw_path", b"").decode("latin-1").partition("?")[0] or request["path"]
        answering = _answering(send, every, counts, endpoint_of(path))
        lasts_until: float | None = None
        is_probe = request["type"] == "http" and path in _WITHOUT_PASS  # any path upgrades, these two as well
        if door.access is not None and not is_probe and door.access.is_needed(upgrade):
            try:
                lasts_until = (await door.access.check(headers)).expires_at
            except Denied as denied:
                _log.info("access.denied", code=denied.code, peer=upgrade.peer, kind=request["type"])
                if request["type"] == "websocket":
                    await receive()
                    await send({"type": "websocket.close", "code": 1008, "reason": ""})  # before the accept: HTTP 403
                    return
                answer = json_answer(403, {"error": {"message": denied.detail, "type": "forbidden"}})
                await send_answer(answer, request["method"], answering)
                return
        if request["type"] == "websocket":
            take_up_to = request["state"]["take_up_to"]
            await hub.serve(upgrade, receive, send, take_up_to, lasts_until=lasts_until)  # type: ignore[arg-type] # ASGI messages
            return
        if api.is_for(path):
            await api.serve(request["method"], path, upgrade, headers, receive, answering)
            return
        answer = await ui.answer(request["method"], path, request.get("query_string", b""), headers)
        await send_answer(answer, request["method"], answering)

    return Litestar(route_handlers=[serve], openapi_config=None, debug=False, logging_config=None)


def join_headers(pairs: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """Headers by lower-case name; of one sent several times, all values count, so that none hides another."""
    headers: dict[str, str] = {}
    for raw_name, raw_value in pairs:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


def endpoint_of(path: str) -> str:
    """A path's name among the figures."""
    return _ENDPOINTS.get(path, "ui")


def _answering(send: Any, every: list[tuple[bytes, bytes]], counts: Counts, endpoint: str) -> Any:  # noqa: ANN401 - ASGI's
    """Adds what every answer carries, and counts it."""

    async def answering(message: Any) -> None:  # noqa: ANN401 - ASGI's
        if message["type"] == "http.response.start":
            counts.http[endpoint, message["status"]] += 1
            message = {**message, "headers": [*every, *message["headers"]]}
        await send(message)

    return answering
