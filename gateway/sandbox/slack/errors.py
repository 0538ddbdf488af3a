"""Slack's own refusals."""

from __future__ import annotations

from typing import Any


class ApiError(Exception):
    """An answer with ``ok: false``.

    Attributes:
        error: Slack's word for it.
        status: HTTP status; Slack refuses with 200 all but too many calls.
        headers: more headers for the answer.
        extra: more keys of its body.
    """

    def __init__(
        self,
        error: str,
        *,
        status: int = 200,
        headers: dict[str, str] | None = None,
        extra: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(error)
        self.error, self.status = error, status
        self.headers, self.extra = headers or {}, extra or {}

    def body(self) -> dict[str, Any]:
        """The JSON object Slack would send."""
        return {"ok": False, "error": self.error, **self.extra}
