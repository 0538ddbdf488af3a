"""Signing in by device flow (RFC 8628): we show a code, the person types it elsewhere, we ask until it is done.

GitHub says its refusals with status 200 and sets a slower pace with ``slow_down``; both are honoured here.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from shared.clock import SYSTEM_CLOCK, Clock
from shared.errors import ConfigError, Unavailable
from shared.http.client import HttpPool
from shared.json_values import object_of
from shared.oauth.jsonflow import TokenAnswer, TokenCall, read_answer, send, text_of
from shared.oauth.models import LOGIN_LIFETIME, LoginNeeded, OAuthProvider, PendingLogin, Token
from shared.secrets.files import Secret

GRANT = "urn:ietf:params:oauth:grant-type:device_code"

_INTERVAL_S = 5.0
_SLOWER_S = 5.0
_LONGEST_INTERVAL_S = 300.0
_BEGUN = 200

_STOPS: Mapping[str, str] = {
    "access_denied": "the sign-in was refused in the browser",
    "authorization_declined": "the sign-in was refused in the browser",
    "expired_token": "the code was not typed in time",
    "token_expired": "the code was not typed in time",
    "incorrect_device_code": "the code is not known any more",
    "bad_verification_code": "the code is not known any more",
    "invalid_grant": "the code is not known any more",
}
_MISTAKES = frozenset(
    {
        "device_flow_disabled",
        "incorrect_client_credentials",
        "invalid_client",
        "unauthorized_client",
        "unsupported_grant_type",
    }
)


@dataclass(frozen=True, slots=True)
class DeviceEndpoints:
    """Where and as whom.

    Attributes:
        who: the provider's name, for messages.
        again: the command that starts the login anew.
    """

    code_url: str
    token_url: str
    client_id: str
    scope: str
    user_agent: str
    who: str
    again: str


class DeviceFlow:
    """The two calls of the flow. Remembers the pace it was told, for callers that forget it."""

    def __init__(self, endpoints: DeviceEndpoints, http: HttpPool, *, clock: Clock = SYSTEM_CLOCK) -> None:
        self._at = endpoints
        self._http = http
        self._clock = clock
        self._pace: tuple[str, float] = ("", 0.0)

    async def begin(self, provider: str) -> PendingLogin:
        """Ask for a code.

        Raises:
            ConfigError: the provider does not know our client id.
            Unavailable: it does not answer, or not with a code.
        """
        at = self._at
        call = TokenCall.of_form(at.code_url, {"client_id": at.client_id, "scope": at.scope}, user_agent=at.user_agent)
        answer = await send(self._http, call)
        body = object_of(answer.body) or {}
        device, user = text_of(body.get("device_code")), text_of(body.get("user_code"))
        address = text_of(body.get("verification_uri") or body.get("verification_url"))
        if answer.status == _BEGUN and device and user and address.startswith(("https://", "http://")):
            lifetime = min(timedelta(seconds=_seconds(body.get("expires_in"), 900.0)), LOGIN_LIFETIME)
            return PendingLogin(
                provider=provider,
                url=address,
                instructions=f"Open {address} in any browser, signed in at {at.who}, and type the code {user}.",
                state="",
                verifier=None,
                expires_at=self._clock.now() + lifetime,
                device_code=Secret(device),
                user_code=user,
                interval_s=min(_seconds(body.get("interval"), _INTERVAL_S), _LONGEST_INTERVAL_S),
            )
        code = error_code(body)
        if code in _MISTAKES or answer.status in {400, 401, 404}:
            raise _mistake(at, code or str(answer.status))
        self._raise_unusable(answer)
        raise Unavailable(f"{at.who} gave no sign-in code; try again shortly", code="auth.answer")

    async def poll(self, pending: PendingLogin) -> Mapping[str, Any] | float:
        """Ask once: the token answer, or the seconds to wait before asking again.

        A wait that grew is the pace from now on; a caller in another process puts it into `PendingLogin.interval_s`,
        as `wait_for_person` does.

        Raises:
            LoginNeeded: the person said no, or the code ran out.
            ConfigError: the provider does not know our client id.
            Unavailable: no usable answer; ask again later.
        """
        at = self._at
        if pending.device_code is None or self._clock.now() >= pending.expires_at:
            raise _stop(at, "the code was not typed in time", "expired_token")
        device = pending.device_code.reveal()
        call = TokenCall.of_form(
            at.token_url,
            {"client_id": at.client_id, "device_code": device, "grant_type": GRANT},
            user_agent=at.user_agent,
        )
        answer = await send(self._http, call)
        body = object_of(answer.body) or {}
        code = error_code(body)
        pace = max(pending.interval_s, 1.0, self._pace[1] if self._pace[0] == device else 0.0)
        if code == "authorization_pending":
            return pace
        if code == "slow_down":
            pace = min(max(_seconds(body.get("interval"), 0.0), pace + _SLOWER_S), _LONGEST_INTERVAL_S)
            self._pace = (device, pace)
            return pace
        if code in _STOPS:
            raise _stop(at, _STOPS[code], code)
        if code in _MISTAKES:
            raise _mistake(at, code)
        return read_answer(answer, who=at.who, fix=at.again)

    def _raise_unusable(self, answer: TokenAnswer) -> None:
        read_answer(answer, who=self._at.who, fix=self._at.again)


async def wait_for_person(
    provider: OAuthProvider,
    pending: PendingLogin,
    *,
    clock: Clock = SYSTEM_CLOCK,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> Token:
    """Poll until the person is done; slower after each ``slow_down`` and, for once, after trouble.

    Raises:
        LoginNeeded: they said no, or the code ran out.
        Unavailable: the provider did not answer usefully until the code ran out.
    """
    trouble: Unavailable | None = None
    failures = 0
    wait = pending.interval_s
    while True:
        await sleep(max(wait, 0.0))
        if trouble is not None and clock.now() >= pending.expires_at:
            raise trouble
        try:
            answer = await provider.poll(pending)
        except Unavailable as error:
            # One lost answer must not end a login that a person is in the middle of.
            trouble, failures = error, failures + 1
            wait = min(max(pending.interval_s, 1.0) * 2**failures, 60.0)
            continue
        if isinstance(answer, Token):
            return answer
        trouble, failures, wait = None, 0, answer
        pending = replace(pending, interval_s=max(answer, pending.interval_s))


def error_code(body: Mapping[str, Any]) -> str:
    """The ``error`` of an answer, safe to show."""
    error = body.get("error")
    return re.sub(r"[^a-z0-9_.-]", "", error.lower())[:60] if isinstance(error, str) else ""


def _stop(at: DeviceEndpoints, why: str, code: str) -> LoginNeeded:
    return LoginNeeded(f"{at.who}: {why} ({code}). Start anew with `{at.again}`", code="auth.refused")


def _mistake(at: DeviceEndpoints, code: str) -> ConfigError:
    return ConfigError(
        f"{at.who} does not accept our sign-in request ({code}): check the client id and addresses of this provider in "
        "policies/oauth.toml",
        code="config.oauth",
    )


def _seconds(value: object, otherwise: float) -> float:
    good = isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < 86400
    return float(value) if good else otherwise  # type: ignore[arg-type]
