"""The Litestar application on 18789: any path upgrades to the gateway's WebSocket, the rest is the Control UI."""

from __future__ import annotations

from typing import Any

from litestar import Litestar, asgi
from litestar.types import Receive, Scope, Send

from openclaw.hub import Hub
from openclaw.web import ControlUi, send_answer


def build_app(hub: Hub, ui: ControlUi) -> Litestar:
    """Both halves behind one mount: the framework's own 404, 405 and error pages never show."""

    @asgi("/", is_mount=True, copy_scope=False)
    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        request: Any = scope
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in request["headers"]}
        if request["type"] == "websocket":
            client = request.get("client")
            await hub.serve(client[0] if client else "", headers, receive, send)  # type: ignore[arg-type] # ASGI messages
            return
        path = request.get("raw_path", b"").decode("latin-1").partition("?")[0] or request["path"]
        answer = await ui.answer(request["method"], path, request.get("query_string", b""), headers)
        await send_answer(answer, request["method"], send)

    return Litestar(route_handlers=[serve], openapi_config=None, debug=False, logging_config=None)
