"""Errors as the caller's own client library understands them: Anthropic's shape, or OpenAI's."""

from __future__ import annotations

import json
import re
from typing import Any, Literal

from shared.errors import Busy, GatewayError, UpstreamError
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
_TITLE = re.compile(r"<title[^>]{0,200}>([^<]*+)</title>", re.IGNORECASE)
_TITLE_CHARS = 80
_TEXT_CHARS = 500
_PLAIN_BYTES = 16 << 10

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


def error_event(dialect: Dialect, error: GatewayError, *, status: int = 0) -> bytes:
    """The same as the last event of a stream that has already begun.

    Args:
        dialect: of the stream.
        error: what happened.
        status: that the answer would have had, if nothing of it was told yet.
    """
    fields = _body(dialect, error, status)["error"]
    if status:
        fields["status"] = status
    if status and isinstance(error, Busy):
        fields["retry_after_s"] = error.retry_after_s
    return _event(dialect, fields)


def refusal_event(dialect: Dialect, status: int, whole: bytes, retry_after: str) -> bytes:
    """A provider's answer that is no stream, for a caller whose stream was begun before it came.

    What the status and the ``retry-after`` header would have said goes into the event.

    Args:
        dialect: of the stream.
        status: of the provider's answer.
        whole: its body, in the stream's dialect as far as it has one.
        retry_after: its header of that name; empty when there was none.
    """
    try:
        parsed: Any = json.loads(whole)
    except (ValueError, RecursionError):
        parsed = None
    error = parsed.get("error") if isinstance(parsed, dict) else None
    fields = dict(error) if isinstance(error, dict) else {}
    if not fields.get("message"):
        said = error or (parsed.get("detail") or parsed.get("message") if isinstance(parsed, dict) else None)
        fields["message"] = said if isinstance(said, str) else f"the provider answered {status} and no stream"
    fields.setdefault(
        "type", (_ANTHROPIC_TYPES if dialect == "anthropic" else _OPENAI_TYPES).get(status, _DEFAULT_TYPE)
    )
    fields["status"] = status
    if retry_after.isdigit():
        fields["retry_after_s"] = int(retry_after)
    return _event(dialect, fields)


def plain_refusal(dialect: Dialect, status: int, provider: str, said: bytes) -> bytes:
    """The body of an error for a refusal that no client library understands: plain words, a web page, nothing at all.

    Args:
        dialect: of the caller.
        status: of the refusal.
        provider: who refused, or should have.
        said: its body; of a web page nothing but its title is of use to anybody.
    """
    text = said[:_PLAIN_BYTES].decode("utf-8", "replace").strip()
    code = "upstream"
    if text.startswith("<"):
        code = "upstream.page"
        title = _TITLE.search(text)
        quoted = f" ({' '.join(title[1].split())[:_TITLE_CHARS]})" if title else ""
        text = (
            f"something in front of {provider}'s API answered {status} with a web page{quoted}: it blocks this "
            "machine's address or is down; try again later, and if it stays so from another network"
        )
    error = UpstreamError(text[:_TEXT_CHARS] or f"{provider} answered {status} without a word", code=code)
    return json.dumps(_body(dialect, error, status), ensure_ascii=False).encode()


def _event(dialect: Dialect, fields: dict[str, Any]) -> bytes:
    match dialect:
        case "anthropic":
            return encode_sse(json.dumps({"type": "error", "error": fields}, ensure_ascii=False), event="error")
        case "responses":
            # Its error events are flat, and ``type`` is the event's own name.
            kind = fields.pop("type", _DEFAULT_TYPE)
            flat = {"type": "error", "code": fields.pop("code", None) or kind, "param": None, **fields}
            return encode_sse(json.dumps(flat, ensure_ascii=False), event="error")
        case "openai":
            return encode_sse(json.dumps({"error": fields}, ensure_ascii=False))


def anthropic_error_type(status: int) -> str:
    """Anthropic's word for an HTTP status."""
    return _ANTHROPIC_TYPES.get(status, _DEFAULT_TYPE)


def _body(dialect: Dialect, error: GatewayError, status: int) -> dict[str, Any]:
    if dialect == "anthropic":
        return {"type": "error", "error": {"type": anthropic_error_type(status), "message": error.detail}}
    kind = _OPENAI_TYPES.get(status, _DEFAULT_TYPE)
    return {"error": {"message": error.detail, "type": kind, "param": None, "code": error.code}}
