"""Discord's own error answers, by the codes a client can meet."""

from __future__ import annotations

from typing import Any


class ApiError(Exception):
    """An answer of the REST API other than success.

    Attributes:
        status: HTTP status.
        code: Discord's JSON error code, 0 for general ones.
        errors: nested field errors of a 50035, else none.
        headers: more headers for the answer.
        extra: more keys for the body (``retry_after``).
    """

    def __init__(
        self,
        status: int,
        code: int,
        message: str,
        *,
        errors: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
        extra: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(f"{status} {code}: {message}")
        self.status, self.code, self.message = status, code, message
        self.errors, self.headers, self.extra = errors, headers or {}, extra or {}

    def body(self) -> dict[str, Any]:
        """The JSON object Discord would send."""
        body: dict[str, Any] = {"message": self.message, "code": self.code, **self.extra}
        if self.errors is not None:
            body["errors"] = self.errors
        return body


def unauthorized() -> ApiError:
    """401: no token, an unknown one, or one of the wrong kind."""
    return ApiError(401, 0, "401: Unauthorized")


def unknown(what: str) -> ApiError:
    """404 with the code of the missing thing (``Channel``, ``Message``, …)."""
    status = 400 if what == "Emoji" else 404
    return ApiError(status, _UNKNOWN[what], f"Unknown {what}")


def missing_access() -> ApiError:
    """403: the thing exists, the caller may not see it."""
    return ApiError(403, 50001, "Missing Access")


def missing_permissions() -> ApiError:
    """403: the caller sees it but may not do this."""
    return ApiError(403, 50013, "Missing Permissions")


def invalid_form(path: str, code: str, message: str) -> ApiError:
    """400 code 50035 with one field error; `path` is dotted (``embeds.0.title``)."""
    leaf: dict[str, Any] = {"_errors": [{"code": code, "message": message}]}
    for part in reversed(path.split(".")):
        leaf = {part: leaf}
    return ApiError(400, 50035, "Invalid Form Body", errors=leaf)


_UNKNOWN = {
    "Account": 10001,
    "Application": 10002,
    "Channel": 10003,
    "Guild": 10004,
    "Member": 10007,
    "Message": 10008,
    "Role": 10011,
    "User": 10013,
    "Emoji": 10014,
    "Webhook": 10015,
    "interaction": 10062,
    "application command": 10063,
}
