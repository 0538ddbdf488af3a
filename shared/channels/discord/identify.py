"""How often a bot may identify. Resumes are free; identifies are 1,000 a day, and going over resets the token."""

from __future__ import annotations

from collections import deque

from shared.clock import SYSTEM_CLOCK, Clock

_SPACING_S = 5.0
"""Discord lets one bot identify once in five seconds."""

_RULES = (
    # window in seconds, identifies in it that are free, spacing of further ones in seconds
    (86_400.0, 500, 300.0),
    (600.0, 5, 60.0),
)


class IdentifyBudget:
    """Five identifies in ten minutes are free, further ones are a minute apart; after 500 in a day, five minutes."""

    def __init__(self, clock: Clock = SYSTEM_CLOCK, *, spacing_s: float = _SPACING_S) -> None:
        self._clock = clock
        self._spacing_s = spacing_s
        self._recent: deque[float] = deque(maxlen=max(free for _, free, _ in _RULES))
        self.total = 0

    def wait_s(self) -> float:
        """Seconds until the next identify is allowed."""
        if not self._recent:
            return 0.0
        now = self._clock.monotonic()
        spacing = max([self._spacing_s, *(rule for window, free, rule in _RULES if self._count(now - window) >= free)])
        return max(0.0, self._recent[-1] + spacing - now)

    def _count(self, since: float) -> int:
        return sum(moment >= since for moment in self._recent)

    def spend(self) -> None:
        """Count one."""
        self._recent.append(self._clock.monotonic())
        self.total += 1
