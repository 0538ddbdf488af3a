"""The due loop: sleeps until the next thing is due, or until something changes. Nothing is polled.

It trusts no sleep longer than half a minute: the wall clock may be set meanwhile, or the machine may have slept.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import datetime
from typing import Protocol

from shared.clock import SYSTEM_CLOCK, Clock
from shared.errors import GatewayError
from shared.obs.log import get_logger

_log = get_logger(__name__)
_LONGEST_SLEEP_S = 30.0
_SHORTEST_SLEEP_S = 0.01
_PRUNE_EVERY_S = 86_400.0


class Look(Protocol):
    """What one look at the schedule found."""

    @property
    def next_at(self) -> datetime | None:
        """When the next thing is due."""
        ...

    @property
    def is_waiting(self) -> bool:
        """Something goes on whose end may make another thing due."""
        ...

    @property
    def more(self) -> bool:
        """The batch was full; look again at once."""
        ...


class DueLoop:
    """Claims what is due, when it is due.

    Args:
        claim: one look at the schedule.
        prune: forgets old history; once at the start and then daily.
    """

    def __init__(
        self,
        claim: Callable[[], Awaitable[Look]],
        prune: Callable[[], Awaitable[int]],
        *,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._claim = claim
        self._prune = prune
        self._clock = clock
        self._news = asyncio.Event()
        self._pruned_s: float | None = None
        self._is_failing = False

    def nudge(self) -> None:
        """Look again at once: an entry or the end of a run may have changed what is due next."""
        self._news.set()

    async def run(self) -> None:
        """Go on until cancelled. A database that refuses is tried again; it holds everything that is due."""
        while True:
            self._news.clear()
            sleep_s = await self._look()
            with suppress(TimeoutError):
                async with asyncio.timeout(sleep_s):
                    await self._news.wait()

    async def _look(self) -> float | None:
        try:
            look = await self._claim()
            await self._prune_sometimes()
        except GatewayError as error:
            if not self._is_failing:
                _log.warning("schedule.claim_failed", reason=error.detail)
            self._is_failing = True
            return _LONGEST_SLEEP_S
        self._is_failing = False
        return self._sleep_after(look)

    def _sleep_after(self, look: Look) -> float | None:
        """Seconds to sleep; None when nothing but news can make anything due."""
        if look.more:
            return 0.0
        if look.next_at is None:
            return _LONGEST_SLEEP_S if look.is_waiting else None
        until_s = (look.next_at - self._clock.now()).total_seconds()
        return min(max(until_s, _SHORTEST_SLEEP_S), _LONGEST_SLEEP_S)

    async def _prune_sometimes(self) -> None:
        now_s = self._clock.monotonic()
        if self._pruned_s is not None and now_s - self._pruned_s < _PRUNE_EVERY_S:
            return
        self._pruned_s = now_s
        if gone := await self._prune():
            _log.info("schedule.history_pruned", runs=gone)
