"""Asking Discord itself how the bot is doing: one question at a time, the newest answer remembered."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from shared.channels.base import Channel
from shared.channels.probe import CanProbe, ProbeResult
from shared.clock import SYSTEM_CLOCK, Clock

DEFAULT_TIMEOUT_MS: Final = 10_000
_LEAST_TIMEOUT_MS: Final = 100
_MOST_TIMEOUT_MS: Final = 30_000
_STILL_NEW_S: Final = 2.0


@dataclass(frozen=True, slots=True)
class Probed:
    """What a probe found, and when (aware UTC)."""

    result: ProbeResult
    at: datetime

    def as_wire(self) -> dict[str, Any]:
        """As ``channels.status`` and ``health`` carry it."""
        found = self.result
        wire: dict[str, Any] = {"ok": found.ok, "elapsedMs": found.elapsed_ms, "error": found.reason or None}
        if found.user_id:
            wire["bot"] = {"id": found.user_id, "username": found.user_name}
        if found.application_id:
            wire["application"] = {"id": found.application_id, "intents": dict(found.intents)}
        return wire


class ChannelProbe:
    """Probes one channel for whoever asks.

    Clients with nothing but the right to read may ask as often as they like: they wait for the question that is on its
    way already, and an answer stays good for two seconds, so that Discord is not asked on every click.
    """

    def __init__(self, channel: Callable[[], Channel | None], clock: Clock = SYSTEM_CLOCK) -> None:
        self._channel = channel
        self._clock = clock
        self._one_at_a_time = asyncio.Lock()
        self._asked_at = float("-inf")
        self.last: Probed | None = None

    async def ask(self, timeout_ms: int | None) -> None:
        """Ask now, within this time (100 ms to 30 s); the answer is in `last`."""
        wanted = DEFAULT_TIMEOUT_MS if timeout_ms is None else timeout_ms
        timeout_s = min(max(wanted, _LEAST_TIMEOUT_MS), _MOST_TIMEOUT_MS) / 1000
        async with self._one_at_a_time:
            channel: object = self._channel()
            if isinstance(channel, CanProbe) and self._clock.monotonic() - self._asked_at >= _STILL_NEW_S:
                result = await channel.probe(timeout_s)
                self._asked_at = self._clock.monotonic()
                self.last = Probed(result, self._clock.now())
