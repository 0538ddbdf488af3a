"""Reading a request: who may ask, and a body within its bounds. Source of the numbers: protocol reference §4, §8."""

from __future__ import annotations

import asyncio
import hmac
import math
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ValidationError

from openclaw.api.errors import ApiError
from openclaw.limiter import AttemptLimiter, source_of
from openclaw.protocol.errors import problems
from openclaw.protocol.handshake import Upgrade
from shared.secrets.files import Secret

Receive = Callable[[], Awaitable[Any]]
Model = TypeVar("Model", bound=BaseModel)

BODY_TIMEOUT_S: Final = 30.0


class BearerCheck:
    """Lets in who has the gateway token.

    Args:
        secret: the gateway token.
        limiter: the same that counts failures at the WebSocket, so that guessing here locks there.
    """

    def __init__(self, secret: Secret, limiter: AttemptLimiter) -> None:
        self._secret = secret
        self._limiter = limiter

    def check(self, upgrade: Upgrade, headers: Mapping[str, str]) -> None:
        """Look at the bearer token.

        Raises:
            ApiError: 401 without the right one, 429 after too many wrong ones.
        """
        source = source_of(upgrade)
        if source and (wait_s := self._limiter.locked_for_s(source)):
            raise ApiError(
                429,
                "Too many failed authentication attempts. Please try again later.",
                "rate_limited",
                {"retry-after": str(math.ceil(wait_s))},
            )
        scheme, _, token = headers.get("authorization", "").partition(" ")
        is_bearer = scheme.lower() == "bearer" and bool(token.strip())
        if is_bearer and hmac.compare_digest(token.strip().encode(), self._secret.reveal().encode()):
            if source:
                self._limiter.passed(source)
            return
        if source and is_bearer:  # who has no token yet is not guessing
            self._limiter.failed(source)
        raise ApiError(401, "Unauthorized", "unauthorized", {"www-authenticate": "Bearer"})


async def read_body(headers: Mapping[str, str], receive: Receive, max_bytes: int) -> bytes:
    """The whole body.

    Raises:
        ApiError: 413 beyond `max_bytes`, 408 when it does not come, 400 when the client left in the middle.
    """
    declared = headers.get("content-length", "0")
    if not declared.isdigit() or int(declared) > max_bytes:
        raise _too_large(max_bytes)
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise ApiError(400, "the request ended before its body")
                body += message.get("body", b"")
                if len(body) > max_bytes:
                    raise _too_large(max_bytes)
                if not message.get("more_body"):
                    return bytes(body)
    except TimeoutError:
        raise ApiError(408, f"the body did not arrive within {BODY_TIMEOUT_S:g} s") from None


def _too_large(max_bytes: int) -> ApiError:
    return ApiError(413, f"the body is larger than {max_bytes} bytes")


def parse(model: type[Model], body: bytes) -> Model:
    """A body as its model.

    Raises:
        ApiError: 400 with every problem.
    """
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        raise ApiError(400, problems(error)) from None
