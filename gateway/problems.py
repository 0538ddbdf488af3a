"""Errors on the wire of our own sockets: one shape, whatever layer they come from."""

from __future__ import annotations

import json
from typing import Any

from shared.errors import Busy, GatewayError, UpstreamError


def error_body(error: GatewayError) -> dict[str, Any]:
    """``{"error": {code, detail, retryable, …}}`` for any error of ours."""
    body: dict[str, Any] = {"code": error.code, "detail": error.detail, "retryable": error.retryable}
    if isinstance(error, Busy):
        body["retry_after_s"] = error.retry_after_s
    if isinstance(error, UpstreamError):
        body["upstream_status"] = error.status
    return {"error": body}


def error_json(error: GatewayError) -> bytes:
    """The same as bytes."""
    return json.dumps(error_body(error), ensure_ascii=False).encode()
