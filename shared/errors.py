"""The error tree: each branch says what the caller should do next.

::

    GatewayError
    ├── ConfigError        fix the named file or key, then start again
    │   └── Occupied       another instance or program holds what we need
    ├── AuthRequired       sign in again; retrying cannot help
    ├── Denied             no, and it stays no
    ├── NotFound           there is no such thing
    ├── Conflict           the thing changed or already exists
    ├── Invalid            your input is wrong
    ├── Busy               wait `retry_after_s`
    │   └── RateLimited
    ├── Unavailable        try later
    ├── UpstreamError      a provider said no; keeps its status and request id
    ├── DeadlineExceeded   it took too long
    └── Internal           our fault

Third-party exceptions stop at their adapter. When the wrapped exception may hold a secret its text is
replaced, not chained. `detail` is written for a person: the place, the reason and the fix.
"""

from __future__ import annotations

from enum import IntEnum
from typing import ClassVar


class ExitCode(IntEnum):
    """Process exit codes shared by commands, units and the supervisor. Units do not restart on 77 and 78."""

    STOP = 0
    CRASH = 1
    USAGE = 2
    RESTART = 26
    UNAVAILABLE = 69
    OCCUPIED = 75
    AUTH = 77
    CONFIG = 78


class GatewayError(Exception):
    """Base of every error that may cross a module border.

    Attributes:
        code: stable, lower-case, dotted; printed with ``--json`` and listed in docs/errors.md.
        detail: safe to show to a person; never holds a payload, a header or a secret.
        context: small facts for the log line.
        retryable: the same call may succeed later without anybody doing anything.
    """

    code: str = "internal"
    exit_code: ClassVar[ExitCode] = ExitCode.CRASH
    http_status: ClassVar[int] = 500
    retryable: bool = False

    def __init__(
        self,
        detail: str,
        *,
        code: str | None = None,
        retryable: bool | None = None,
        **context: str | int | float | bool | None,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        if code is not None:
            self.code = code
        if retryable is not None:
            self.retryable = retryable
        self.context = context

    def add_advice(self, advice: str) -> None:
        """Say at the detail's end what a person may do, where that is known only further up."""
        self.detail = f"{self.detail.rstrip('.')}. {advice}"
        self.args = (self.detail,)


class ConfigError(GatewayError):
    """A file, key or setting must be fixed by a person before this can start."""

    code = "config.invalid"
    exit_code = ExitCode.CONFIG


class Occupied(ConfigError):
    """A port, socket or state directory is already in use by another process."""

    code = "config.occupied"
    exit_code = ExitCode.OCCUPIED


class AuthRequired(GatewayError):
    """A credential was refused or is missing; a person has to sign in."""

    code = "auth.required"
    exit_code = ExitCode.AUTH
    http_status = 401


class Denied(GatewayError):
    """Policy says no."""

    code = "denied"
    exit_code = ExitCode.AUTH
    http_status = 403


class NotFound(GatewayError):
    """The named thing does not exist."""

    code = "not_found"
    http_status = 404


class Conflict(GatewayError):
    """The thing exists already, or changed since it was read."""

    code = "conflict"
    http_status = 409


class Invalid(GatewayError):
    """The input is wrong; the detail names the field."""

    code = "invalid"
    exit_code = ExitCode.USAGE
    http_status = 400


class Busy(GatewayError):
    """No capacity right now.

    Attributes:
        retry_after_s: seconds until another try makes sense.
    """

    code = "busy"
    exit_code = ExitCode.OCCUPIED
    http_status = 503
    retryable = True

    def __init__(
        self,
        detail: str,
        *,
        retry_after_s: float = 1.0,
        code: str | None = None,
        **context: str | int | float | bool | None,
    ) -> None:
        super().__init__(detail, code=code, retryable=None, **context)
        self.retry_after_s = retry_after_s


class RateLimited(Busy):
    """Too many calls; `retry_after_s` says when the next may pass."""

    code = "rate_limited"
    http_status = 429


class Unavailable(GatewayError):
    """Something we depend on does not answer; try later."""

    code = "unavailable"
    exit_code = ExitCode.UNAVAILABLE
    http_status = 503
    retryable = True


class UpstreamError(GatewayError):
    """A provider answered with an error.

    Attributes:
        status: the provider's HTTP status, 0 when there was no answer.
        request_id: the provider's request id, empty when it sent none.
    """

    code = "upstream"
    exit_code = ExitCode.UNAVAILABLE
    http_status = 502

    def __init__(
        self,
        detail: str,
        *,
        status: int = 0,
        request_id: str = "",
        code: str | None = None,
        retryable: bool | None = None,
        **context: str | int | float | bool | None,
    ) -> None:
        super().__init__(detail, code=code, retryable=retryable, **context)
        self.status = status
        self.request_id = request_id


class DeadlineExceeded(GatewayError):
    """The deadline passed before the work was done."""

    code = "deadline"
    exit_code = ExitCode.OCCUPIED
    http_status = 504
    retryable = True


class Internal(GatewayError):
    """A defect of ours; the person gets an apology and an id."""

    code = "internal"
