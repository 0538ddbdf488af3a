"""Small answers of our own, written straight to ASGI."""

from __future__ import annotations

import json
from typing import Any

from gateway.modelproxy.dialects import Dialect, error_answer
from gateway.modelproxy.proxy import Receive, Scope, Send
from shared.errors import GatewayError, Invalid

JSON = b"application/json"
TEXT = b"text/plain; charset=utf-8"


async def answer(send: Send, status: int, body: bytes, content_type: bytes) -> None:
    """A complete answer."""
    headers = [(b"content-type", content_type), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})


async def answer_json(send: Send, value: Any) -> None:  # noqa: ANN401 - any JSON value
    """A good answer of JSON."""
    await answer(send, 200, json.dumps(value, ensure_ascii=False).encode(), JSON)


async def fail(send: Send, dialect: Dialect, error: GatewayError) -> None:
    """An error in the caller's dialect."""
    status, headers, body = error_answer(dialect, error)
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})


async def close_other(scope: Scope, send: Send) -> None:
    """Refuse what is not an HTTP request."""
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008})


async def read_body(receive: Receive, limit: int) -> bytes:
    """A small request's body.

    Raises:
        Invalid: longer than `limit` bytes, or the caller left before it was whole.
    """
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Invalid("the request was not finished", code="model.body")
        body += message.get("body", b"")
        if len(body) > limit:
            raise Invalid(f"the request is larger than {limit} bytes", code="model.too_large")
        if not message.get("more_body", False):
            return bytes(body)
