"""Errors as clients see them: five codes, the exact words of the original, and validation problems in its form."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from pydantic import ValidationError

from shared.errors import (
    AuthRequired,
    Busy,
    ConfigError,
    DeadlineExceeded,
    GatewayError,
    Internal,
    Unavailable,
    UpstreamError,
)

ErrorCode = Literal["INVALID_REQUEST", "UNAVAILABLE", "NOT_PAIRED", "NOT_LINKED", "AGENT_TIMEOUT"]

CLOSE_NORMAL = 1000
CLOSE_PROTOCOL = 1002
CLOSE_POLICY = 1008
CLOSE_TOO_BIG = 1009
CLOSE_RESTART = 1012
CLOSE_TRY_LATER = 1013
_CLOSE_REASON_BYTES = 120

_JSON_TYPES = {
    "string_type": "string",
    "int_type": "integer",
    "int_from_float": "integer",
    "bool_type": "boolean",
    "float_type": "number",
    "list_type": "array",
    "dict_type": "object",
    "model_type": "object",
    "model_attributes_type": "object",
}


class ProtocolError(Exception):
    """An answer with ``ok: false``.

    Attributes:
        details: machine-readable reason; user interfaces choose their help texts by ``details.code``.
        payload: sent beside the error by the few methods whose failure has a result of its own.
    """

    def __init__(
        self,
        code: ErrorCode,
        message: str,
        *,
        details: dict[str, Any] | None = None,
        retryable: bool | None = None,
        retry_after_ms: int | None = None,
        payload: object = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.details = details
        self.retryable = retryable
        self.retry_after_ms = retry_after_ms
        self.payload = payload

    def body(self) -> dict[str, Any]:
        """The ``error`` object."""
        body: dict[str, Any] = {"code": self.code, "message": self.message}
        if self.details is not None:
            body["details"] = self.details
        if self.retryable is not None:
            body["retryable"] = self.retryable
        if self.retry_after_ms is not None:
            body["retryAfterMs"] = self.retry_after_ms
        return body

    def frame(self, request_id: str) -> dict[str, Any]:
        """The whole answer."""
        frame: dict[str, Any] = {"type": "res", "id": request_id, "ok": False, "error": self.body()}
        return frame if self.payload is None else {**frame, "payload": self.payload}


class Refused(ProtocolError):
    """A connection that may not go on: this answer is sent first, then the socket is closed.

    Attributes:
        close_code: WebSocket close code.
        close_reason: defaults to the message.
    """

    def __init__(
        self,
        code: ErrorCode,
        message: str,
        *,
        details: dict[str, Any] | None = None,
        close_code: int = CLOSE_POLICY,
        close_reason: str | None = None,
    ) -> None:
        super().__init__(code, message, details=details)
        self.close_code = close_code
        self.close_reason = cut_reason(message if close_reason is None else close_reason)


def invalid(message: str, **details: Any) -> ProtocolError:  # noqa: ANN401 - details are free JSON
    """Bad input, an unknown id, a missing right."""
    return ProtocolError("INVALID_REQUEST", message, details=details or None)


def from_exception(error: GatewayError) -> ProtocolError:
    """The wire form of an error of ours."""
    if isinstance(error, Busy):
        return ProtocolError(
            "UNAVAILABLE",
            error.detail,
            details={"code": error.code},
            retryable=True,
            retry_after_ms=int(error.retry_after_s * 1000),
        )
    if isinstance(error, DeadlineExceeded):
        return ProtocolError("AGENT_TIMEOUT", error.detail, details={"code": error.code}, retryable=True)
    if isinstance(error, Internal):
        return ProtocolError("UNAVAILABLE", "internal error", details={"code": error.code})
    if isinstance(error, Unavailable | UpstreamError | AuthRequired | ConfigError):
        return ProtocolError(
            "UNAVAILABLE", error.detail, details={"code": error.code}, retryable=error.retryable or None
        )
    return ProtocolError("INVALID_REQUEST", error.detail, details={"code": error.code})


def cut_reason(text: str) -> str:
    """A close reason within the protocol's 120 bytes, never cut inside a character."""
    raw = text.encode()
    return text if len(raw) <= _CLOSE_REASON_BYTES else raw[:_CLOSE_REASON_BYTES].decode(errors="ignore")


def problems(error: ValidationError) -> str:
    """All problems of a payload on one line, in the words the original's clients show as they are."""
    return "; ".join(
        _problem(issue) for issue in error.errors(include_url=False, include_context=True, include_input=False)
    )


def _place(location: Sequence[str | int]) -> str:
    return "at root" if not location else "at /" + "/".join(str(part) for part in location)


def _problem(issue: Any) -> str:  # noqa: ANN401 - pydantic's ErrorDetails
    location = issue["loc"]
    kind = issue["type"]
    context = issue.get("ctx") or {}
    if kind == "extra_forbidden":
        return f"{_place(location[:-1])}: unexpected property '{location[-1]}'"
    if kind == "missing":
        return f"{_place(location[:-1])}: must have required property '{location[-1]}'"
    if kind in _JSON_TYPES:
        return f"{_place(location)}: must be {_JSON_TYPES[kind]}"
    if kind == "literal_error":
        return f"{_place(location)}: must be equal to one of the allowed values"
    if kind == "string_too_short":
        return f"{_place(location)}: must NOT have fewer than {context.get('min_length', 1)} characters"
    if kind == "string_too_long":
        return f"{_place(location)}: must NOT have more than {context.get('max_length')} characters"
    if kind in {"too_short", "too_long"}:
        few = kind == "too_short"
        bound = context.get("min_length") if few else context.get("max_length")
        return f"{_place(location)}: must NOT have {'fewer' if few else 'more'} than {bound} items"
    if kind in {"greater_than_equal", "less_than_equal"}:
        low = kind == "greater_than_equal"
        return f"{_place(location)}: must be {'>=' if low else '<='} {context.get('ge' if low else 'le')}"
    return f"{_place(location)}: {issue['msg']}"
