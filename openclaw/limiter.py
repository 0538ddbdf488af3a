"""Slows down guessing: after so many failures in a window, a source has to wait."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field

from openclaw.protocol.handshake import Upgrade, is_loopback_ip
from shared.clock import SYSTEM_CLOCK, Clock

_MAX_SOURCES = 10_000


@dataclass(slots=True)
class _Source:
    failures: list[float] = field(default_factory=list)
    locked_until: float = 0.0


class AttemptLimiter:
    """Failures by source, in memory. Attempts while locked do not extend the lock; a success forgets.

    Args:
        max_attempts: failures within the window that lead to the lock.
        window_s: how long a failure counts.
        lockout_s: how long the lock holds.
    """

    def __init__(self, max_attempts: int, window_s: float, lockout_s: float, clock: Clock = SYSTEM_CLOCK) -> None:
        self._max_attempts = max_attempts
        self._window_s = window_s
        self._lockout_s = lockout_s
        self._clock = clock
        self._sources: OrderedDict[str, _Source] = OrderedDict()

    def adjust(self, max_attempts: int, window_s: float, lockout_s: float) -> None:
        """Other numbers from now on; locks that hold go on holding."""
        self._max_attempts, self._window_s, self._lockout_s = max_attempts, window_s, lockout_s

    def locked_for_s(self, source: str) -> float:
        """Seconds until this source may try again; 0 when it may now."""
        entry = self._sources.get(source)
        return max(0.0, entry.locked_until - self._clock.monotonic()) if entry else 0.0

    def failed(self, source: str) -> None:
        """Count a failure."""
        now = self._clock.monotonic()
        entry = self._sources.setdefault(source, _Source())
        self._sources.move_to_end(source)
        if entry.locked_until > now:
            return
        entry.failures = [at for at in entry.failures if at > now - self._window_s] + [now]
        if len(entry.failures) >= self._max_attempts:
            entry.locked_until = now + self._lockout_s
            entry.failures = []
        while len(self._sources) > _MAX_SOURCES:
            self._sources.popitem(last=False)

    def passed(self, source: str) -> None:
        """Forget a source's failures."""
        self._sources.pop(source, None)


def source_of(upgrade: Upgrade) -> str:
    """Whom a request's failures count against; empty for programs at this machine, which are not limited.

    Browsers at this machine share one count, visitors that come through a tunnel to this machine another: they must
    not be able to lock the owner out.
    """
    if upgrade.local:
        return "local" if upgrade.origin else ""
    return "forwarded" if is_loopback_ip(upgrade.client_ip) else upgrade.client_ip
