"""Errors as the caller's own client library understands them: Anthropic's shape, or OpenAI's."""

from __future__ import annotations

import json
from typing import Any, Literal

from shared.errors import Busy, GatewayError
from shared.http.sse import encode_sse

Dialect = Literal["anthropic", "openai", "responses"]

_ANTHROPIC_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    402: "billing_error",
    413: "request_too_large",
    429: "rate_limit_error",
    529: "overloaded_error",
    503: "overloaded_error",
}
_OPENAI_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "invalid_request_error",
    429: "rate_limit_error",
}
_DEFAULT_TYPE = "api_error"

Headers = list[tuple[bytes, bytes]]


def error_answer(dialect: Dialect, error: GatewayError, *, status: int | None = None) -> tuple[int, Headers, bytes]:
    """Status, headers and body for an error of ours."""
    status = status or error.http_status
    body = json.dumps(_body(dialect, error, status), ensure_ascii=False).encode()
    headers: Headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    if isinstance(error, Busy):
        headers.append((b"retry-after", str(max(1, round(error.retry_after_s))).encode()))
    # Claude Code and OpenAI's libraries would otherwise repeat what cannot succeed.
    headers.append((b"x-should-retry", b"true" if error.retryable else b"false"))
    return status, headers, body


def error_event(dialect: Dialect, error: GatewayError) -> bytes:
    """The same as the last event of a stream that has already begun."""
    if dialect == "anthropic":
        return encode_sse(json.dumps(_body(dialect, error, 0), ensure_ascii=False), event="error")
    if dialect == "responses":
        event = {"type": "error", "code": error.code, "message": error.detail, "param": None}
        return encode_sse(json.dumps(event, ensure_ascii=False), event="error")
    return encode_sse(json.dumps(_body(dialect, error, 0), ensure_ascii=False))


def anthropic_error_type(status: int) -> str:
    """Anthropic's word for an HTTP status."""
    return _ANTHROPIC_TYPES.get(status, _DEFAULT_TYPE)


def _body(dialect: Dialect, error: GatewayError, status: int) -> dict[str, Any]:
    if dialect == "anthropic":
        return {"type": "error", "error": {"type": anthropic_error_type(status), "message": error.detail}}
    kind = _OPENAI_TYPES.get(status, _DEFAULT_TYPE)
    return {"error": {"message": error.detail, "type": kind, "param": None, "code": error.code}}
