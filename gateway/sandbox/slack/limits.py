"""How often a method may be called."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from gateway.sandbox.slack.errors import ApiError
from shared.clock import Clock


@dataclass(frozen=True, slots=True)
class Rule:
    """So many calls in so many seconds, of one token (and in one channel)."""

    calls: int
    per_s: float
    per_channel: bool = False


TIERS: Mapping[str, Rule] = {
    "apps.connections.open": Rule(20, 60.0),
    "chat.postMessage": Rule(10, 10.0, per_channel=True),
    "chat.update": Rule(60, 60.0),
    "chat.delete": Rule(60, 60.0),
    "conversations.history": Rule(60, 60.0),
    "conversations.replies": Rule(60, 60.0),
    "conversations.info": Rule(60, 60.0),
    "users.info": Rule(100, 60.0),
    "reactions.add": Rule(60, 60.0),
}
"""Slack documents tiers ("50+ per minute") and, for posting, one message a second and channel with bursts allowed."""


@dataclass(slots=True)
class Limits:
    """Counts calls in a sliding window.

    Attributes:
        rules: by method; a method without a rule is free.
        hits: how many calls were refused, by method.
    """

    clock: Clock
    rules: Mapping[str, Rule] = field(default_factory=lambda: TIERS)
    hits: dict[str, int] = field(default_factory=dict)
    _recent: dict[tuple[str, str, str], deque[float]] = field(default_factory=dict)

    def spend(self, token: str, method: str, channel: str) -> None:
        """Count a call.

        Raises:
            ApiError: 429 with ``Retry-After``.
        """
        rule = self.rules.get(method)
        if rule is None:
            return
        now = self.clock.monotonic()
        recent = self._recent.setdefault((token, method, channel if rule.per_channel else ""), deque())
        while recent and now - recent[0] >= rule.per_s:
            recent.popleft()
        if len(recent) >= rule.calls:
            self.hits[method] = self.hits.get(method, 0) + 1
            wait_s = math.ceil(recent[0] + rule.per_s - now)
            raise ApiError("ratelimited", status=429, headers={"Retry-After": str(max(1, wait_s))})
        recent.append(now)
