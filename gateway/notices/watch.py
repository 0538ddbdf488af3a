"""Looks at all sign-ins from time to time, and at once when told that one ended."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from gateway.credentials.models import CredentialStatus
from gateway.notices.decide import SIGN_IN_KINDS, decide_sign_in_notices
from gateway.notices.policy import NoticesPolicy
from gateway.notices.service import Notices
from shared.clock import SYSTEM_CLOCK, Clock
from shared.errors import GatewayError
from shared.obs.log import get_logger

_log = get_logger(__name__)
_LOOK_S = 60.0


class SignInWatch:
    """Turns the state of sign-ins into notices.

    The state is asked for instead of remembered: what ended while the gateway was off, or in a command that ran
    without it, is told of at the next look.

    Args:
        status: the state of every sign-in.
        notices: takes what is to be told.
        policy: from when on it is worth telling.
        state_option: what the commands in notices need to mean this installation.
        clock: for ages.
    """

    def __init__(
        self,
        status: Callable[[], Awaitable[list[CredentialStatus]]],
        notices: Notices,
        policy: NoticesPolicy,
        *,
        state_option: str = "",
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._state_option = state_option
        self._status = status
        self._notices = notices
        self._policy = policy
        self._clock = clock
        self._changed = asyncio.Event()

    def look_again(self) -> None:
        """Look now instead of at the next turn."""
        self._changed.set()

    async def look(self) -> list[CredentialStatus]:
        """Look once: tell of what is new, take back what is over and was not told; returns what was seen."""
        statuses = await self._status()
        found = decide_sign_in_notices(statuses, self._policy, self._clock.now(), state_option=self._state_option)
        for notice in found:
            await self._notices.record(notice)
        await self._notices.withdraw(SIGN_IN_KINDS, but=[notice.key for notice in found])
        return statuses

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            self._changed.clear()
            try:
                await self.look()
            except GatewayError as error:
                _log.warning("notices.look_failed", code=error.code, detail=error.detail)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_S):
                    await self._changed.wait()
