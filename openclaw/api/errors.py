"""Errors of the HTTP endpoints, in the shape that clients of OpenAI's API read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from shared.errors import Busy, DeadlineExceeded, Denied, GatewayError, Internal, Invalid, NotFound, Unavailable

NOT_FOUND: Final = "not_found"
INVALID: Final = "invalid_request_error"
API_ERROR: Final = "api_error"


class ApiError(Exception):
    """An answer other than 200.

    Attributes:
        kind: ``error.type``.
        headers: further headers of the answer, lower case.
    """

    def __init__(
        self, status: int, message: str, kind: str = INVALID, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.kind = kind
        self.headers = dict(headers or {})

    def body(self) -> dict[str, Any]:
        """The whole answer."""
        return {"error": {"message": self.message, "type": self.kind}}


def api_error(error: GatewayError) -> ApiError:
    """The answer to an error of ours."""
    match error:
        case Busy():
            return ApiError(503, error.detail, API_ERROR, {"retry-after": str(max(1, round(error.retry_after_s)))})
        case Invalid():
            return ApiError(400, error.detail)
        case NotFound():
            return ApiError(404, error.detail, NOT_FOUND)
        case Denied():
            return ApiError(403, error.detail, "forbidden")
        case DeadlineExceeded():
            return ApiError(504, error.detail, API_ERROR)
        case Internal():
            return ApiError(500, "internal error", API_ERROR)
        case Unavailable():
            return ApiError(503, error.detail, API_ERROR)
    return ApiError(502, error.detail, API_ERROR)
