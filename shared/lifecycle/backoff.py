"""Waiting between tries: full jitter, so that many waiters do not come back together."""

from __future__ import annotations

import random
from dataclasses import dataclass, field


@dataclass(slots=True)
class Backoff:
    """Delays that double up to a ceiling, each drawn between half of it and all of it.

    Attributes:
        base_s: first delay.
        ceiling_s: longest delay.
        attempts: failures in a row so far.
    """

    base_s: float = 1.0
    ceiling_s: float = 60.0
    attempts: int = 0
    _random: random.Random = field(default_factory=random.Random, repr=False)

    def next_delay_s(self) -> float:
        """Count one more failure and say how long to wait."""
        longest = min(self.ceiling_s, self.base_s * 2.0 ** min(self.attempts, 30))
        self.attempts += 1
        return longest * self._random.uniform(0.5, 1.0)

    def reset(self) -> None:
        """Forget past failures after a success."""
        self.attempts = 0
