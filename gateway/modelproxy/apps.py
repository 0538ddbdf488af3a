"""The two places a model is called from outside a tenant: a worker's private socket, and the listener on 4141."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

from gateway.modelproxy.catalogue import list_models
from gateway.modelproxy.dialects import Dialect, error_answer
from gateway.modelproxy.identity import ModelIdentity
from gateway.modelproxy.proxy import ModelProxy, Receive, Scope, Send
from shared.errors import Denied, GatewayError, NotFound

AsgiApp = Callable[[Any, Any, Any], Any]

_LOOPBACK_HOSTS = {"localhost", "127.0.0.1", "[::1]"}
_PUBLIC_ROUTES = {
    "/chat/completions": "chat/completions",
    "/v1/chat/completions": "chat/completions",
    "/embeddings": "embeddings",
    "/v1/embeddings": "embeddings",
}
_MODEL_LISTS = {"/models", "/v1/models"}


def worker_app(proxy: ModelProxy, lookup: Callable[[str], ModelIdentity | None]) -> AsgiApp:
    """What a worker finds on its socket: the Messages API and nothing else.

    Args:
        proxy: does the calls.
        lookup: identity of a worker by id, which comes from the socket (``scope["state"]["worker"]``).
    """

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await _close(scope, send)
            return
        method, path = scope["method"], scope["path"]
        identity = lookup(str(scope["state"].get("worker", "")))
        if identity is None:
            await _fail(send, "anthropic", Denied("this socket belongs to no worker any more", code="model.worker"))
        elif method == "POST" and path == "/v1/messages":
            await proxy.handle(identity, "messages", scope, receive, send)
        elif method in {"HEAD", "GET"} and path == "/api/hello":
            await _answer(send, 200, b"{}", b"application/json")
        else:
            await _fail(send, "anthropic", NotFound(f"no {method} {path} here", code="model.no_route"))

    return app


def public_app(proxy: ModelProxy, identity: ModelIdentity) -> AsgiApp:
    """The OpenAI-compatible listener on loopback (policy G1): any key or none is accepted.

    A web page must not reach it: requests with an ``Origin``, or with a ``Host`` that is not this machine (DNS
    rebinding), are refused.

    Args:
        proxy: does the calls.
        identity: in whose name all its callers call.
    """

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await _close(scope, send)
            return
        method, path = scope["method"], scope["path"]
        try:
            _refuse_browsers(scope["headers"])
            if path == "/" and method in {"GET", "HEAD"}:
                await _answer(send, 200, b"Server running", b"text/plain; charset=utf-8")
            elif path in _MODEL_LISTS and method == "GET":
                body = json.dumps(await list_models(proxy, identity), ensure_ascii=False).encode()
                await _answer(send, 200, body, b"application/json")
            elif path in _PUBLIC_ROUTES:
                await proxy.handle(identity, _PUBLIC_ROUTES[path], scope, receive, send)
            else:
                raise NotFound(f"no {method} {path} here", code="model.no_route")
        except GatewayError as error:
            await _fail(send, "openai", error)

    return app


def _refuse_browsers(headers: Iterable[tuple[bytes, bytes]]) -> None:
    hosts = [value.decode("latin-1").lower() for name, value in headers if name == b"host"]
    if any(name == b"origin" for name, _ in headers):
        raise Denied("requests from web pages are refused (they carry an Origin header)", code="model.origin")
    if len(hosts) != 1 or _hostname(hosts[0]) not in _LOOPBACK_HOSTS:
        raise Denied("the Host header must name this machine: localhost, 127.0.0.1 or [::1]", code="model.host")


def _hostname(host: str) -> str:
    name, colon, port = host.rpartition(":")
    return name if colon and port.isdigit() else host


async def _close(scope: Scope, send: Send) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008})


async def _answer(send: Send, status: int, body: bytes, content_type: bytes) -> None:
    headers = [(b"content-type", content_type), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})


async def _fail(send: Send, dialect: Dialect, error: GatewayError) -> None:
    status, headers, body = error_answer(dialect, error)
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})
