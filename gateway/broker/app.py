"""The ASGI application behind every tenant's socket.

Authentication wraps everything, so that no route can forget it; the model routes go straight to the proxy, the
rest is a small Litestar application.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from litestar import Litestar, Request, Response
from litestar.datastructures import State
from litestar.enums import ScopeType
from litestar.exceptions import HTTPException
from litestar.types import ASGIApp, Receive, Scope, Send

from gateway.broker.auth import Caller, decide_caller
from gateway.broker.routes import BrokerServices, broker_routes
from gateway.modelproxy.identity import ModelIdentity
from gateway.problems import error_body, error_json
from gateway.store import TenantKey
from shared.errors import Denied, GatewayError, Internal, Invalid, NotFound
from shared.obs.log import get_logger

_log = get_logger(__name__)
_MODEL_PREFIX = "/v1/model/"

ModelHandler = Callable[[ModelIdentity, str, Any, Any, Any], Awaitable[None]]


def build_broker(
    services: BrokerServices,
    *,
    keys: Mapping[str, TenantKey],
    routes_of: Callable[[str], frozenset[str]],
    model: ModelHandler,
) -> ASGIApp:
    """Build the application that serves all tenant sockets.

    Args:
        services: what the routes act on.
        keys: stored tenant keys; read at every call, so that a restarted tenant's new key counts at once.
        routes_of: model routes a tenant may use.
        model: the model proxy.
    """
    api = Litestar(
        route_handlers=broker_routes(),
        state=State({"services": services}),
        exception_handlers={GatewayError: _problem, HTTPException: _framework_problem, Exception: _defect},
        openapi_config=None,
        logging_config=None,
    )

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        state: dict[str, Any] = scope["state"]
        tenant = str(state.get("tenant", ""))
        try:
            caller = decide_caller(tenant, state.get("peer"), scope["headers"], keys.get(tenant))
        except GatewayError as error:
            _log.warning("broker.refused", tenant=tenant, peer=list(state.get("peer") or ()), reason=error.code)
            await _refuse(scope, send, error)
            return
        state["caller"] = caller
        path = scope["path"]
        if path.startswith(_MODEL_PREFIX) and scope["type"] == ScopeType.HTTP:
            identity = ModelIdentity(tenant=tenant, group="", worker_id="", routes=routes_of(tenant))
            await model(identity, path.removeprefix(_MODEL_PREFIX), scope, receive, send)
            return
        await api(scope, receive, send)

    return app


async def _refuse(scope: Scope, send: Send, error: GatewayError) -> None:
    if scope["type"] == ScopeType.WEBSOCKET:
        await send({"type": "websocket.close", "code": 1008, "reason": error.code})
        return
    headers = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": error.http_status, "headers": headers})
    await send({"type": "http.response.body", "body": error_json(error), "more_body": False})


def _problem(_request: Request[Any, Any, Any], error: GatewayError) -> Response[Any]:
    return Response(error_body(error), status_code=error.http_status)


def _framework_problem(_request: Request[Any, Any, Any], error: HTTPException) -> Response[Any]:
    kinds: dict[int, type[GatewayError]] = {400: Invalid, 404: NotFound, 405: Invalid, 403: Denied}
    problem = kinds.get(error.status_code, Internal)(error.detail)
    return Response(error_body(problem), status_code=error.status_code)


def _defect(_request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
    _log.error("broker.failed", exc_info=error)
    return Response(error_body(Internal("internal error of the gateway; its log has the reason")), status_code=500)


__all__ = ["Caller", "build_broker"]
