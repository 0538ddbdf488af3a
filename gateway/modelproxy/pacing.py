"""Keeps calls apart: one queue in order of arrival, and never two calls closer together than promised.

copilot-api's own limiter releases all who wait at once; here each takes the slot after the one before it.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable

from shared.clock import SYSTEM_CLOCK, Clock
from shared.errors import RateLimited

_CODE = "model.paced"


class Pacer:
    """Hands out turns, `spacing_s` apart.

    Args:
        spacing_s: least time between two turns, in seconds; 0 lets everybody through.
        wait: whether a caller waits for its turn; otherwise it is refused when the next turn is not due.
        max_waiting: callers that may wait at once; one more is refused.
        clock: for the time between turns.
        sleep: waits that many seconds; a test's own clock goes here.
    """

    def __init__(
        self,
        spacing_s: float,
        *,
        wait: bool = True,
        max_waiting: int = 32,
        clock: Clock = SYSTEM_CLOCK,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.spacing_s = spacing_s
        self._wait = wait
        self._max_waiting = max_waiting
        self._clock = clock
        self._sleep = sleep
        self._next = -math.inf
        self._waiting = 0
        # asyncio's lock is fair: who asked first gets it first, and one who is cancelled leaves no gap behind.
        self._turns = asyncio.Lock()

    @property
    def waiting(self) -> int:
        """How many wait for their turn."""
        return self._waiting

    async def turn(self) -> None:
        """Return when it is the caller's turn. Cancelling while waiting gives the place to whoever is next.

        Raises:
            RateLimited: the queue is full, or callers do not wait here; `retry_after_s` says when to come back.
        """
        if self.spacing_s <= 0:
            return
        rest = self._next - self._clock.monotonic()
        if self._waiting or rest > 0:
            if not self._wait:
                raise RateLimited(
                    f"one model call every {self.spacing_s:g} s: the next may come in {math.ceil(max(rest, 0))} s",
                    retry_after_s=_whole(rest),
                    code=_CODE,
                )
            if self._waiting >= self._max_waiting:
                raise RateLimited(
                    f"{self._waiting} model calls already wait, one is let through every {self.spacing_s:g} s",
                    retry_after_s=_whole(rest + self._waiting * self.spacing_s),
                    code=_CODE,
                )
        self._waiting += 1
        try:
            async with self._turns:
                while (rest := self._next - self._clock.monotonic()) > 0:
                    await self._sleep(rest)
                self._next = self._clock.monotonic() + self.spacing_s
        finally:
            self._waiting -= 1


def _whole(seconds: float) -> float:
    # A header in whole seconds that is rounded down sends the caller back too early.
    return float(max(1, math.ceil(seconds)))
