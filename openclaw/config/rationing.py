"""How many changes of the configuration a client may make in a while."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from shared.clock import SYSTEM_CLOCK, Clock

_MAX_SOURCES: Final = 10_000


class WriteBudget:
    """So many writes in a fixed window for each source; the window begins with the first. In memory.

    Args:
        limit: writes within the window.
        window_s: its length.
    """

    def __init__(self, limit: int, window_s: float, clock: Clock = SYSTEM_CLOCK) -> None:
        self._limit = limit
        self._window_s = window_s
        self._clock = clock
        self._windows: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def spend(self, source: str) -> float:
        """Take one write; 0 when it may be done, else the seconds until the window is over."""
        now = self._clock.monotonic()
        began, count = self._windows.get(source, (now, 0))
        if now - began >= self._window_s:
            began, count = now, 0
        if count >= self._limit:
            return began + self._window_s - now
        self._windows[source] = (began, count + 1)
        self._windows.move_to_end(source)
        while len(self._windows) > _MAX_SOURCES:
            self._windows.popitem(last=False)
        return 0.0
