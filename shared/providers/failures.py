"""Reads a provider's refusal: bodies of many shapes into one `Failed`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from shared.providers.events import Failed, FailureKind

_MAX_MESSAGE = 500

_BY_CODE: dict[str, FailureKind] = {
    "usage_limit_reached": "usage_limit",
    "usage_not_included": "billing",
    "insufficient_quota": "billing",
    "quota_exceeded": "billing",
    "billing_error": "billing",
    "rate_limit_exceeded": "rate_limited",
    "rate_limit_error": "rate_limited",
    "rate_limited": "rate_limited",
    "authentication_error": "auth",
    "auth.required": "auth",
    "invalid_api_key": "auth",
    "permission_error": "denied",
    "denied": "denied",
    "model.route": "denied",
    "context_length_exceeded": "context_too_long",
    "content_filter": "content_filter",
    "overloaded_error": "overloaded",
    "server_is_overloaded": "overloaded",
    "server_error": "server",
    "api_error": "server",
    "invalid_request_error": "invalid_request",
    "invalid_request_body": "invalid_request",
    "model_not_supported": "invalid_request",
    "unsupported_api_for_model": "invalid_request",
    "cut": "cut",
    "http.cut": "cut",
    "http.connect": "unavailable",
    "http.timeout": "unavailable",
    "unavailable": "unavailable",
    "busy": "overloaded",
}
_BY_STATUS: dict[int, FailureKind] = {
    400: "invalid_request",
    401: "auth",
    402: "billing",
    403: "denied",
    404: "invalid_request",
    408: "unavailable",
    413: "context_too_long",
    422: "content_filter",
    429: "rate_limited",
    503: "overloaded",
    529: "overloaded",
}
_SERVER_ERROR = 500


def parse_failure(status: int, headers: Mapping[str, str], body: bytes) -> Failed:
    """Read an error answer.

    Args:
        status: HTTP status.
        headers: names in lower case.
        body: JSON, or whatever came.
    """
    try:
        parsed: Any = json.loads(body)
    except (ValueError, RecursionError):
        parsed = None
    error = parsed.get("error") if isinstance(parsed, dict) else None
    if error is None and isinstance(parsed, dict) and ("detail" in parsed or "message" in parsed):
        error = {"message": parsed.get("detail") or parsed.get("message"), "code": parsed.get("code")}
    if error is None:
        error = {"message": _plain(body) or f"HTTP {status}"}
    return failure_of(error, status=status, retry_after=headers.get("retry-after", ""))


def failure_of(error: object, *, status: int = 0, retry_after: str = "") -> Failed:
    """Read an error object (or text), from an answer's body or from inside a stream."""
    fields: Mapping[str, Any] = error if isinstance(error, dict) else {"message": error}
    if not status and isinstance(told := fields.get("status"), int):
        # Our proxy tells it so when a stream had to be begun before the provider refused.
        status = told
    codes = [str(fields[key]) for key in ("code", "type") if fields.get(key)]
    named = next((_BY_CODE[code] for code in codes if code in _BY_CODE), None)
    message = str(fields.get("message") or fields.get("detail") or (f"HTTP {status}" if status else "no reason given"))
    resets_at = _moment(fields.get("resets_at"))
    wait = _seconds(fields.get("resets_in_seconds"))
    if wait is None:
        wait = _seconds(fields.get("retry_after_s"))
    return Failed(
        kind=named
        or _BY_STATUS.get(status)
        or ("server" if status >= _SERVER_ERROR or not status else "invalid_request"),
        message=message[:_MAX_MESSAGE],
        code=codes[0] if codes else "",
        status=status,
        resets_at=resets_at,
        retry_after_s=_seconds(retry_after) if wait is None else wait,
    )


def _plain(body: bytes) -> str:
    text = body[: _MAX_MESSAGE * 2].decode("utf-8", "replace").strip()
    # An edge's HTML page says nothing to a person.
    return "" if text.startswith("<") else text[:_MAX_MESSAGE]


def _seconds(value: object) -> float | None:
    try:
        seconds = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None
    return seconds if 0 <= seconds < float("inf") else None


def _moment(value: object) -> datetime | None:
    try:
        if isinstance(value, int | float) and not isinstance(value, bool):
            return datetime.fromtimestamp(value, UTC)
        if isinstance(value, str) and value:
            moment = datetime.fromisoformat(value)
            return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return None
